"""Weighs workers that run: how long they do, and how large they have grown, where somebody asked to be told.

The size is looked at every ten seconds, since the kernel tells nobody when a process has grown; a worker that nobody
asked about is never looked at. A `given.Provider` that gives nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

from procman.kernel.spawn.given import NOTHING, Given
from procman.kernel.wait.alarms import Alarm, Alarms
from procman.policy.events import Event, Outgrown, Spawn, Weigh, WorkerId

INTERVAL_S = 10.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Scales:
    """All that are weighed."""

    __slots__ = ("_alarms", "_deliver", "_interval_s", "_set")

    def __init__(self, alarms: Alarms, deliver: Callable[[Event], None], interval_s: float = INTERVAL_S) -> None:
        self._alarms, self._deliver, self._interval_s = alarms, deliver, interval_s
        self._set: dict[WorkerId, dict[str, Alarm]] = {}

    def give(self, spawn: Spawn) -> Given:  # noqa: ARG002 - it is the protocol's
        """See `given.Provider`."""
        return NOTHING

    def started(self, worker: WorkerId, pid: int) -> None:
        """See `given.Provider`."""

    def ended(self, worker: WorkerId) -> None:
        """See `given.Provider`."""
        for alarm in self._set.pop(worker, {}).values():
            alarm.cancel()

    def weigh(self, action: Weigh) -> None:
        """Do as it says, and no longer as another one has said before."""
        self.ended(action.worker)
        self._set[action.worker] = {}
        if action.after is not None:
            self._later(action.worker, "age", action.after, lambda: self._deliver(Outgrown(action.worker)))
        if action.rss is not None:
            self._look_later(action, action.rss)

    def _look_later(self, action: Weigh, most: int) -> None:
        def look() -> None:
            size = resident(action.pid)
            if size is None:
                return  # it has ended, and is about to be reaped
            if size > most:
                self._deliver(Outgrown(action.worker, size))
            self._look_later(action, most)

        self._later(action.worker, "size", self._interval_s, look)

    def _later(self, worker: WorkerId, what: str, after: float, call: Callable[[], None]) -> None:
        self._set[worker][what] = self._alarms.set(monotonic() + after, call)


def resident(pid: int) -> int | None:
    """How many bytes of a process are in memory, those that it shares included; None if it is no more. See proc(5)."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:  # noqa: PTH123 - no pathlib in the core
            return int(file.read(128).split()[1]) * _PAGE
    except (OSError, IndexError):
        return None
