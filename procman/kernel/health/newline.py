"""Readiness by descriptor: a worker writes one line, however empty, into a pipe that it was given (the way of s6)."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

from procman.kernel.health.probes import Report
from procman.kernel.spawn.program import SpawnError
from procman.kernel.wait.alarms import Alarm, Alarms
from procman.kernel.wait.poller import READ, Poller
from procman.lean import suppress

LAST_WORD_S = 0.1
"""From the end of the pipe to the news of it: a worker that ends closes it, too, and its end says more."""


class Newline:
    """The pipe of one run, until there is a line or there can be none."""

    __slots__ = ("_alarm", "_alarms", "_gone", "_number", "_poller", "_read", "_ready", "write")

    def __init__(self, poller: Poller, alarms: Alarms, number: int, ready: Report, gone: Callable[[str], None]) -> None:
        """`number`: the worker's descriptor; `gone`: told if there will be no line. Raises SpawnError."""
        self._poller, self._alarms, self._number = poller, alarms, number
        self._ready, self._gone = ready, gone
        self._alarm: Alarm | None = None
        try:
            self._read, self.write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise SpawnError("fork", error.errno or 0, "no descriptors are left for its readiness") from None

    def started(self) -> None:
        """The worker has its copy of the end to write."""
        os.close(self.write)
        self.write = -1
        with suppress(OSError):  # no room for a watch: it is never ready, and that is a failure
            self._poller.watch(self._read, READ, self._written)

    def close(self) -> None:
        """Nobody reads any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._close_pipe()

    def _written(self, _mask: int) -> None:
        """Something is in the pipe, or it has come to its end."""
        try:
            said = os.read(self._read, 4096)
        except BlockingIOError:
            return
        if b"\n" in said:
            self._ready(True, "it has written its line")
        elif said:
            return
        else:
            found = f"it has closed descriptor {self._number} without a line"
            self._alarm = self._alarms.set(monotonic() + LAST_WORD_S, lambda: self._gone(found))
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._read >= 0:
            self._poller.unwatch(self._read)
            os.close(self._read)
        if self.write >= 0:
            os.close(self.write)
        self._read = self.write = -1
