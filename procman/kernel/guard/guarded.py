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

    __slots__ = ("adopts", "deadline", "first", "grace", "leader", "leader_lives", "number", "phase", "scope", "since")

    def __init__(self, entry: Entry | None) -> None:
        if entry is None:
            self.leader = self.first = -1
            self.since, self.number, self.scope, self.adopts = 0, int(signal.SIGTERM), "tree", False
            self.grace, self.phase = _ORPHANS_GRACE_S, ORPHANS
        else:
            self.leader, self.first, self.since = entry.leader, entry.first or entry.leader, entry.since
            self.number, self.scope, self.adopts = entry.number, entry.scope, entry.adopts
            self.grace, self.phase = (entry.grace, WORKERS) if entry.number else (LAST_WAIT_S, HELPERS)
        self.deadline = float("inf")
        """Not before its phase has begun."""
        self.leader_lives = False

    def keeps(self, everybody: dict[int, Process]) -> bool:
        """Whether the number of its first leader, which has another one now, is still that of its group."""
        return self.first != self.leader and (
            self.first not in everybody or everybody[self.first].started == self.since
        )


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
