"""Whoever is left when no worker is: found wherever it went, signalled, waited for; at process 1 everybody."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from procman.policy.events import Drain, Exited, Forked, GuardRules, Left, RunHelper
from tests.kernel.playing import SLEEP, Stage, play, spawn

AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a pid namespace")

PROGRAM = """
import os, signal, subprocess, sys
read, write = os.pipe()
for script in sys.argv[1:]:
    command = ["sh", "-c", script.replace("READY", f"echo >&{write}")]
    subprocess.Popen(command, start_new_session=True, pass_fds=(write,))
    os.read(read, 1)
os._exit(0)
"""


def after_a_worker_that_left(scripts: list[str]) -> tuple[Stage, int]:
    """A stage on which a worker has come and gone; each script runs on in a session of its own."""
    stage = Stage()
    stage.perform(spawn(sys.executable, "-c", PROGRAM, *scripts))
    (forked,) = stage.until(Forked)
    while all(exited.pid != forked.pid for exited in stage.events if isinstance(exited, Exited)):
        stage.until(Exited)
    stage.events.clear()
    return stage, forked.pid


def drained(scripts: list[str], signals: list[int]) -> list[Any]:
    """How many are left before the first signal, how many in the end, and who of them was not reaped."""
    stage, _ = after_a_worker_that_left(scripts)
    found: list[int] = []
    for number in signals:
        stage.perform(Drain(number))
        (left,) = stage.until(Left)
        found.append(left.processes)
    if found[-1]:
        stage.until(Left)
    last = [event for event in stage.events if isinstance(event, Left)][-1]
    zombies = [pid for pid in _children() if _state(pid) == "Z"]
    return [found[0], last.processes, zombies]


def _children() -> list[int]:
    return list(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()))


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0]


TERM, KILL = int(signal.SIGTERM), int(signal.SIGKILL)
HEIR = "trap 'setsid sleep 300 & exit 0' TERM; sleep 300 & READY; wait"
LEFT: dict[str, tuple[list[str], list[int], int]] = {
    "nobody": ([], [TERM], 0),
    "a daemon": (["READY; exec sleep 300"], [TERM], 1),
    "three, one with a child": (["READY; exec sleep 300", "sleep 300 & READY; wait"], [TERM], 3),
    "one in a session of a session": (["setsid sh -c 'READY; exec sleep 300' & wait"], [TERM], 2),
    "one that is stopped": (["READY; kill -STOP $$; exec sleep 300"], [TERM], 1),
    "a deaf one": (["trap '' TERM; sleep 300 & READY; wait; sleep 300"], [TERM, KILL], 2),
    "one whose heir comes when it is told": ([HEIR], [TERM, KILL], 2),
}


@pytest.mark.parametrize("name", LEFT)
@pytest.mark.parametrize("prefix", [(), pytest.param(AS_PROCESS_1, marks=root_only)], ids=["subreaper", "process 1"])
def test_whoever_is_left_is_found_told_and_gone(name: str, prefix: tuple[str, ...]) -> None:
    scripts, signals, left = LEFT[name]
    found, last, zombies = play(drained, scripts, signals, prefix=prefix).value
    assert (found, last, zombies) == (left, 0, [])


def named() -> list[str]:
    stage, _ = after_a_worker_that_left(["READY; exec sleep 300"] * 7)
    (pid, *_) = _children()
    stage.perform(Drain(TERM))
    (left,) = stage.until(Left)
    return [left.names.partition(", ")[0], f"sleep (pid {pid})", left.names[-1], str(left.processes)]


def test_the_first_few_are_named() -> None:
    first, expected, end, count = play(named).value
    assert (first, end, count) == (expected, "…", "7")


def spared() -> list[Any]:
    stage, _ = after_a_worker_that_left([])
    stage.perform(RunHelper("guard", GuardRules("shop", ())))
    stage.perform(Drain(KILL))
    (left,) = stage.until(Left)
    helpers = _children()
    stage.kernel.close()
    return [left.processes, len(helpers), _children()]


def test_a_helper_is_spared_until_the_end_and_then_gone() -> None:
    assert play(spared).value == [0, 1, []]


def looks_of_an_empty_drain() -> int:
    """With nobody left, not one other process is looked at."""
    stage = Stage()
    stage.perform(spawn(*SLEEP))  # somebody who is there
    (forked,) = stage.until(Forked)
    os.kill(forked.pid, signal.SIGKILL)
    stage.until(Exited)
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    stage.perform(Drain(TERM))
    stage.until(Left)
    return len([path for path in opened if path.endswith("/stat")])


def test_with_nobody_left_nobody_is_looked_at() -> None:
    assert play(looks_of_an_empty_drain).value == 0


def many() -> list[Any]:
    stage, _ = after_a_worker_that_left(["i=0; while [ $i -lt 300 ]; do sleep 300 & i=$((i+1)); done; READY; wait"])
    stage.perform(Drain(TERM))
    (left,) = stage.until(Left)
    (last,) = stage.until(Left)
    return [left.processes, last.processes]


def test_more_than_there_are_descriptors_for_are_ended_too() -> None:
    prefix = ("prlimit", "--nofile=64:64", *AS_PROCESS_1) if os.geteuid() == 0 else ("prlimit", "--nofile=64:64")
    assert play(many, prefix=prefix).value == [301, 0]
