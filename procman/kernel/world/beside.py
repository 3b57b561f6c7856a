"""What stands beside the workers in a simulated world: procman's helpers, its open sockets, and what they tell.

It knows no process, and never decides: what would be a mistake raises `MisuseError`.
"""

from __future__ import annotations

from procman.kernel.world.script import HelperFall, Instant, Knock
from procman.plan import Listen
from procman.policy.events import (
    Action,
    AwaitDemand,
    Calendar,
    Demanded,
    Due,
    EndHelper,
    Event,
    HelperEnded,
    OpenSockets,
    RunHelper,
)


class MisuseError(AssertionError):
    """An action that would do harm on a real machine, or that cannot be carried out."""


def need(holds: bool, complaint: str) -> None:
    """Raise `MisuseError` unless it holds."""
    if not holds:
        raise MisuseError(complaint)


class Beside:
    """Who runs, what is open, and what is waited for."""

    def __init__(self) -> None:
        self.helpers: set[str] = set()
        """Those that run."""
        self.sockets: set[Listen] = set()
        """Those that are open."""
        self.calendar: set[str] = set()
        """The groups that are in it."""
        self.awaited: dict[str, tuple[Listen, ...]] = {}
        """By group: the sockets at which a first connection is told."""

    def perform(self, action: Action) -> None:
        """Do it, if it is of these things."""
        if isinstance(action, RunHelper):
            self.helpers.add(action.name)
            if isinstance(action.order, Calendar):
                self.calendar.clear()
                self.calendar.update(entry.group for entry in action.order.entries)
        elif isinstance(action, EndHelper):
            need(action.name in self.helpers, f"{action.name} is ended and does not run")
            self.helpers.discard(action.name)
        elif isinstance(action, OpenSockets):
            self.sockets.clear()
            self.sockets.update(action.sockets)
        elif isinstance(action, AwaitDemand):
            need(self.sockets.issuperset(action.sockets), f"{action.group} awaits what is not open")
            self.awaited[action.group] = action.sockets

    def happen(self, due: HelperFall | Instant | Knock, draw: float) -> Event | None:
        """What is told of an incident; None where nobody is there to tell it."""
        if isinstance(due, HelperFall):
            if due.name not in self.helpers:
                return None
            self.helpers.discard(due.name)
            return HelperEnded(due.name, f"the {due.name} was killed", draw)
        if isinstance(due, Knock):
            return Demanded(due.group) if self.awaited.pop(due.group, ()) else None
        told = "scheduler" in self.helpers and due.group in self.calendar
        return Due(due.group, due.missed, due.now) if told else None
