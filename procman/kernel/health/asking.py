"""One check of one worker, asked again and again: no two questions at once, and none for longer than it may take."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from procman import words
from procman.kernel.health.probes import Probe, Report
from procman.kernel.wait.alarms import Alarm, Alarms

Ask = Callable[[Report], Probe]
"""Asks once."""

FIRST_WAIT_S = 0.05


class Asking:
    """What is asked, how often, and whom to tell. Times are seconds."""

    __slots__ = ("_alarm", "_alarms", "_ask", "_asked_at", "_interval", "_probe", "_tell", "_timeout", "_wait")

    def __init__(self, alarms: Alarms, ask: Ask, interval: float, timeout: float, tell: Report) -> None:
        self._alarms, self._ask, self._tell = alarms, ask, tell
        self._interval, self._timeout = interval, timeout
        self._wait = interval
        """Until the next question; while somebody is eager it grows up to the interval."""
        self._probe: Probe | None = None
        self._alarm: Alarm | None = None
        self._asked_at = 0.0

    def begin(self, after: float = 0.0, *, eager: bool = False) -> None:
        """Ask for the first time so many seconds from now; who is eager asks more often at first."""
        if eager:
            self._wait = min(FIRST_WAIT_S, self._interval)
        self._set(monotonic() + after, self._next)

    def end(self) -> None:
        """Ask no more, and tell nothing more."""
        if self._alarm is not None:
            self._alarm.cancel()
        if self._probe is not None:
            self._probe.cancel()

    def _set(self, at: float, call: Callable[[], None]) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._alarms.set(at, call)

    def _next(self) -> None:
        self._asked_at = monotonic()
        if self._probe is not None and not self._probe.gone:
            self._answered(False, "the check before this one cannot be ended")
            return
        self._set(self._asked_at + self._timeout, self._expired)
        self._probe = None
        probe = self._ask(self._answered)
        self._probe = probe

    def _expired(self) -> None:
        assert self._probe is not None, "nothing was asked"
        self._probe.cancel()
        self._answered(False, f"no answer within {words.duration(self._timeout)}")

    def _answered(self, well: bool, found: str) -> None:
        self._set(max(self._asked_at + self._wait, monotonic()), self._next)
        self._wait = min(self._wait * 2, self._interval)
        self._tell(well, found)
