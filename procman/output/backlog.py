"""What waits to be written at one place: a bounded queue of lines, and the account of those that went over its bound.

Beyond the bound the oldest lines go, of whoever has the most waiting: a flood drowns itself, not the others. They are
counted, and where they are missing a mark says how many and why. So every line that is put in comes out, or is in the
account. Nothing here writes, or waits.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from procman import words
from procman.output.framing import Lines
from procman.output.styles import Origin, Style

NOBODY = "nobody took them in time"


class Lane:
    """One origin's way into one backlog. `block`: its lines are never dropped, the origin is not read instead."""

    __slots__ = ("about", "block", "mark", "origin", "outlet", "serials", "style", "weight")

    def __init__(self, outlet: Backlog, origin: Origin, style: Style, *, block: bool = False) -> None:
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


class Backlog:
    """The queue. `name` is how people know the place: `stdout`, or a file's path; `limit` is in bytes."""

    def __init__(self, name: str, limit: int, clock: Callable[[], int]) -> None:
        self.name, self.limit = name, limit
        self._clock = clock
        self._queue: OrderedDict[int, tuple[Lane, Lines | Loss]] = OrderedDict()
        self._serial = 0
        self._lanes: dict[Lane, None] = {}
        """Those that have something waiting."""
        self.weight = 0
        """The bytes that wait, and those that have been taken and are not written yet."""
        self.failure = ""
        """Why nothing can be written at present."""
        self.hangs = False
        """Whether a write is under way in another thread: nothing can be done here until it has ended."""
        self.lost_lines = self.lost_bytes = 0
        """What has been dropped, and is still to be reported."""
        self.loss_reason = ""
        """Why lines were dropped last."""
        self.in_loss = False
        """Whether a loss has been reported that is not over."""
        self.losing = 0
        """How many marks are still to be written."""
        self.about: tuple[Any, Any] = (None, None)
        """What the plan says of it, from which it can be made again."""
        self.busy: set[Any] = set()
        """All backlogs that have something to write, or a loss to report: this one is put in where that holds."""

    @property
    def full(self) -> bool:
        """Whether no more fits."""
        return self.weight >= self.limit

    @property
    def pending(self) -> bool:
        """Whether anything waits."""
        return bool(self._queue)

    @property
    def lines(self) -> int:
        """How many lines wait."""
        return sum(bytes(data).count(b"\n") for _, data in self._queue.values() if not isinstance(data, Loss))

    def put(self, lane: Lane, data: Lines) -> None:
        """Take lines, already in their style. `mind` is to be called then."""
        self._serial += 1
        self._queue[self._serial] = (lane, data)
        lane.serials.append(self._serial)
        lane.weight += len(data)
        self.weight += len(data)
        self._lanes[lane] = None
        self.busy.add(self)

    def take(self, pieces: int, size: int) -> list[memoryview]:
        """The next so many pieces, until they have this size; a mark where lines are missing is one of them."""
        taken: list[memoryview] = []
        while self._queue and len(taken) < pieces and (not taken or size > 0):
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
            taken.append(memoryview(data))
            size -= len(data)
        return taken

    def mind(self) -> None:
        """After lines were put in: see to the bound."""
        self.bound()

    def bound(self) -> None:
        """Drop what is beyond the limit, and may be dropped."""
        while self.weight > self.limit and self._drop():
            pass

    def state(self, name_of: Callable[[Lane], Any]) -> dict[str, Any]:
        """All that waits, and the account, for `restore` in another process."""
        queue = [[name_of(lane), _packed(data)] for lane, data in self._queue.values()]
        return {
            "about": self.about,
            "queue": queue,
            "lost": (self.lost_lines, self.lost_bytes, self.loss_reason, self.in_loss),
        }

    def restore(self, state: dict[str, Any], lane_of: Callable[[Any], Lane]) -> None:
        """Take over what another's `state` was."""
        self.busy.add(self)
        self.lost_lines, self.lost_bytes, self.loss_reason, self.in_loss = state["lost"]
        for name, data in state["queue"]:
            lane = lane_of(name)
            if isinstance(data, str):
                self.put(lane, data.encode("latin-1"))
            else:
                self._serial += 1
                self._begin_mark(lane, self._serial, Loss(data[2], data[0], data[1]))

    # --- inside ------------------------------------------------------------------------------------------

    def _mark(self, lane: Lane, loss: Loss) -> bytes:
        plural = "" if loss.lines == 1 else "s"
        what = f"{loss.lines:,} line{plural} ({words.size(loss.size)})"
        text = f"\N{HORIZONTAL ELLIPSIS} {what} not written: {loss.reason}"
        fields = {"lost_lines": loss.lines, "lost_bytes": loss.size}
        return lane.style.note(text, self._clock(), fields)

    def _begin_mark(self, lane: Lane, serial: int, loss: Loss) -> Loss:
        lane.mark = loss
        self.losing += 1
        self._queue[serial] = (lane, loss)
        return loss

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
            self.loss_reason = self.failure or NOBODY
            lane.mark = self._begin_mark(lane, serial, Loss(self.loss_reason))
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


def _packed(data: Lines | Loss) -> Any:
    return [data.lines, data.size, data.reason] if isinstance(data, Loss) else bytes(data).decode("latin-1")
