"""The simulated kernel itself: it is as jealous as a real machine is dangerous."""

from __future__ import annotations

from random import Random

import pytest

from procman.choices import Scope
from procman.kernel.world.beside import MisuseError
from procman.kernel.world.script import Conduct, End, Escape, Failure, HelperFall, Incident, Orphan, Rest, Wish
from procman.kernel.world.simulated import SimulatedKernel
from procman.plan import Launch, Plan
from procman.policy.events import (
    Drain,
    Event,
    Execed,
    Exited,
    Forked,
    GuardRules,
    HelperEnded,
    Left,
    Loaded,
    RunHelper,
    RunLoader,
    ShutDown,
    Signal,
    Spawn,
    StartFailed,
    TimePassed,
    TreeEnded,
    WorkerId,
    ZygoteOrder,
)

ONE, TWO = WorkerId("api", 0, 1), WorkerId("api", 1, 1)


class Told:
    """A script that gives out what it was told, in order."""

    lag = 0.0

    def __init__(self, *conducts: Conduct) -> None:
        self.conducts = list(conducts)

    def conduct(self, spawn: Spawn, now: float) -> Conduct:  # noqa: ARG002 - the protocol's
        return self.conducts.pop(0)

    def imports(self, order: ZygoteOrder, now: float) -> tuple[float, bool]:  # noqa: ARG002 - the protocol's
        return 0.5, order.launch.cwd == "/"

    def load(self) -> tuple[float, Loaded]:
        return 1.0, Loaded(Plan("site", ()), "0")

    def quiet(self, now: float) -> Wish:  # noqa: ARG002 - the protocol's
        return ShutDown("quiet")


def world(*conducts: Conduct, agenda: list[tuple[float, Incident]] | None = None) -> SimulatedKernel:
    kernel = SimulatedKernel(Told(*conducts), agenda or [], Random(0))
    for worker in (ONE, TWO)[: len(conducts)]:
        kernel.perform(Spawn(worker, Launch(("serve",), "/")))
    return kernel


def events(kernel: SimulatedKernel) -> list[Event]:
    """Everything until nothing is due."""
    heard: list[Event] = []
    while not isinstance(event := kernel.wait(None), ShutDown):
        heard.append(event)
    return heard


def kinds(heard: list[Event]) -> list[type]:
    return [type(event) for event in heard]


def signal(kernel: SimulatedKernel, number: int, scope: Scope = "tree", worker: WorkerId = ONE, pid: int = 2) -> None:
    kernel.perform(Signal(worker, pid, number, scope))


def test_a_spawn_is_answered_before_anything_else_is_heard() -> None:
    kernel = world(Conduct(), Conduct(), agenda=[(0.0, Orphan())])
    assert [kernel.wait(None), kernel.wait(None)] == [Forked(ONE, 2), Forked(TWO, 3)]


def test_a_start_that_fails_without_a_process_is_only_told() -> None:
    assert kinds(events(world(Conduct(Failure("fork", 11, forked=False))))) == [StartFailed]


def test_a_start_that_fails_in_a_process_is_told_and_then_the_process_ends() -> None:
    kernel = world(Conduct(Failure("exec", 2, forked=True)))
    assert kinds(events(kernel)) == [Forked, StartFailed, Exited]
    assert kernel.live == {}


def test_a_process_that_ends_before_its_program_begins_is_never_told_to_have_begun() -> None:
    assert kinds(events(world(Conduct(exec_after=2.0, lives=1.0)))) == [Forked, Exited]


def test_the_deadline_comes_when_nothing_comes_before_it() -> None:
    kernel = world(Conduct(lives=3.0))
    assert [type(kernel.wait(2.0)) for _ in range(3)] == [Forked, Execed, TimePassed]
    assert kernel.now() == 2.0
    assert type(kernel.wait(5.0)) is Exited
    assert kernel.now() == 3.0


def test_a_deaf_process_hears_nothing_but_sigkill() -> None:
    kernel = world(Conduct(obeys_after=None))
    assert kinds(events(kernel)) == [Forked, Execed]
    signal(kernel, 15)
    assert events(kernel) == []
    signal(kernel, 9)
    assert [event.signal for event in events(kernel) if isinstance(event, Exited)] == [9]


def test_what_a_leader_leaves_behind_ends_later_and_keeps_its_pid_until_then() -> None:
    kernel = world(Conduct(lives=1.0, rest=Rest(ends_after=2.0)))
    assert kinds(events(kernel)) == [Forked, Execed, Exited, TreeEnded]
    assert kernel.now() == 3.0
    assert kernel.live == {}


