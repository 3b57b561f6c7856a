"""The guard from outside: what it would have to know is kept where it can read it, and its process is kept.

The guard ends the workers if the core is gone without having done so: killed, or broken. It is an exec'd child in a
session of its own (`guard_process.py`), not a parent-death signal: that would force every start off the fast path.

What it would have to know is who the workers are, and that nobody can tell it any more once the core is dead: the
workers are somebody else's children then, and nginx or redis have written over the marker in their environment. So the
core writes each worker's pid and stop rule into a file in memory that the guard inherits (`account.py`): one pwrite at
a start and one at an end, 2 µs each. A pipe costs as much, but its reader would have to wake up at every start to empty
it; from the file the guard reads once, when the core is gone.

The guard is killed and reaped before an orderly end, so there is nothing that it could misunderstand. If it and the
core are killed together, the workers live on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from signal import SIGKILL

from procman.kernel.guard import account
from procman.kernel.proc import processes
from procman.kernel.spawn.program import ROOT, SpawnError
from procman.kernel.spawn.spawn import Spawner
from procman.lean import NamedTuple, suppress
from procman.policy.events import GuardRules

BOOT = (
    "import sys; sys.path.append(sys.argv[1]); from procman.kernel.guard.guard_process import main; main(*sys.argv[2:])"
)
_AT_ONCE = account.rule(SIGKILL, "tree", 0.0)
_BY_ITSELF = account.rule(0, "tree", 0.0)
_HELPERS = " helpers"
"""Of this "group" are those who end by themselves."""


class Place(NamedTuple):
    """Where somebody's line is, what group it is of ("" for who is killed at once), since when, and who led before."""

    number: int
    group: str
    noted: int
    first: int = 0
    first_noted: int = 0


class Guard:
    """The account of who is to be ended, and the guard's process. `pid` is None while there is none."""

    __slots__ = ("_file", "_free", "_places", "_rules", "_site", "_spawner", "_started", "_tell", "cgroup", "pid")

    def __init__(self, spawner: Spawner, tell: Callable[[str], None]) -> None:
        """`tell` is called with the reason when it cannot start."""
        self._spawner, self._tell = spawner, tell
        self._file = -1
        """-1: no account is kept. At process 1, which nobody outlives."""
        self._places: dict[int, Place] = {}
        """By pid."""
        self._free: list[int] = []
        self._rules: dict[str, bytes] = {_HELPERS: _BY_ITSELF}
        self._site = ""
        me = processes.read("self")
        self._started = me.started if me else 0
        self.pid: int | None = None
        self.cgroup = ("", "")
        """The site's, and the one to go back to; "": it has none."""
        if os.getpid() != 1:
            with suppress(OSError):
                self._file = os.memfd_create("procman-guard")

    def told(self, pid: int | None, group: str = "") -> None:
        """A worker of this group has this pid now; without a group, a loader or a probe has (if it could start)."""
        if self._file >= 0 and pid is not None:
            number = self._free.pop() if self._free else len(self._places)
            self._note(pid, Place(number, group, processes.now()))

    def spare(self, helpers: set[int]) -> None:
        """These helpers, who run now, end by themselves once the core is gone and they have nothing left to do."""
        known = {pid for pid, place in self._places.items() if place.group == _HELPERS}
        for pid in known - helpers:
            self.forget(pid)
        for pid in helpers - known:
            self.told(pid, _HELPERS)

    def moved(self, old: int, new: int) -> None:
        """A worker has another leader."""
        place = self._places.pop(old, None)
        if place and not place.first:
            place = place._replace(first=old, first_noted=place.noted)
        if place:
            self._note(new, place._replace(noted=processes.now()))

    def forget(self, pid: int) -> None:
        """Nothing is left of who had this pid, if it was told."""
        place = self._places.pop(pid, None)
        if place:
            self._free.append(place.number)
            self._write(place, account.EMPTY)

    def follow(self, order: GuardRules) -> None:
        """Have it run for this site and by these rules; that it cannot start, is told. At process 1 there is none."""
        if self.pid is not None and order.site != self._site:
            self.close()
        self._site = order.site
        if os.getpid() == 1:
            return
        for group, stop in order.rules:
            self._rules[group] = account.rule(stop.signal, stop.scope, stop.grace, adopts=group in order.adopting)
        for pid, place in self._places.items():
            self._note(pid, place)
        if self._file < 0:
            self._tell("the guard cannot start: there was no memory for its account")
        elif self.pid is None:
            try:
                self.pid = self._spawner.helper(self._argv(), self._file, deaf=True)
            except SpawnError as error:
                self._tell(f"the guard cannot start: {error.reason}")

    def ended(self) -> None:
        """It was reaped."""
        self.pid = None

    def close(self) -> None:
        """End it, so that it cannot take this end for another."""
        if self.pid is not None:
            with suppress(OSError):
                os.kill(self.pid, SIGKILL)
                os.waitpid(self.pid, 0)
            self.pid = None

    def _argv(self) -> tuple[str, ...]:
        me = (str(os.getpid()), str(self._started))
        return (sys.executable, "-I", "-S", "-c", BOOT, ROOT, *me, self._site, *self.cgroup)

    def _note(self, pid: int, place: Place) -> None:
        self._places[pid] = place
        rule = self._rules.get(place.group, _AT_ONCE)
        self._write(place, account.line(pid, rule, place.noted, place.first, place.first_noted))

    def _write(self, place: Place, line: bytes) -> None:
        try:  # `suppress` would take as long as the writing
            os.pwrite(self._file, line, place.number * len(line))
        except OSError:
            return  # no memory: what is not written cannot be ended
