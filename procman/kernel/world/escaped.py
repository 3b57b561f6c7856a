"""Who has left the workers' trees of the made-up world, and the drain that ends them: a part of `simulated.py`."""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGKILL
from typing import NamedTuple

from procman.kernel.world.script import Escape
from procman.policy.events import Left


class Farewell(NamedTuple):
    """The end of somebody who had escaped."""

    pid: int


class Escaped:
    """`there` is the truth about them, by pid. Their pids are never given away again."""

    __slots__ = ("_last", "_number", "_schedule", "there")

    def __init__(self, schedule: Callable[[float, Farewell], None]) -> None:
        """`schedule` takes the seconds from now."""
        self.there: dict[int, Escape] = {}
        self._schedule = schedule
        self._number = 0
        """The signal of the drain; 0 before it."""
        self._last = 100_000

    def add(self, escape: Escape) -> None:
        """Somebody escapes; one who comes while the drain is on is told at once."""
        self._last += 1
        self.there[self._last] = escape
        self._tell(self._last)

    def drain(self, number: int) -> Left:
        """Signal them all."""
        self._number = number
        for pid in self.there:
            self._tell(pid)
        return Left(len(self.there), "somebody")

    def part(self, pid: int) -> bool | None:
        """One ends, and perhaps another begins: whether the drain is over; None if it had ended before."""
        escape = self.there.pop(pid, None)
        if escape is None:
            return None
        if escape.heirs:
            self.add(escape._replace(heirs=escape.heirs - 1))
        return not self.there

    def _tell(self, pid: int) -> None:
        escape = self.there[pid]
        if self._number == SIGKILL:
            if escape.mortal:
                self._schedule(0.0, Farewell(pid))
        elif self._number and escape.obeys_after is not None:
            self._schedule(escape.obeys_after, Farewell(pid))
