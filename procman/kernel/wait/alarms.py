"""Calls at a later time, for those in the kernel who must not wait: one heap, no thread, no signal, no tick.

It has no clock: the loop asks when the next one is due, and rings when that has come.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class Alarm:
    """One call that is due; None once it is cancelled or made."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Have it not made."""
        self.call = None


class Alarms:
    """All that are due, the first first. Times are the monotonic clock's seconds."""

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._count = 0

    def set(self, at: float, call: Callable[[], None]) -> Alarm:
        """Have this called at that time, once."""
        alarm = Alarm(call)
        self._count += 1
        heappush(self._heap, (at, self._count, alarm))
        return alarm

    @property
    def deadline(self) -> float | None:
        """When the next one is due; None if none is."""
        while self._heap and self._heap[0][2].call is None:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> None:
        """Make the calls whose time has come; what they set anew waits for the next ring."""
        due: list[Alarm] = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heappop(self._heap)[2])
        for alarm in due:
            call, alarm.call = alarm.call, None
            if call is not None:
                call()
