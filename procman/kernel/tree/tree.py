"""One worker's tree: its leader and all that descends from it, as far as known. It signals nobody: see `trees.py`."""

from __future__ import annotations

import os
from signal import SIGKILL

from procman.kernel.proc import processes
from procman.kernel.proc.memory import Memory
from procman.kernel.proc.processes import Process
from procman.kernel.tree.adopted import Mark
from procman.kernel.tree.cgroup import Leaf
from procman.lean import TYPE_CHECKING, Protocol
from procman.policy.events import WorkerId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from procman.choices import Cause

_NONE: frozenset[int] = frozenset()
_NO_ORPHAN: dict[int, None] = {}
_NOBODY: dict[tuple[int, int], int] = {}
"""These two are shared by all who have none, which is most of a thousand: nobody writes to them."""


class Heir(Protocol):
    """Who is the leader of a tree that another one has begun."""

    worker: WorkerId
    process: Process

    def send(self, number: int) -> None:
        """Signal it."""

    def close(self) -> None:
        """Hold it no longer."""


class Tree:
    """A worker's tree."""

    __slots__ = ("adopts", "heir", "leaf", "lives", "mark", "orphans", "outside", "pid", "seen", "sent", "told")

    def __init__(self, pid: int, mark: Mark, leaf: Leaf | None, *, adopts: bool) -> None:
        self.pid, self.mark, self.leaf, self.adopts = pid, mark, leaf, adopts
        self.heir: Heir | None = None
        """The leader, if it is another process than at the beginning."""
        self.lives = True
        """Whether the leader is not reaped."""
        self.orphans = _NO_ORPHAN
        """Those of it who are the core's children, the leader apart (a set takes three times the room)."""
        self.outside: Sequence[Process] = ()
        """Those who were not in the leader's group at the last look."""
        self.seen = _NOBODY
        """Members that have left the leader's session, as pid and start time, each with the session that it made."""
        self.told = _NONE
        """What its whole group was sent."""
        self.sent = 0
        """What everybody of it is to hear, whoever turns up; 0: nothing."""

    @property
    def leader(self) -> int:
        """Whose end is that of the worker; `pid` stays the number of the group and of the session."""
        return self.heir.process.pid if self.heir else self.pid

    def add_orphan(self, pid: int) -> None:
        """One more of it is the core's child."""
        if self.orphans is _NO_ORPHAN:
            self.orphans = {}
        self.orphans[pid] = None

    def see(self, process: Process) -> None:
        """Write down one that has left the leader's session."""
        if self.seen is _NOBODY:
            self.seen = {}
        self.seen[process.pid, process.started] = process.session

    def members(self) -> list[Process]:
        """All that can be found now, by the chain of parents and in its cgroup; not the leader. Raises OSError."""
        if not self.orphans and not self.leaf:
            return processes.descendants(self.leader)
        pids = [*self.orphans, *(self.leaf.members() if self.leaf else ())]
        found = [process for pid in pids if pid != self.leader and (process := processes.read(pid))]
        for pid in (self.leader, *self.orphans):
            found += processes.descendants(pid)
        return list({process.pid: process for process in found}.values())

    def cause(self, status: int, memory: Memory) -> Cause | None:
        """What stands behind the signal that ended the leader, with this wait status; None: nothing that is known."""
        if os.WCOREDUMP(status):
            return "core"
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != SIGKILL or SIGKILL in (self.sent, *self.told):
            return None
        return "oom" if (self.leaf and self.leaf.oom_kills()) or memory.has_killed() else None
