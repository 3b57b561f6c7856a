"""What it costs to know whose everybody is: for workers that leave nobody behind, one read for all of a pass."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest

from procman.kernel import processes
from procman.kernel.memory import Memory
from procman.kernel.tree import Tree
from procman.policy.events import Execed, Exited, Forked
from tests.kernel.playing import SLEEP, Stage, kill, play, spawn


def files_opened_for_deaths() -> list[Any]:
    stage = Stage()
    stage.perform(*(spawn(*SLEEP, task=task) for task in range(100)))
    stage.until(Execed, 100)
    pids = [event.pid for event in stage.events if isinstance(event, Forked)]
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in ("open", "os.listdir") else None)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    ended = stage.until(Exited, 100)
    return [list(opened), any(event.leftover for event in ended)]


def test_a_hundred_deaths_that_leave_nobody_open_no_file_at_all() -> None:
    assert play(files_opened_for_deaths).value == [[], False]


def files_opened_for_a_stop() -> list[str]:
    stage = Stage()
    stage.perform(*(spawn(*SLEEP, task=task) for task in range(10)))
    (forked, *_) = stage.until(Forked, 10)
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in ("open", "os.listdir") else None)
    stage.perform(kill(forked.pid, signal.SIGTERM))
    me = str(forked.pid)
    return [path.replace(me, "PID") for path in opened]


def test_a_stop_looks_at_the_workers_own_children_and_at_nobody_else() -> None:
    assert play(files_opened_for_a_stop).value == ["/proc/PID/task/PID/children"]


def test_a_process_that_began_at_another_time_is_a_stranger() -> None:
    process = processes.read("self")
    assert process is not None
    pidfd = processes.hold(process)
    assert pidfd is not None
    os.close(pidfd)
    process.started += 1
    assert processes.hold(process) is None


@pytest.mark.parametrize(
    ("status", "sent", "cause"),
    [
        (signal.SIGSEGV | 0x80, 0, "core"),
        (signal.SIGSEGV, 0, None),
        (signal.SIGKILL, 0, None),
        (signal.SIGKILL, signal.SIGKILL, None),
        (3 << 8, 0, None),
    ],
)
def test_what_stands_behind_a_signal_is_told_where_it_is_known(status: int, sent: int, cause: str | None) -> None:
    memory = Memory()
    tree = Tree(1, (), None, adopts=False)
    tree.sent = sent
    assert tree.cause(status, memory) == cause
    memory.close()
