"""A command is to be quick: what it loads, from its first line to its last, while a site answers it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from procman.control.protocol import encode_event, encode_reply
from procman.policy.events.requests import Accepted, Done, GroupStatus, Reply, SiteStatus, WorkerStatus

ROOT = Path(__file__).parents[2]
SLOW = {
    "typing", "contextvars", "ctypes", "dataclasses", "datetime", "hashlib", "inspect", "logging", "pathlib", "random",
    "shutil", "socket", "subprocess", "tempfile", "threading", "traceback", "procman.config", "procman.kernel",
    "procman.log", "procman.output", "procman.plan", "procman.policy", "procman.control.protocol",
}  # fmt: skip
PROGRAM = """
import sys
sys.path.append(sys.argv.pop(1))
from procman.cli.main import main
code = main(sys.argv[1:])
print(*sys.modules)
sys.exit(code)
"""
WORKER = WorkerStatus("api", 0, 2, "running", os.getpid(), 1.5, None, False, "exit status 1", 1.5)
STATUS = SiteStatus("shop", "running", "abc", ("/a.toml",), (GroupStatus("api", 1, 2, 0, 100, ""),), (WORKER,))
EVENT = (
    b'{"ts":"2026-01-02T03:04:05.678901Z","level":"info","event":"worker.running","site":"shop","group":"api","task":0,'
    b'"generation":1,"pid":7,"from":"starting","to":"running","reason":""}'
)


def line(reply: Reply) -> bytes:
    return encode_reply(reply, {"pid": 1, "uptime_s": 2.0} if isinstance(reply, SiteStatus) else None)


MOVED = line(Accepted(("api:0",))) + encode_event(EVENT) + line(Done())


def loaded_by(folder: Path, answer: bytes, *words: str) -> set[str]:
    """What an interpreter such as a command's has loaded at the end, and of packages what they are in."""
    path = str(folder / "shop.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        site = threading.Thread(target=_answer, args=(listener, answer))
        site.start()
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, str(ROOT), "-s", path, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        site.join()
    assert done.returncode == 0, done.stderr
    names = done.stdout.splitlines()[-1].split()
    return {".".join(name.split(".")[:count]) for name in names for count in range(1, name.count(".") + 2)}


def _answer(listener: socket.socket, answer: bytes) -> None:
    client, _ = listener.accept()
    with client, client.makefile("rb") as lines:
        json.loads(lines.readline())
        client.sendall(answer)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("status",), line(STATUS)),
        (("status", "--json"), line(STATUS)),
        (("status", "--ready"), line(STATUS)),
        (("start", "api", "--no-wait"), MOVED),
        (("stop", "api:0", "--no-wait"), MOVED),
        (("restart", "api", "--no-wait"), MOVED),
        (("scale", "api=4", "--no-wait"), MOVED),
        (("run", "api", "--no-wait"), MOVED),
        (("signal", "HUP", "api"), MOVED),
        (("down", "--no-wait"), MOVED),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, tuple) else "",
)
def test_a_command_loads_nothing_that_it_can_do_without(tmp_path: Path, words: tuple[str, ...], answer: bytes) -> None:
    loaded = loaded_by(tmp_path, answer, *words)
    assert ("procman.control.client" in loaded, loaded & SLOW) == (True, set())


def test_what_is_slow_to_load_would_be_seen(tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, MOVED, "restart", "api")  # which shows what happens
    assert loaded & SLOW >= {"typing", "procman.log", "procman.policy"}
