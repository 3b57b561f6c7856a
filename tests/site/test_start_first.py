"""A real worker that is replaced start-first: the old one ends when the new one has said that it is ready."""

from __future__ import annotations

import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.site.running import DEADLINE_S, up
from tests.site.sites import group, site_of

START_FIRST = 'update = { order = "start-first" }'
WELL = "trap 'echo bye $PROCMAN_GENERATION; exit 0' TERM; echo >&5; while :; do sleep 1000 & wait $!; done"
"""It is ready at once, and says which one it is when it ends."""


def shop(command: str, timeout: str = "30s", release: int = 1) -> str:
    env = f'env = {{ RELEASE = "{release}" }}'
    return site_of(group("a", command, f'ready = {{ fd = 5, timeout = "{timeout}" }}', START_FIRST, env))


def test_the_old_one_ends_when_the_new_one_is_ready(tmp_path: Path) -> None:
    with up(tmp_path, shop(WELL)) as site:
        old = site.until("worker.running", "a:0")
        site.reload(shop(WELL, release=2))
        new = site.until("worker.running", "a:0", 2)
        gone = site.until("worker.stopped", "a:0")
        order = [(event["to"], event["generation"]) for event in site.events if event.worker == "a:0"]
        assert order[2:] == [("starting", 2), ("running", 2), ("stopping", 1), ("stopped", 1)]
        assert (gone["generation"], gone["exit_code"], old["pid"] != new["pid"]) == (1, 0, True)
        assert site.until_said("bye") == ["bye 1"]
        assert site.stop() == 0
        assert site.words == ["bye 1", "bye 2"]


def test_a_new_one_that_is_never_ready_is_ended_and_the_old_one_stays(tmp_path: Path) -> None:
    with up(tmp_path, shop(WELL)) as site:
        site.until("worker.running", "a:0")
        site.reload(shop("exec sleep 1000", "200ms", 2))
        halted = site.until("group.halted")
        assert halted["reason"].startswith("the successor of a:0 failed: not ready within 200ms")
        failed = site.until("worker.failed", "a:0")
        assert (failed["generation"], len(site.told("worker.starting", "a:0"))) == (2, 2)
        assert site.stop() == 0
        assert site.words == ["bye 1"]


def test_one_that_is_old_is_replaced_without_a_gap(tmp_path: Path) -> None:
    old = 'recycle = { max_age = "1s", jitter = 0 }'
    text = site_of(group("a", WELL, 'ready = { fd = 5, timeout = "30s" }', START_FIRST, old))
    with up(tmp_path, text) as site:
        site.until("worker.stopped", "a:0")
        stopping = site.told("worker.stopping", "a:0")[0]
        assert stopping["reason"].startswith("recycled: it has run for 1s: generation 2 is ready")
        assert site.words[0] == "bye 1"
        assert site.stop() == 0


def test_a_stop_while_both_are_there_ends_both(tmp_path: Path) -> None:
    with up(tmp_path, shop(WELL)) as site:
        site.until("worker.running", "a:0")
        site.reload(shop("echo begun; exec sleep 1000", release=2))
        site.until_said("begun")
        assert site.stop() == 0
        assert sorted(event["generation"] for event in site.told("worker.stopped", "a:0")) == [1, 2]


SERVER = """
import os, select, signal, socket
sock, (over, wake) = socket.socket(fileno=3), os.pipe()
for end in (sock.fileno(), over, wake): os.set_blocking(end, False)
signal.signal(signal.SIGTERM, lambda *_: None)
signal.set_wakeup_fd(wake)
os.write(5, b"\\n")
while over not in (ready := select.select([sock, over], [], [])[0]):
    try: client, _ = sock.accept()
    except BlockingIOError: continue  # the other one was faster
    client.sendall(os.environ["PROCMAN_GENERATION"].encode())
    client.close()
"""


def test_replacements_under_load_lose_no_request(tmp_path: Path) -> None:
    program, path = tmp_path / "server.py", tmp_path / "web"
    program.write_text(SERVER, encoding="utf-8")
    listen = f'listen = "unix:{path}"'

    def web(release: int) -> str:
        env = f'env = {{ RELEASE = "{release}" }}'
        return site_of(group("a", f"exec {sys.executable} {program}", "ready = { fd = 5 }", START_FIRST, listen, env))

    answers: list[bytes] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(DEADLINE_S)
                client.connect(str(path))
                answers.append(client.recv(9))

    with up(tmp_path, web(1)) as site:
        site.until("worker.running", "a:0")
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask)
            try:
                for release in (2, 3, 4):
                    site.reload(web(release))
                    site.until("worker.stopped", "a:0", release - 1)
            finally:
                over.set()
            asking.result()
        assert answers
        assert set(answers) <= {b"1", b"2", b"3", b"4"}
        assert site.stop() == 0
