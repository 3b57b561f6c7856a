"""Reaping, trees, signals and deadlines of the real kernel."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from procman.policy.events import (
    Event,
    Execed,
    Exited,
    Forked,
    Load,
    ReopenLog,
    ShutDown,
    Signal,
    StartFailed,
    TimePassed,
    TreeEnded,
)
from tests.kernel.playing import SLEEP, Stage, kill, play, spawn


def ends_of_workers() -> list[Any]:
    stage = Stage()
    found = []
    for command in (("true",), ("sh", "-c", "exit 42"), ("sh", "-c", "kill -SEGV $$$$")):
        stage.perform(spawn(*command))
        (exited,) = stage.until(Exited)
        assert exited.usage.max_rss_bytes > 100_000
        assert 0 <= exited.draw < 1
        found.append([exited.exit_code, exited.signal, exited.leftover])
    return found


def test_an_end_is_told_with_its_status_or_signal() -> None:
    expected = [[0, None, False], [42, None, False], [None, signal.SIGSEGV, False]]
    assert expected == play(ends_of_workers).value


def order_of_facts(path: str) -> list[str]:
    stage = Stage()
    stage.perform(*(spawn("true", task=task, spawn=path) for task in range(50)))
    stage.until(Exited, 50)
    pids = [event.pid for event in stage.events if isinstance(event, Forked)]
    ended = [event.pid for event in stage.events if isinstance(event, Exited)]
    assert sorted(pids) == sorted(ended)
    return stage.names()


@pytest.mark.parametrize("path", ["vfork", "fork"])
def test_every_worker_is_forked_and_execed_before_it_has_exited(path: str) -> None:
    names = play(order_of_facts, path).value
    assert sorted(["Forked", "Execed", "Exited"] * 50) == sorted(names)
    assert all(names[: at + 1].count("Execed") >= names[: at + 1].count("Exited") for at in range(len(names)))


def many_killed_at_once() -> list[Any]:
    stage = Stage()
    stage.perform(*(spawn(*SLEEP, task=task) for task in range(100)))
    stage.until(Execed, 100)
    pids = [event.pid for event in stage.events if isinstance(event, Forked)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    ended = stage.until(Exited, 100)
    return [sorted(event.pid for event in ended) == sorted(pids), [event.signal for event in ended]]


def test_a_hundred_killed_at_once_are_all_reaped() -> None:
    assert play(many_killed_at_once).value == [True, [signal.SIGKILL] * 100]


def a_leader_that_leaves_others() -> list[Any]:
    stage = Stage()
    stage.perform(spawn("sh", "-c", "sleep 300 & sleep 300 & exit 3"))
    (exited,) = stage.until(Exited)
    assert exited.exit_code == 3
    before = len(stage.events)
    stage.perform(kill(exited.pid))
    (ended,) = stage.until(TreeEnded)
    orphans = [event for event in stage.events[before:] if isinstance(event, Exited)]
    return [exited.leftover, ended.pid == exited.pid, len(orphans)]


def test_a_tree_ends_when_the_last_orphan_of_its_group_is_reaped() -> None:
    leftover, same, orphans = play(a_leader_that_leaves_others).value
    assert (leftover, same) == (True, True)
    assert orphans <= 2  # others may have been reaped with the look at the group


# The leader's child leaves the group, and is the parent of one who stays: of that one's end no CHLD tells.
FOREIGN_PARENT = """
import os, sys, time
read, write = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(300)
    os.setsid()
    os.write(write, b"x")
    if "reaps" in sys.argv:
        os.wait()
    time.sleep(300)
os.read(read, 1)
print("ready", flush=True)
if "stays" in sys.argv:
    time.sleep(300)