def test_a_freed_pid_is_given_away_at_once() -> None:
    kernel = world(Conduct(lives=1.0, end=End(1)))
    events(kernel)
    kernel.script = Told(Conduct())
    kernel.perform(Spawn(ONE._replace(generation=2), Launch(("serve",), "/")))
    assert kernel.wait(None) == Forked(ONE._replace(generation=2), 2)


def test_an_orphan_has_no_pid_of_ours() -> None:
    kernel = world(Conduct(), agenda=[(0.0, Orphan())])
    (orphan,) = [event for event in events(kernel) if isinstance(event, Exited)]
    assert orphan.pid not in kernel.live


def test_a_signal_to_a_reaped_pid_is_refused() -> None:
    kernel = world(Conduct(lives=1.0))
    events(kernel)
    with pytest.raises(MisuseError, match="which is not its own"):
        signal(kernel, 15)


def test_a_signal_to_another_workers_pid_is_refused() -> None:
    kernel = world(Conduct(), Conduct())
    events(kernel)
    with pytest.raises(MisuseError, match="which is not its own"):
        signal(kernel, 15, worker=TWO, pid=2)


def test_a_signal_to_a_reaped_leader_alone_is_refused() -> None:
    kernel = world(Conduct(lives=1.0, rest=Rest()))
    events(kernel)
    with pytest.raises(MisuseError, match="reaped leader"):
        signal(kernel, 15, "leader")


def test_a_generation_spawned_twice_is_refused() -> None:
    kernel = world(Conduct(lives=1.0))
    events(kernel)
    with pytest.raises(MisuseError, match="generation 1 after 1"):
        kernel.perform(Spawn(ONE, Launch(("serve",), "/")))


def test_a_third_worker_in_a_slot_is_refused() -> None:
    kernel = SimulatedKernel(Told(Conduct(), Conduct()), [], Random(0))
    kernel.perform(Spawn(ONE, Launch(("serve",), "/")))
    kernel.perform(Spawn(ONE._replace(generation=2), Launch(("serve",), "/")))
    with pytest.raises(MisuseError, match="is a third one"):
        kernel.perform(Spawn(ONE._replace(generation=3), Launch(("serve",), "/")))


def test_a_second_loader_is_refused() -> None:
    kernel = world()
    kernel.perform(RunLoader())
    with pytest.raises(MisuseError, match="while it runs"):
        kernel.perform(RunLoader())


def escapees(*escapes: Escape) -> SimulatedKernel:
    """A world in which these have escaped from a worker that is gone."""
    kernel = world(Conduct(lives=1.0), agenda=[(0.5, escape) for escape in escapes])
    events(kernel)
    return kernel


def test_one_who_has_escaped_hears_nothing_before_the_drain_and_then_ends() -> None:
    kernel = escapees(Escape(0.5))
    kernel.perform(Drain(15))
    assert kinds(events(kernel)) == [Left, Exited, Left]
    assert (kernel.now(), kernel.escaped.there) == (1.5, {})


def test_of_those_who_have_escaped_some_are_deaf_and_some_immortal() -> None:
    kernel = escapees(Escape(None), Escape(None, mortal=False))
    kernel.perform(Drain(15))
    assert events(kernel) == [Left(2, "somebody")]
    kernel.perform(Drain(9))
    assert kinds(events(kernel)) == [Left, Exited]
    assert [escape.mortal for escape in kernel.escaped.there.values()] == [False]


def test_an_heir_is_told_as_well() -> None:
    kernel = escapees(Escape(heirs=2))
    kernel.perform(Drain(15))
    assert kinds(events(kernel)) == [Left, Exited, Exited, Exited, Left]


def test_a_drain_while_workers_are_there_is_refused() -> None:
    kernel = world(Conduct())
    events(kernel)
    with pytest.raises(MisuseError, match="drain begins"):
        kernel.perform(Drain(15))


def test_a_guard_falls_only_while_there_is_one() -> None:
    kernel = world(agenda=[(1.0, HelperFall()), (2.0, HelperFall()), (3.0, HelperFall())])
    assert events(kernel) == []
    kernel = world(agenda=[(1.0, HelperFall()), (2.0, HelperFall())])
    kernel.perform(RunHelper("guard", GuardRules("shop", ())))
    assert kinds(events(kernel)) == [HelperEnded]
