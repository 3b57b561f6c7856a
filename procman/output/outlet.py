"""The way out for lines: a bounded queue before a descriptor that may be slow, full or gone. It never blocks.

What cannot be written waits. Beyond the bound the oldest lines go, of whoever has the most waiting: a flood drowns
itself, not the others. They are counted, and where they are missing a mark says how many and why. So every line that is
put in comes out, or is in the account.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Protocol

from procman import words
from procman.output.framing import Lines
from procman.output.styles import Origin, Style

_BATCH = 1 << 18
_PIECES = 64
NOBODY = "nobody took them in time"


class Waiting(Protocol):
    """What an outlet needs of `kernel.poller.Poller`."""

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None: ...
    def unwatch(self, fd: int) -> None: ...


class Lane:
    """One origin's way into one outlet. `block`: its lines are never dropped, the origin is not read instead."""

    __slots__ = ("about", "block", "mark", "origin", "outlet", "serials", "style", "weight")

    def __init__(self, outlet: Outlet, origin: Origin, style: Style, *, block: bool = False) -> None:
        self.outlet, self.origin, self.style, self.block = outlet, origin, style, block
        self.about: tuple[Any, Any] = (None, None)
        """What the plan says of it, from which it can be made again."""
        self.serials: deque[int] = deque()
        self.weight = 0
        self.mark: Loss | None = None
        """What has been dropped of it since a mark was written."""

    def put(self, lines: Lines, now_ns: int) -> None:
        """Send lines on their way."""
        self.outlet.put(self, self.style.lines(lines, now_ns))

    def note(self, text: str, now_ns: int, **fields: Any) -> None:
        """Send a line of the pump's own."""
        self.outlet.put(self, self.style.note(text, now_ns, fields))

    @property
    def must_wait(self) -> bool:
        """Whether its origin is not to be read for now."""
        return self.block and self.outlet.full


class Loss:
    """Lines that are not written, in a row of one lane."""

    __slots__ = ("lines", "reason", "size")

    def __init__(self, reason: str, lines: int = 0, size: int = 0) -> None:
        self.lines, self.size, self.reason = lines, size, reason


