"""The scheduler, a helper process: it knows the calendar, sleeps to the next instant, and says whose turn it is.

`main` speaks with the core by its descriptor 0: a JSON message brings the calendar, one goes back for each job that is
due. It starts nothing and holds no state that the core could miss: a new one takes the calendar and goes on.

It sleeps on a timer of the real-time clock that is cancelled when that clock is set (TFD_TIMER_CANCEL_ON_SET), so it
neither polls nor sleeps through a change. An instant that is told less than `LATE_S` after it was due is a run; what
has passed by then (the machine slept, the clock was put forward, the helper was dead) was missed, and is told once. A
clock that is put back by less than `BACK_S` repeats no run, as in cron(8); by more, the new time counts.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim

from procman.lean import least

LATE_S = 60.0
BACK_S = 3 * 3600.0
MOST_MISSED = 1000
"""More are not counted."""

_CLOCK_REALTIME = 0
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2
_NEVER = (1 << 31) - 1


class Turn(NamedTuple):
    """What is to be told of a job."""

    missed: int
    now: bool
    """Whether a run is due."""


class Job:
    """One entry of the calendar, and its next instant."""

    def __init__(self, cron: str, timezone: str | None, after: float) -> None:
        """The first instant is the next one after `after`, in seconds since 1970."""
        self.cron, self._zone = cron, zone_of(timezone)
        self.restart(after)

    def restart(self, after: float) -> None:
        """Begin anew from this moment."""
        self._instants = self._from(after)
        self.next = next(self._instants, None)

    def turn(self, now: float) -> Turn | None:
        """What is to be told by now; None if nothing is."""
        passed: list[float] = []
        while self.next is not None and self.next <= now and len(passed) <= MOST_MISSED:
            passed.append(self.next)
            self.next = next(self._instants, None)
        if len(passed) > MOST_MISSED:
            self.restart(now)
        if not passed:
            return None
        due = now - passed[-1] < LATE_S
        return Turn(len(passed) - due, due)

    def _from(self, after: float) -> Iterator[float]:
        for instant in CronSim(self.cron, datetime.fromtimestamp(after, self._zone)):
            if instant.timestamp() > after:
                yield instant.timestamp()


class Calendar:
    """All jobs, by group."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._entries: dict[str, list[str | None]] = {}
        self._seen = 0.0
        """The latest moment that was looked at."""

    def follow(self, entries: list[list[str | None]], since: float | None, now: float) -> None:
        """Take a new calendar; who was in it before goes on, the others begin at `since`, or now."""
        self._seen = max(self._seen, now)
        wanted = {str(entry[0]): entry for entry in entries}
        for group, entry in wanted.items():
            if self._entries.get(group) != entry:
                self.jobs[group] = Job(str(entry[1]), entry[2], now if since is None else min(since, now))
        self.jobs = {group: self.jobs[group] for group in wanted}
        self._entries = wanted

    def look(self, now: float) -> Iterator[tuple[str, Turn]]:
        """Whose turn it is."""
        if now < self._seen - BACK_S:
            for job in self.jobs.values():
                job.restart(now)
            self._seen = now
        self._seen = max(self._seen, now)
        for group, job in self.jobs.items():
            if (turn := job.turn(now)) is not None:
                yield group, turn

    @property
    def next(self) -> float | None:
        """The next instant of all."""
        return least(job.next for job in self.jobs.values())


def zone_of(name: str | None) -> tzinfo:
    """A time zone; None is the machine's: TZ, /etc/localtime, or UTC. Raises ZoneInfoNotFoundError or ValueError."""
    if name is None:
        name = os.environ.get("TZ", "").removeprefix(":") or None
    if name is not None:
        return ZoneInfo(name)
    try:
        with open("/etc/localtime", "rb") as file:  # noqa: PTH123 - as it is named in tzset(3)
            return ZoneInfo.from_file(file, "localtime")
    except (OSError, ValueError):
        return ZoneInfo("UTC")


class Timer:
    """A timerfd on the real-time clock; `fd` is readable when its time has come, or the clock was set."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_REALTIME, _TFD_NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def set(self, at: float | None) -> None:
        """Wake at this moment, in seconds since 1970 (None: never), and in any case when the clock is set."""
        value = struct.pack("4l", 0, 0, _NEVER if at is None else int(at), 0)  # instants are whole seconds
        flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
        if self._libc.timerfd_settime(self.fd, flags, value, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def clear(self) -> None:
        """Take note: read it, which fails with ECANCELED if the clock was set."""
        try:
            os.read(self.fd, 8)
        except OSError:
            return


def main() -> int:
    """Until the core closes the channel."""
    channel, timer, calendar = socket.socket(fileno=0), Timer(), Calendar()
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.register(timer.fd, select.POLLIN)
    while True:
        # Armed before it looks: a clock that is set from here on wakes it, and one that was set before is seen below.
        armed = calendar.next
        timer.set(armed)
        for group, turn in calendar.look(time.time()):
            channel.send(json.dumps([group, turn.missed, turn.now]).encode())
        if calendar.next != armed:
            continue
        ready = {fd for fd, _ in poll.poll()}
        if timer.fd in ready:
            timer.clear()
        if channel.fileno() in ready:
            message = channel.recv(65536)
            if not message:
                return 0
            told = json.loads(message)
            calendar.follow(told["entries"], told["since"], time.time())
