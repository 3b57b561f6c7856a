"""The way out for lines: a backlog before a descriptor that may be slow, full, gone, or on a disk that hangs.

It never blocks whoever puts lines in. What cannot be written waits; see `backlog.py` for what becomes of too much.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any, Protocol

from procman.output.backlog import Backlog, Lane
from procman.output.framing import Lines

_BATCH = 1 << 15
"""So much is written at once, rather than with what the other pipes have: while it is in the processor's caches."""
_MOST = 1 << 18
_PIECES = 64
HANGS = "the disk does not answer"

Done = int | OSError
"""What a write came to: so many bytes, or why not."""


class Waiting(Protocol):
    """What an outlet needs of `kernel.poller.Poller`."""

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None: ...
    def unwatch(self, fd: int) -> None: ...


class Outlet(Backlog):
    """A backlog before a descriptor that does not block."""

    def __init__(self, name: str, fd: int, limit: int, waiting: Waiting, clock: Callable[[], int]) -> None:
        super().__init__(name, limit, clock)
        self.fd = fd
        self._waiting = waiting
        self._rest: list[memoryview] = []
        """What is being written; it stands before all in the queue, and is not dropped any more."""
        self.watched = False
        self.may_hang = fd >= 0 and stat.S_ISREG(os.fstat(fd).st_mode)
        """Whether a write may take as long as a disk likes."""
        self.perform: Callable[[Outlet, list[memoryview]], int] = lambda outlet, pieces: outlet.write(pieces)
        """Does a write that may hang; see `relay.py`."""
        self.eased: Callable[[], None] = lambda: None
        """Called when it is no longer full."""

    @property
    def pending(self) -> bool:
        """Whether anything has not been written."""
        return bool(self._rest or self._queue)

    @property
    def lines(self) -> int:
        """How many lines have not been written."""
        return super().lines + sum(bytes(data).count(b"\n") for data in self._rest)

    def put(self, lane: Lane, data: Lines) -> None:
        """See `Backlog`. What is large need not queue where nothing waits."""
        if len(data) < _BATCH or self._rest or self._queue:
            super().put(lane, data)
        else:
            self._rest = [memoryview(data)]
            self.weight += len(data)
            self.busy.add(self)

    def mind(self) -> None:
        """See `Backlog`: many lines are written before any is dropped."""
        if self.weight >= _BATCH and not self.watched and not self.failure:
            self.flush()
        if self.weight > self.limit:
            self.flush()
            self.bound()

    def flush(self, _events: int = 0) -> None:
        """Write what can be written now. A write that hangs never returns to here: all is in order when it begins."""
        while (self._rest or self._queue) and not self.hangs:
            if not self._rest:
                self._rest = self.take(_PIECES, min(_MOST, self.limit))
            try:
                done: Done = self.perform(self, self._rest) if self.may_hang else self.write(self._rest)
            except OSError as error:
                done = error
            if not self._settle(done):
                return

    def landed(self, done: Done) -> None:
        """The write that hung has ended, and so."""
        self.hangs = False
        self._settle(done)

    def write(self, pieces: list[memoryview]) -> int:
        """Write some of this: how many bytes. Raises BlockingIOError, or OSError."""
        return os.writev(self.fd, pieces)

    def close(self) -> None:
        """Let go of the descriptor. What has not been written is given up, and not counted."""
        self._watch(False)
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def state(self, name_of: Callable[[Lane], Any]) -> dict[str, Any]:
        """See `Backlog`."""
        return {**super().state(name_of), "rest": b"".join(self._rest).decode("latin-1")}

    def restore(self, state: dict[str, Any], lane_of: Callable[[Any], Lane]) -> None:
        """See `Backlog`."""
        if state["rest"]:
            self._rest = [memoryview(state["rest"].encode("latin-1"))]
            self.weight += len(self._rest[0])
        super().restore(state, lane_of)

    # --- inside ------------------------------------------------------------------------------------------

    def _settle(self, done: Done) -> bool:
        """Take account of a write; whether it makes sense to go on."""
        if isinstance(done, OSError):
            blocked = isinstance(done, BlockingIOError)
            self.failure = "" if blocked else (os.strerror(done.errno) if done.errno else str(done)).lower()
            self._watch(blocked)
            return False
        self.failure = ""
        if self.watched:
            self._watch(False)
        weighed = self.weight
        self.weight -= done
        while self._rest and done >= len(self._rest[0]):
            done -= len(self._rest.pop(0))
        if done:
            self._rest[0] = self._rest[0][done:]
        if weighed >= self.limit > self.weight:
            self.eased()
        return True

    def _watch(self, wanted: bool) -> None:
        """Have `flush` called once the descriptor takes more, or no longer."""
        if wanted is not self.watched and self.fd >= 0:
            try:
                if wanted:
                    self._waiting.watch(self.fd, 4, self.flush)  # EPOLLOUT
                else:
                    self._waiting.unwatch(self.fd)
            except OSError:
                return  # not watchable: tried again with the next lines, or at the next retry
            self.watched = wanted