class Outlet:
    """A queue before a descriptor that does not block. `name` is how people know it: `stdout`, or a file's path."""

    def __init__(self, name: str, fd: int, limit: int, waiting: Waiting, clock: Callable[[], int]) -> None:
        self.name, self.fd, self.limit = name, fd, limit
        self._waiting, self._clock = waiting, clock
        self._queue: OrderedDict[int, tuple[Lane, Lines | Loss]] = OrderedDict()
        self._serial = 0
        self._lanes: dict[Lane, None] = {}
        """Those that have something waiting."""
        self._rest: list[memoryview] = []
        """What is being written; it stands before all in the queue, and is not dropped any more."""
        self.weight = 0
        self.watched = False
        self.failure = ""
        """Why nothing can be written at present."""
        self.lost_lines = self.lost_bytes = 0
        """The account of all that has been dropped."""
        self.loss_reason = ""
        """Why lines were dropped last."""
        self.losing = 0
        """How many marks are still to be written."""
        self.told_lines = 0
        """How many lost lines of the past have been reported."""
        self.busy: set[Outlet] = set()
        """All outlets that have something to write, or a loss to report: this one is put in where that holds."""
        self.eased: Callable[[], None] = lambda: None
        """Called when it is no longer full."""

    @property
    def full(self) -> bool:
        """Whether no more fits."""
        return self.weight >= self.limit

    @property
    def pending(self) -> bool:
        """Whether anything has not been written."""
        return bool(self._rest or self._queue)

    @property
    def lines(self) -> int:
        """How many lines have not been written."""
        waiting = [bytes(data) for _, data in self._queue.values() if not isinstance(data, Loss)]
        return sum(data.count(b"\n") for data in (*map(bytes, self._rest), *waiting))

    def put(self, lane: Lane, data: Lines) -> None:
        """Take lines, already in their style. They are written by `flush`."""
        self._serial += 1
        self._queue[self._serial] = (lane, data)
        lane.serials.append(self._serial)
        size = len(data)
        lane.weight += size
        self.weight += size
        self._lanes[lane] = None
        self.busy.add(self)
        if self.weight >= _BATCH and not self.watched and not self.failure:
            self.flush()  # while it is in the processor's caches
        if self.weight > self.limit:
            self.flush()
            while self.weight > self.limit and self._drop():
                pass

    def flush(self, _events: int = 0) -> None:
        """Write what can be written now."""
        was_full = self.full
        try:
            while self._rest or self._queue:
                if not self._rest:
                    self._rest = self._next()
                self._advance(self.write(self._rest))
            self.failure = ""
            self._watch(False)
        except BlockingIOError:
            self.failure = ""
            self._watch(True)
        except OSError as error:
            self.failure = (os.strerror(error.errno) if error.errno else str(error)).lower()
            self._watch(False)
        if was_full and not self.full:
            self.eased()

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
        """All that has not been written, and the account, for `restore` in another process."""
        rest = b"".join(self._rest).decode("latin-1")
        queue = [[name_of(lane), _packed(data)] for lane, data in self._queue.values()]
        lost = self.lost_lines, self.lost_bytes, self.loss_reason, self.told_lines
        return {"rest": rest, "queue": queue, "lost": lost}

    def restore(self, state: dict[str, Any], lane_of: Callable[[Any], Lane]) -> None:
        """Take over what another outlet's `state` was."""
        self.lost_lines, self.lost_bytes, self.loss_reason, self.told_lines = state["lost"]
        if state["rest"]:
            self._rest = [memoryview(state["rest"].encode("latin-1"))]
            self.weight += len(self._rest[0])
            self.busy.add(self)
        for name, data in state["queue"]:
            lane = lane_of(name)
            if isinstance(data, str):
                self.put(lane, data.encode("latin-1"))
            else:
                self._serial += 1
                lane.mark = Loss(data[2], data[0], data[1])
                self.losing += 1
                self.busy.add(self)
                self._queue[self._serial] = (lane, lane.mark)

    # --- inside ------------------------------------------------------------------------------------------

    def _next(self) -> list[memoryview]:
        """The next pieces, taken out of the queue."""
        pieces: list[memoryview] = []
        size = 0
        while self._queue and len(pieces) < _PIECES and (not pieces or size < min(_BATCH, self.limit)):
            _, (lane, data) = self._queue.popitem(last=False)
            if isinstance(data, Loss):
                lane.mark = None
                self.losing -= 1
                data = self._mark(lane, data)
                self.weight += len(data)
            else:
                lane.serials.popleft()
                lane.weight -= len(data)
                if not lane.serials:
                    self._lanes.pop(lane, None)
            pieces.append(memoryview(data))
            size += len(data)
        return pieces

    def _mark(self, lane: Lane, loss: Loss) -> bytes:
        plural = "" if loss.lines == 1 else "s"
        what = f"{loss.lines:,} line{plural} ({words.size(loss.size)})"
        text = f"\N{HORIZONTAL ELLIPSIS} {what} not written: {loss.reason}"
        fields = {"lost_lines": loss.lines, "lost_bytes": loss.size}
        return lane.style.note(text, self._clock(), fields)

    def _advance(self, written: int) -> None:
        self.weight -= written
        while self._rest and written >= len(self._rest[0]):
            written -= len(self._rest.pop(0))
        if written:
            self._rest[0] = self._rest[0][written:]

    def _drop(self) -> bool:
        """Drop the oldest of whoever has the most; False if there is nothing that may be dropped."""
        lane = max((lane for lane in self._lanes if not lane.block), key=lambda lane: lane.weight, default=None)
        if lane is None:
            return False
        serial = lane.serials.popleft()
        data = self._queue[serial][1]
        assert not isinstance(data, Loss), "a mark has no serial in its lane"
        lines = bytes(data).count(b"\n")
        if lane.mark is None:
            lane.mark = Loss(self.failure or NOBODY)
            self.loss_reason = lane.mark.reason
            self.losing += 1
            self._queue[serial] = (lane, lane.mark)
        else:
            del self._queue[serial]
        lane.mark.lines += lines
        lane.mark.size += len(data)
        lane.weight -= len(data)
        self.weight -= len(data)
        self.lost_lines += lines
        self.lost_bytes += len(data)
        if not lane.serials:
            del self._lanes[lane]
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


def _packed(data: Lines | Loss) -> Any:
    return [data.lines, data.size, data.reason] if isinstance(data, Loss) else bytes(data).decode("latin-1")
