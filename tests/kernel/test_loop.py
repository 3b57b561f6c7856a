"""The loop: what a defect of the deciding half costs."""

from __future__ import annotations

from collections.abc import Sequence

from procman.kernel import loop
from procman.policy.events import (
    Action,
    Event,
    Load,
    Notice,
    Outcome,
    Record,
    ReopenLog,
    RunLoader,
    ShutDown,
    TimePassed,
)


class Defective:
    """A manager that fails at its second event and ends at its third."""

    exit_code: int | None = None

    def handle(self, event: Event, now: float) -> Outcome:  # noqa: ARG002 - the protocol's
        if isinstance(event, ReopenLog):
            raise ValueError("a defect")
        self.exit_code = 3 if isinstance(event, ShutDown) else None
        return Outcome([], [])

    def deadline(self) -> float | None:
        return None


class World:
    """A kernel and a log."""

    def __init__(self) -> None:
        self.events: list[Event] = [ReopenLog(), TimePassed(), ShutDown("enough")]
        self.told: list[Record] = []

    def now(self) -> float:
        return 0.0

    def wait(self, deadline: float | None) -> Event:  # noqa: ARG002 - the protocol's
        return self.events.pop(0)

    def perform(self, action: Action) -> None:
        raise AssertionError(f"nobody asked for {action}")

    def write(self, records: Sequence[Record]) -> None:
        self.told += records


def test_a_defect_of_the_manager_costs_one_event_and_is_told() -> None:
    world = World()
    assert loop.run(Defective(), world, world, Load()) == 3
    fields = {"dropped": "ReopenLog()"}
    assert world.told == [Notice("site.internal_error", "error", "ValueError: a defect", fields)]


class Fragile(World):
    """A kernel in which every action goes wrong."""

    def perform(self, action: Action) -> None:
        raise RuntimeError(f"cannot {type(action).__name__}")


class Busy(Defective):
    """A manager that wants something done at every event."""

    def handle(self, event: Event, now: float) -> Outcome:
        return Outcome([RunLoader()], super().handle(event, now).records)


def test_a_defect_of_the_kernel_costs_an_action_and_is_told() -> None:
    world = Fragile()
    world.events = [TimePassed(), ShutDown("enough")]
    assert loop.run(Busy(), world, world, Load()) == 3
    notice = Notice("site.internal_error", "error", "RuntimeError: cannot RunLoader", {"dropped": "RunLoader()"})
    assert world.told == [notice] * 3
