"""Workers that name another process of theirs as leader (MAINPID): daemons that fork away, and wrappers that stay."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.site import processes
from tests.site.running import up
from tests.site.sites import group, python, site_of

SPEAKER = """\
import os, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # one that comes before the wait is not lost

def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])

def pause():
    signal.sigwait([signal.SIGTERM])
    os._exit(0)
"""
DAEMON = (
    SPEAKER
    + """
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    pid = os.fork()
    if pid == 0:
        pause()
    os.write(write, b"%d" % pid)
    os._exit(0)
main = int(os.read(read, 20))
os.wait()
say(f"MAINPID={main}\\nREADY=1")
"""
)
"""Double-forks, and ends at once when it has said who goes on."""
WRAPPER = (
    SPEAKER
    + """
pid = os.fork()
if pid == 0:
    pause()
say(f"MAINPID={pid}\\nREADY=1")
pause()
"""
)
"""Stays, and never asks how its child has ended."""
NOTIFY = "ready = { notify = true }"


def runs(text: str, *options: str) -> str:
    """A site of one such worker."""
    return site_of(group("a", python(text), NOTIFY, *options))


def parent_of(pid: int) -> int:
    return processes.all_of_them()[pid][1]


def test_a_daemon_that_forks_away_is_the_worker_from_then_on(tmp_path: Path) -> None:
    with up(tmp_path, runs(DAEMON, "restart = { backoff = false }")) as site:
        main = site.until("worker.main_pid", "a:0")
        assert site.until("worker.running", "a:0")["pid"] == main["pid"]
        site.until_descendants(lambda found: found == [main["pid"]])  # who had begun it has ended, too
        os.kill(main["pid"], signal.SIGKILL)
        again = site.until("worker.main_pid", "a:0", 2)
        # The first is on its way out where it can no longer be seen, and may be what was left behind.
        ends = [*site.told("worker.stopping", "a:0"), *site.told("worker.backoff", "a:0")]
        assert (ends[0]["pid"], ends[0]["signal"]) == (main["pid"], "SIGKILL")
        assert again["generation"] == 2
        assert site.stop() == 0
        assert site.told("worker.stopped", "a:0")[0]["exit_code"] == 0
        assert site.told("worker.killing") == []


def test_of_many_daemons_each_is_followed_although_its_leader_ends_at_once(tmp_path: Path) -> None:
    with up(tmp_path, runs(DAEMON, "workers = 20")) as site:
        site.until("worker.running", count=20)
        site.until("worker.main_pid", count=20)
        assert site.stop() == 0
        assert site.told("worker.backoff") == []
        assert len(site.told("worker.starting")) == 20


@pytest.mark.parametrize(("way", "told"), [("exit", ("exit_code", 0)), ("kill", ("signal", "SIGKILL"))])
def test_the_end_of_a_main_process_below_a_wrapper_is_the_workers_end(
    tmp_path: Path, way: str, told: tuple[str, object]
) -> None:
    with up(tmp_path, runs(WRAPPER, 'restart = { when = "always", backoff = false }')) as site:
        main = site.until("worker.main_pid", "a:0")["pid"]
        wrapper = parent_of(main)
        assert wrapper != site.pid
        os.kill(main, signal.SIGKILL if way == "kill" else signal.SIGTERM)
        assert site.until("worker.stopping", "a:0")[told[0]] == told[1]  # and the wrapper is ended
        site.until("worker.main_pid", "a:0", 2)
        assert wrapper not in processes.all_of_them()
        assert site.stop() == 0


def test_a_main_process_whose_wrapper_dies_first_is_the_cores_child_and_its_end_is_told_once(tmp_path: Path) -> None:
    with up(tmp_path, runs(WRAPPER, "restart = { backoff = false }")) as site:
        main = site.until("worker.main_pid", "a:0")["pid"]
        site.until("worker.running", "a:0")
        os.kill(parent_of(main), signal.SIGKILL)
        site.until_descendants(lambda _found: parent_of(main) == site.pid)
        os.kill(main, signal.SIGKILL)
        site.until("worker.running", "a:0", 2)
        assert [event["signal"] for event in site.told("worker.backoff", "a:0")] == ["SIGKILL"]
        assert site.stop() == 0


def test_who_is_not_of_the_worker_is_not_followed(tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    text = SPEAKER + (
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        f"gate = open({str(go)!r})\n"
        "for name in (str(os.getppid()), str(pid), 'x', '-1', '0', str(os.getpid())):\n"
        "    say('MAINPID=' + name); gate.readline()\n"
        "say('READY=1')\n"
        "pause()\n"
    )
    refusals = ("not of this worker's tree", "no such process", "no pid", "no pid", "no pid")
    with up(tmp_path, runs(text)) as site, go.open("w", encoding="utf-8") as gate:  # waits until it reads
        for count, why in enumerate(refusals, 1):
            event = site.until("worker.main_pid", "a:0", count)
            assert (why in event["reason"], event["level"]) == (True, "warning")
            print(file=gate, flush=True)
        print(file=gate, flush=True)
        leader = site.until("worker.running", "a:0")["pid"]
        assert site.told("worker.main_pid")[0]["pid"] == leader
        assert len(site.told("worker.main_pid")) == 5  # its own number is no news
        assert site.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_process_of_another_user_is_not_followed(tmp_path: Path) -> None:
    text = SPEAKER + (
        "read, write = os.pipe()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.setuid(54321); os.write(write, b'.'); pause()\n"
        "os.read(read, 1)\n"
        "say(f'MAINPID={pid}\\nREADY=1')\n"
        "pause()\n"
    )
    with up(tmp_path, runs(text)) as site:
        assert "another user" in site.until("worker.main_pid", "a:0")["reason"]
        assert site.stop() == 0
