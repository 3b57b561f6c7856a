"""A pid that is given away again: in a pid namespace, where who gets which number next can be said.

Whoever has got the number of a worker is a stranger, and no signal of procman's may reach it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from procman.policy.events import Execed, Exited, Forked
from tests.cli.procmans import on_pipe
from tests.init.running import OWN_PIDS, until
from tests.init.test_process_one import needs_namespaces
from tests.kernel.playing import SLEEP, Stage, kill, play, spawn
from tests.kernel.test_guard import group, guard_of, site

LAST = Path("/proc/sys/kernel/ns_last_pid")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def take(number: int, *, leads: bool) -> None:
    """Start a stranger with this number, who leads a session if it is to, and who hears nothing."""
    LAST.write_text(str(number - 1), encoding="ascii")
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        if leads:
            os.setsid()
        time.sleep(300)
        os._exit(0)
    assert pid == number, "somebody else has started something meanwhile"
    if leads:
        until(lambda: os.getsid(pid) == pid)


def sent_to(stranger: int) -> str:
    """What it was sent: as /proc shows the signals that are pending; "killed"."""
    status = Path(f"/proc/{stranger}/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return "killed" if "Z" in fields["State"] else fields["ShdPnd"].strip("\t0")


class Maker:
    """Starts a stranger when it is asked, so that it is no child of the core's."""

    def __init__(self, *, leads: bool) -> None:
        asked, self._ask = os.pipe()
        self._told, tell = os.pipe()
        if os.fork() == 0:
            take(int(os.read(asked, 64)), leads=leads)
            os.write(tell, b".")
            time.sleep(300)
            os._exit(0)

    def take(self, number: int) -> None:
        os.write(self._ask, b"%d" % number)
        os.read(self._told, 1)


def given_away_before_its_end_is_told(leads: bool) -> list[Any]:
    maker = Maker(leads=leads)
    stage = Stage()
    stage.perform(spawn(*SLEEP))
    (started,) = stage.until(Forked)
    stage.until(Execed)
    reap = os.wait4

    def reaps(pid: int, options: int) -> tuple[int, int, resource.struct_rusage]:
        found = reap(pid, options)
        if found[0] == started.pid:
            maker.take(started.pid)
        return found

    os.wait4 = reaps
    os.kill(started.pid, signal.SIGKILL)
    (ended,) = stage.until(Exited)
    for number in (signal.SIGTERM, signal.SIGKILL):
        stage.perform(kill(started.pid, number))
    return [ended.pid == started.pid, ended.leftover, sent_to(started.pid)]


@needs_namespaces
@pytest.mark.parametrize("leads", [True, False])
def test_who_has_got_the_number_of_a_worker_is_not_of_its_tree_and_hears_nothing(leads: bool) -> None:
    assert play(given_away_before_its_end_is_told, leads, prefix=OWN_PIDS).value == [True, False, ""]


def given_away_after_the_cores_end(path: str, leads: bool) -> str:
    with on_pipe("up", path) as procman:
        (line,) = procman.wait_for(r'^.*"worker.running".*$')
        worker, guard = json.loads(line.group())["pid"], guard_of(procman)
        os.kill(guard, signal.SIGSTOP)  # as on a machine that has too much to do
        procman.process.kill()
        procman.process.wait()
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        time.sleep(2 * TICK_S)
        take(worker, leads=leads)
        os.kill(guard, signal.SIGCONT)
        os.waitpid(guard, 0)
        return sent_to(worker)


@needs_namespaces
@pytest.mark.parametrize("leads", [True, False])
def test_who_has_got_the_number_of_a_worker_is_left_alone_by_the_guard(tmp_path: Path, leads: bool) -> None:
    path = site(tmp_path, group("api", ["sleep", "300"]))
    assert play(given_away_after_the_cores_end, path, leads, prefix=OWN_PIDS).value == ""
