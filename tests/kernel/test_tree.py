"""What it costs to know whose everybody is: for workers that leave nobody behind, one read for all of a pass."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from procman.kernel.proc import processes
from procman.kernel.proc.memory import Memory
from procman.kernel.tree.tree import Tree
from procman.plan import LogPlan
from procman.policy.events import ConfigureLog, Execed, Exited, Forked, Report, TreeEnded
from tests.kernel.playing import SLEEP, Stage, kill, play, spawn
from tests.site.test_cgroups import needs_cgroups


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


CROWD = 30
HEIR = "read _ < {fifo}; env -i setsid sh -c 'echo; exec sleep 300' & exec sleep 300"
"""Once its parent is gone, nothing leads from the child to the worker but what was written down."""


def a_crowd(stage: Stage, *commands: tuple[str, ...]) -> dict[int, int]:
    """A site with its cgroup, if that can be made, and a crowd of workers, these among them: the pids, by task."""
    stage.perform(ConfigureLog(f"crowd-{os.getpid()}", LogPlan()))
    workers = [*commands, *[SLEEP] * (CROWD - len(commands))]
    stage.perform(*(spawn(*command, task=task) for task, command in enumerate(workers)))
    stage.until(Execed, CROWD)
    return {event.worker.task: event.pid for event in stage.events if isinstance(event, Forked)}


def files_opened_for_the_stop_of_a_crowd(of_the_first_group: bool) -> int:
    stage = Stage()
    pids = a_crowd(stage)
    if not of_the_first_group:
        stage.perform(Report("stopping", "stopping"))
        stage.kernel.wait(stage.kernel.now() + 0.01)
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in ("open", "os.listdir") else None)
    stage.perform(*(kill(pid, signal.SIGTERM, task) for task, pid in pids.items()))
    found = len([path for path in opened if path.startswith("/proc/")])
    stage.until(Exited, CROWD)
    stage.kernel.close()
    return found


@needs_cgroups
@pytest.mark.parametrize("of_the_first_group", [True, False])
def test_a_stop_of_many_looks_at_the_sites_cgroup_instead_of_at_each(of_the_first_group: bool) -> None:
    assert play(files_opened_for_the_stop_of_a_crowd, of_the_first_group).value < CROWD / 2


def who_of_a_crowd_has_left_somebody() -> list[int]:
    stage = Stage()
    read, write = os.pipe()
    os.dup2(write, 1)
    with tempfile.TemporaryDirectory() as folder:
        fifo = Path(folder, "fifo")
        os.mkfifo(fifo)
        pids = a_crowd(stage, *[SLEEP] * (CROWD - 1), ("sh", "-c", HEIR.format(fifo=fifo)))
        stage.perform(*(kill(pid, signal.SIGURG, task) for task, pid in pids.items()))  # all are alone still
        fifo.write_text("\n", encoding="utf-8")
        os.read(read, 1)
    stage.kernel.wait(stage.kernel.now())
    stage.perform(*(kill(pid, signal.SIGTERM, task) for task, pid in pids.items()))
    ends = stage.until(Exited, CROWD)
    (left,) = [end.pid for end in ends if end.leftover]
    stage.perform(kill(left, signal.SIGKILL, CROWD - 1))
    stage.until(TreeEnded)
    stage.kernel.close()
    return [task for task, pid in pids.items() if pid == left]


def test_one_of_many_that_are_stopped_at_once_is_not_alone_and_is_looked_into() -> None:
    assert play(who_of_a_crowd_has_left_somebody).value == [CROWD - 1]


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
    tree = Tree(1, b"", None, adopts=False)
    tree.sent = sent
    assert tree.cause(status, memory) == cause
    memory.close()
