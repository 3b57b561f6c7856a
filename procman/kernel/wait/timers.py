"""What the kernel itself has to do at a time: the loader's deadline, the pump's patience. It never waits."""

from __future__ import annotations

from procman.lean import Protocol, least


class Timer(Protocol):
    """One of them."""

    @property
    def deadline(self) -> float | None:
        """When to call `due`, on the monotonic clock; None: never, as things are."""

    def due(self, now: float) -> None:
        """Do what is to be done by now, if anything is."""


class Timers:
    """All of them."""

    __slots__ = ("_timers",)

    def __init__(self, *timers: Timer) -> None:
        self._timers = [*timers]

    def add(self, timer: Timer) -> None:
        """One more."""
        self._timers.append(timer)

    def due(self, now: float) -> None:
        """See `Timer`."""
        for timer in self._timers:
            timer.due(now)

    def least(self, deadline: float | None) -> float | None:
        """The earliest of their deadlines and this one."""
        return least([deadline, *[timer.deadline for timer in self._timers]])
