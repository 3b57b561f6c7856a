"""Whom the guard ends: a tree with its rule, and the members, each with what it was sent. It looks for nobody.

The guard imports this: it imports the least that can be.
"""

from __future__ import annotations

from procman.kernel.guard.account import Entry
from procman.kernel.proc import processes
from procman.kernel.proc.processes import Process

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the enums of `signal`, which cost a megabyte and milliseconds

_ORPHANS_GRACE_S = 8.0
LAST_WAIT_S = 5.0
"""For the helpers; and for all after the last KILL: who is there then cannot be ended."""

WORKERS, ORPHANS, HELPERS = range(3)
"""The phases: who is ended in each."""


class Tree:
    """A worker or a helper, and how it is to end; or the orphans, who have no leader and no entry."""

    __slots__ = ("_noted", "adopts", "deadline", "first", "grace", "leader", "leader_lives", "number", "phase", "scope")

    def __init__(self, entry: Entry | None) -> None:
        if entry is None:
            self.leader = self.first = -1
            self.number, self.scope, self.adopts = int(signal.SIGTERM), "tree", False
            self._noted: dict[int, int] = {}
            self.grace, self.phase = _ORPHANS_GRACE_S, ORPHANS
        else:
            self.leader, self.first = entry.leader, entry.first or entry.leader
            self._noted = {self.first: entry.first_noted, self.leader: entry.noted}
            self.number, self.scope, self.adopts = entry.number, entry.scope, entry.adopts
            self.grace, self.phase = (entry.grace, WORKERS) if entry.number else (LAST_WAIT_S, HELPERS)
        self.deadline = float("inf")
        """Not before its phase has begun."""
        self.leader_lives = False

    def numbers(self, everybody: dict[int, Process]) -> list[int]:
        """Those of its leader, and of the first one, which are its groups' too, as far as nobody else has them now."""
        return [
            number
            for number, noted in self._noted.items()
            if number not in everybody or everybody[number].started <= noted
        ]


class Member:
    """A process of a tree; `sent` is what it was sent."""

    __slots__ = ("pidfd", "process", "sent", "tree")

    def __init__(self, process: Process, tree: Tree) -> None:
        self.process, self.tree = process, tree
        self.pidfd: int | None = None
        self.sent: set[int] = set()

    def send(self, number: int) -> None:
        """Send it, once; a stopped process hears it too."""
        if number not in self.sent:
            self.sent.add(number)
            numbers = (number,) if number == signal.SIGKILL else (number, signal.SIGCONT)
            processes.send(self.pidfd, self.process, *numbers)
