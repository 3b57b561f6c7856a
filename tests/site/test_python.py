"""A Python group: imported once, forked, and otherwise like any other group."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.site import processes
from tests.site.python import app, group, zygotes
from tests.site.running import DEADLINE_S, ROOT, up
from tests.site.sites import group as command
from tests.site.sites import site_of

REPORT = """
import json, resource

def status(name):
    return [line.split(":")[1].strip() for line in open("/proc/self/status") if line.startswith(name + ":")][0]

def report():
    signals = [str(signal.getsignal(n)) for n in (1, 2, 13, 15, 17)]
    limits = [resource.getrlimit(n) for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)]
    links = {n: f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")}
    files = {n: os.readlink(link) for n, link in links.items() if os.path.lexists(link)}
    own = ["TASK_ID", "GENERATION", "SITE", "GROUP"]
    own = {"LISTEN_FDS", "LISTEN_FDNAMES", "MINE", *("PROCMAN_" + name for name in own)}
    say("report", json.dumps({
        "signals": signals, "limits": limits, "umask": status("Umask"), "cwd": os.getcwd(),
        "mask": status("SigBlk"), "nice": os.getpriority(os.PRIO_PROCESS, 0), "ids": os.getresuid() + os.getresgid(),
        "groups": os.getgroups(), "new": status("NoNewPrivs"), "caps": status("CapEff"), "cpus": status("Cpus_allowed"),
        "leads": [os.getpid() == os.getsid(0), os.getpid() == os.getpgrp()], "threads": status("Threads"),
        "stdio": [files[n].split(":")[0] for n in "012"], "listens": files.get("3", "").split(":")[0],
        "files": sorted(int(n) for n in files if int(n) < 64),
        "is mine": os.environ.get("LISTEN_PID") == str(os.getpid()),
        "environment": {name: os.environ[name] for name in own if name in os.environ},
        "names": sorted({*os.environ} - {"PROCMAN_LAST_WORDS"}),
        "oom": open("/proc/self/oom_score_adj").read(), "ppid": os.getppid(),
    }))
"""

EVERYTHING = (
    'umask = "0027"', 'cwd = "/usr"', "nice = 3", 'limits = { nofile = "100:200", core = "0" }',
    "no_new_privileges = true", 'parent_death_signal = "TERM"', "oom_score_adj = 500",
    'env = { MINE = "$$x", HOME = "/h" }', 'listen = { address = "tcp://127.0.0.1:0", name = "web" }',
)  # fmt: skip
ANOTHER_USER = ('user = 54321', 'group = 54322', 'capabilities = ["DAC_READ_SEARCH"]')  # fmt: skip


@pytest.mark.parametrize("options", [(), EVERYTHING, ANOTHER_USER], ids=["nothing", "everything", "another user"])
@pytest.mark.parametrize("threads", ["error", "spawn"])
def test_a_worker_finds_what_the_same_program_finds_as_a_command(
    tmp_path: Path, options: tuple[str, ...], threads: str
) -> None:
    """Under `spawn`, with a thread to make it so, the worker is executed: it has the descriptor of its last words."""
    begun = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    app(tmp_path, REPORT + (begun if threads == "spawn" else ""))
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import app; app.report()"
    text = site_of(
        group("app", "app:report", f'threads = "{threads}"', *options),
        command("app2", [sys.executable, "-c", program], *options),
    )
    with up(tmp_path, text) as site:
        reports = [json.loads(line.removeprefix("report ")) for line in site.until_said("report", 2)]
        ours, theirs = sorted(reports, key=lambda report: report["environment"].pop("PROCMAN_GROUP"))
        assert ours["ppid"] == site.pid
        if threads == "spawn":
            theirs["files"] = sorted({*theirs["files"], 3 + len(options) // len(EVERYTHING)})
            ours["listens"] = theirs["listens"] if not options or options is ANOTHER_USER else ours["listens"]
        assert ours == theirs


def test_the_program_is_imported_once_and_the_workers_are_children_of_procman(tmp_path: Path) -> None:
    app(tmp_path, 'say("imported", __name__)')
    text = site_of(group("app", "app:serve", "workers = 4", 'args = ["a${PROCMAN_TASK_ID}", 7, true]'))
    with up(tmp_path, text) as site:
        lines = [line.split() for line in site.until_said("up", 4)]
        assert sorted((line[1], *line[3:]) for line in lines) == [(str(n), f"a{n}", "7", "True") for n in range(4)]
        for count in range(4):
            site.until("worker.running", count=count + 1)
        assert {int(line[2]) for line in lines} == set(site.pids().values())
        assert {int(processes.status(pid, "PPid")) for pid in site.pids().values()} == {site.pid}
        assert [*zygotes(site)] == ["zygote:app"]
        comm = {Path(f"/proc/{pid}/comm").read_text(encoding="utf-8") for pid in site.pids().values()}
        assert comm == {f"app:{n}\n" for n in range(4)}
        assert site.stop() == 0
        assert [site.words.count(line) for line in ("imported app", "down 0", "down 3")] == [1, 1, 1]
        assert site.told("site.stopped")[0]["orphans"] == 0


ENDINGS = """
def returns(): pass
def returns_a_number(): return 3
def returns_true(): return True
def raises(): raise ValueError("no such\\nthing")
def exits(): sys.exit(4)
def gives_up(): sys.exit("no database")
def interrupted(): raise KeyboardInterrupt
def dies(): os.kill(os.getpid(), signal.SIGKILL)
def child_raises():
    if os.fork() == 0:
        raise ValueError("in a child")
    os.wait()
"""


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("returns", "exit status 0"),
        ("returns_true", "exit status 0"),
        ("returns_a_number", "exit status 3; not to be restarted"),
        ("raises", "exit status 1: thing; not to be restarted"),
        ("exits", "exit status 4; not to be restarted"),
        ("gives_up", "exit status 1: no database; not to be restarted"),
        ("interrupted", "killed by SIGINT; not to be restarted"),
        ("dies", "killed by SIGKILL; not to be restarted"),
        ("child_raises", "exit status 0"),
    ],
)
def test_how_a_callable_ends_is_how_its_worker_ends(tmp_path: Path, name: str, end: str) -> None:
    app(tmp_path, ENDINGS)
    with up(tmp_path, site_of(group("app", f"app:{name}", 'restart = { when = "never" }'))) as site:
        site.until("site.stopped")
        event = [event for event in site.events if event.worker == "app:0"][-1]
        assert event["reason"] == end
        shown = [line for line in site.foreign if line.startswith("  File")]
        site.foreign = [line for line in site.foreign if "Traceback" not in line]
        lines = {"raises": 16, "interrupted": 19, "child_raises": 23}
        assert shown[:1] == [
            f'  File "{tmp_path}/app.py", line {line}, in {name}' for line in [lines.get(name)] if line
        ]


def test_under_threads_spawn_the_last_words_are_heard_too(tmp_path: Path) -> None:
    app(tmp_path, "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()" + ENDINGS)
    text = site_of(group("app", "app:gives_up", 'threads = "spawn"', 'restart = { when = "never" }'))
    with up(tmp_path, text) as site:
        assert site.until("worker.failed")["reason"] == "exit status 1: no database; not to be restarted"


def test_a_listening_socket_is_handed_to_every_worker(tmp_path: Path) -> None:
    more = """
        def listen():
            (web,) = procman.listen_sockets("web")
            say("listening", *web.getsockname())
            while not procman.stopping():
                connection, _ = web.accept()
                connection.sendall(f"task {procman.task_id()}".encode())
                connection.close()
        """
    app(tmp_path, more)
    options = ('listen = { address = "tcp://127.0.0.1:0", name = "web" }', "workers = 2", 'stop = { signal = "KILL" }')
    with up(tmp_path, site_of(group("app", "app:listen", *options))) as site:
        address = site.until_said("listening", 2)[0].split()
        for _ in range(4):
            with socket.create_connection((address[1], int(address[2])), timeout=30) as client:
                assert client.recv(100).startswith(b"task ")


def test_what_the_imports_print_is_printed_once(tmp_path: Path) -> None:
    app(tmp_path, 'print("no flush", end=" ")\nprint("here")')
    with up(tmp_path, site_of(group("app", "app:serve", "workers = 2"))) as site:
        site.until_said("up", 2)
        site.stop()
        assert site.words.count("no flush here") == 1


def test_the_numbers_of_a_zygote_are_not_those_of_a_task(tmp_path: Path) -> None:
    app(tmp_path, 'say("imported as", procman.task_id(), sorted({"PROCMAN_TASK_ID", "PROCMAN_GROUP"} & {*os.environ}))')
    with up(tmp_path, site_of(group("app", "app:serve"))) as site:
        assert site.until_said("imported") == ["imported as None ['PROCMAN_GROUP']"]


def test_a_procman_that_is_killed_leaves_neither_zygote_nor_workers(tmp_path: Path) -> None:
    app(tmp_path)
    with up(tmp_path, site_of(group("app", "app:serve", "workers = 2"))) as site:
        site.until_said("up", 2)
        site.signal(signal.SIGKILL)
        assert site.wait() == -signal.SIGKILL
        assert sorted(line for line in site.words if line.startswith("down")) == ["down 0", "down 1"]
        for pid in site.descendants():  # the guard looks once more, and then ends
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
                assert select.select([pidfd], [], [], DEADLINE_S)[0], pid
                os.close(pidfd)
        site.events.clear()  # the workers had another parent in the end: to reap them is its business


@pytest.mark.parametrize("name", ["error", "warn", "spawn"])
def test_random_numbers_differ_between_workers(tmp_path: Path, name: str) -> None:
    more = f"""
        import random, uuid
        random.seed(1)
        if {name!r} != "error":
            import threading
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        def draw():
            say("drew", random.random(), uuid.uuid4())
        """
    app(tmp_path, more)
    with up(tmp_path, site_of(group("app", "app:draw", "workers = 3", f'threads = "{name}"'))) as site:
        site.until("site.stopped")
        drawn = {line.split()[1] for line in site.until_said("drew", 3)}
        assert len(drawn) == (1 if name == "spawn" else 3), "seeded by an import of one's own, or after the fork"


def read(path: str) -> Any:
    """A file of /proc."""
    return Path(path).read_text(encoding="utf-8")


def test_a_python_of_another_place_runs_the_program(tmp_path: Path) -> None:
    python = tmp_path / "a python"
    python.write_text(f'#!/bin/sh\nexport THROUGH=it\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    app(tmp_path, 'def which(): say("ran", os.environ.get("THROUGH"), procman.__file__)')
    text = site_of(group("app", "app:which", f"python = {json.dumps(str(python))}", 'restart = { when = "never" }'))
    with up(tmp_path, text) as site:
        assert site.until_said("ran") == [f"ran None {ROOT}/procman/__init__.py"]
        assert site.wait() == 0