"""


def a_survivor_with_a_foreign_parent(reaps: str) -> list[Any]:
    stage = Stage()
    stage.perform(spawn(sys.executable, "-c", FOREIGN_PARENT, reaps))
    (exited,) = stage.until(Exited)
    stage.perform(kill(exited.pid))
    (ended,) = stage.until(TreeEnded)
    return [exited.leftover, ended.pid == exited.pid]


@pytest.mark.parametrize("reaps", ["reaps", "never reaps"])
def test_a_killed_tree_ends_even_if_its_last_member_is_somebody_elses_child(reaps: str) -> None:
    assert play(a_survivor_with_a_foreign_parent, reaps).value == [True, True]


def a_leader_killed_together_with_a_foreign_child() -> bool:
    stage = Stage()
    read, write = os.pipe()
    saved = os.dup(1)
    os.dup2(write, 1)
    stage.perform(spawn(sys.executable, "-c", FOREIGN_PARENT, "stays"))
    os.dup2(saved, 1)
    said = os.read(read, 5)
    assert said == b"ready", said
    (forked,) = stage.until(Forked)
    stage.perform(kill(forked.pid))
    (exited,) = stage.until(Exited)
    while exited.pid != forked.pid:  # the grandchild's parent died first, and its end was told as any orphan's
        (exited,) = stage.until(Exited)
    if exited.leftover:  # else all of it was gone with its leader
        stage.until(TreeEnded)
    return True


def test_a_tree_killed_at_once_with_its_leader_ends_though_nobody_reaps_its_dead() -> None:
    assert play(a_leader_killed_together_with_a_foreign_child).value is True


def a_signal_to_an_empty_tree() -> list[str]:
    stage = Stage()
    stage.perform(spawn("sh", "-c", "sleep 300 & echo $!; exit 0"))
    (exited,) = stage.until(Exited)
    os.killpg(exited.pid, signal.SIGKILL)
    stage.until(TreeEnded)
    stage.until(Exited)  # the end of the one that was left
    before = len(stage.events)
    stage.perform(kill(exited.pid), kill(exited.pid, signal.SIGCONT), spawn("true"))
    stage.until(Exited)
    return stage.names()[before:]


def test_a_late_signal_to_a_tree_that_has_ended_does_nothing() -> None:
    assert play(a_signal_to_an_empty_tree).value == ["Forked", "Execed", "Exited"]


def scopes() -> list[Any]:
    stage = Stage()
    stage.perform(spawn("sh", "-c", "trap 'exit 7' TERM; (trap 'exit 0' TERM; sleep 300 & wait) & wait; exit 8"))
    (forked,) = stage.until(Forked)
    worker = forked.worker
    children = Path(f"/proc/{forked.pid}/task/{forked.pid}/children")
    while not children.read_text(encoding="utf-8").split():
        stage.kernel.wait(stage.kernel.now() + 0.01)
    stage.perform(Signal(worker, forked.pid, signal.SIGTERM, "leader"))
    (exited,) = stage.until(Exited)
    return [exited.exit_code, exited.leftover]


def test_the_scope_leader_signals_nobody_else() -> None:
    assert play(scopes).value == [7, True]


def wishes(numbers: list[int]) -> list[str]:
    stage = Stage()
    found = []
    for number in numbers:
        os.kill(os.getpid(), number)
        event = stage.kernel.wait(stage.kernel.now() + 0.05)
        found.append(repr(event))
    return found


HEARD: list[tuple[int, Any]] = [
    (signal.SIGTERM, ShutDown("SIGTERM")),
    (signal.SIGINT, ShutDown("SIGINT")),
    (signal.SIGQUIT, ShutDown("SIGQUIT", now=True)),
    (signal.SIGHUP, Load()),
    (signal.SIGUSR1, ReopenLog()),
    *((number, TimePassed()) for number in (signal.SIGUSR2, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)),
    *((number, TimePassed()) for number in (signal.SIGPIPE, signal.SIGALRM, signal.SIGWINCH, signal.SIGRTMAX)),
]


def test_each_signal_is_the_wish_that_is_documented_or_nothing() -> None:
    assert [repr(wish) for _, wish in HEARD] == play(wishes, [int(number) for number, _ in HEARD]).value


def test_a_hangup_is_nothing_to_a_procman_that_was_started_ignoring_it() -> None:
    assert play(wishes, [int(signal.SIGHUP)], prefix=("nohup",)).value == [repr(TimePassed())]


def after_a_fault() -> None:
    Stage()
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_fault_of_the_core_ends_it_instead_of_running_the_same_instruction_for_ever() -> None:
    with pytest.raises(AssertionError):
        play(after_a_fault)


def far_deadline() -> list[str]:
    stage = Stage()
    stage.perform(spawn("true"))
    stage.until(Execed)
    return [type(stage.kernel.wait(stage.kernel.now() + 1e9)).__name__]


def test_a_deadline_in_thirty_years_is_waited_for_like_any_other() -> None:
    assert play(far_deadline).value == ["Exited"]


def hang_up() -> list[str]:
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)  # the scene leads a session that has no terminal yet
    stage = Stage()
    os.kill(os.getpid(), signal.SIGHUP)
    stage.until(Load)
    os.close(master)
    return [wish.reason for wish in stage.until(ShutDown)]


def test_a_hangup_is_a_reload_until_the_terminal_has_really_hung_up() -> None:
    assert play(hang_up).value == ["terminal hung up"]


def deadlines() -> list[bool]:
    stage = Stage()
    in_time = []
    for milliseconds in range(20):
        deadline = stage.kernel.now() + milliseconds * 0.00137
        event = stage.kernel.wait(deadline)
        in_time.append(event == TimePassed() and 0 <= stage.kernel.now() - deadline < 0.5)
    return in_time


def test_time_has_passed_never_early_and_soon_after() -> None:
    assert play(deadlines).value == [True] * 20


def deaths_under_a_storm_of_signals() -> bool:
    stage = Stage()
    stage.perform(spawn("sh", "-c", "while :; do kill -HUP $PPID; done", task=0), spawn(*SLEEP, task=1))
    stage.until(Load)
    victim = [event.pid for event in stage.events if isinstance(event, Forked)][1]
    os.kill(victim, signal.SIGKILL)
    (exited,) = stage.until(Exited)
    deadline = stage.kernel.now() + 0.05
    event: Event = exited
    while not isinstance(event, TimePassed):
        event = stage.kernel.wait(deadline)
    return exited.pid == victim


def test_a_storm_of_signals_hides_neither_a_death_nor_a_deadline() -> None:
    assert play(deaths_under_a_storm_of_signals).value is True


def deadlines_under_a_storm_of_facts() -> list[str]:
    stage = Stage()
    start = spawn("true", cwd="/nowhere/at/all")
    stage.perform(start)
    deadline, event = stage.kernel.now() + 0.05, stage.kernel.wait(None)
    while not isinstance(event, TimePassed):
        assert isinstance(event, StartFailed)
        stage.perform(start)
        event = stage.kernel.wait(deadline)
    os.kill(os.getpid(), signal.SIGTERM)
    while not isinstance(event, ShutDown):
        event = stage.kernel.wait(None)
        if isinstance(event, StartFailed):
            stage.perform(start)
    return [event.reason]


def test_starts_that_fail_at_once_for_ever_hide_neither_a_deadline_nor_a_signal() -> None:
    assert play(deadlines_under_a_storm_of_facts).value == ["SIGTERM"]


def deadlines_under_a_storm_of_deaths() -> bool:
    stage = Stage()
    deadline = stage.kernel.now() + 0.1
    stage.perform(*(spawn("true", task=task) for task in range(8)))
    event: Event = TimePassed()
    while True:
        event = stage.kernel.wait(deadline)
        if isinstance(event, TimePassed):
            return stage.kernel.now() - deadline < 0.5
        if isinstance(event, Exited):
            stage.perform(spawn("true"))


def test_a_storm_of_deaths_hides_no_deadline() -> None:
    assert play(deadlines_under_a_storm_of_deaths).value is True


def idle() -> int:
    def switches() -> int:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))

    stage = Stage()
    stage.perform(*(spawn(*SLEEP, task=task) for task in range(4)))
    stage.until(Execed, 4)
    stage.kernel.wait(stage.kernel.now() + 0.01)
    before = switches()
    stage.kernel.wait(stage.kernel.now() + 0.7)
    return switches() - before


def test_an_idle_kernel_sleeps_once_until_its_deadline() -> None:
    assert play(idle).value == 1
