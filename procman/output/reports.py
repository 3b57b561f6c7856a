"""What the pump tells the core: in order, and without waiting for it."""

from __future__ import annotations

import select
import time
from collections import deque
from contextlib import suppress

from procman.output.outlet import Outlet
from procman.output.protocol import Channel, Message

_PAUSE_S = 1.0
"""Between two reports on a loss that goes on."""


class Reports:
    """The messages to the core. Those that it does not take wait."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._queue: deque[Message] = deque()
        self._told: dict[Outlet, float] = {}
        """Outlets that are losing lines: when that was told last."""

    @property
    def pending(self) -> bool:
        """Whether any waits."""
        return bool(self._queue)

    def send(self, message: Message) -> None:
        """Tell something."""
        self._queue.append(message)
        self.flush()

    def flush(self) -> None:
        """Send what the core takes."""
        with suppress(OSError):  # it is gone: the channel's other end says so
            while self._queue and self._channel.send(self._queue[0]):
                self._queue.popleft()

    def last(self, message: Message, descriptor: int) -> None:
        """Tell this after all the others, and wait until the core has room for it, or is gone."""
        room = select.poll()
        room.register(self._channel.fd, select.POLLOUT)
        with suppress(OSError):
            while self._queue or not self._channel.send(message, [descriptor]):
                room.poll()
                self.flush()

    def look(self, outlet: Outlet) -> None:
        """Tell what has been lost there: at once when it begins and when it is over, now and then in between."""
        over = not outlet.failure and not outlet.losing
        if not outlet.lost_lines and not outlet.in_loss:
            return
        now = time.monotonic()
        if over or (outlet.lost_lines and now - self._told.get(outlet, 0.0) >= _PAUSE_S):
            self._told[outlet], outlet.in_loss = now, not over
            lost = {"lines": outlet.lost_lines, "bytes": outlet.lost_bytes, "reason": outlet.loss_reason}
            self.send({"say": "lost", "outlet": outlet.name, **lost, "over": over})
            outlet.lost_lines = outlet.lost_bytes = 0
        if over:
            del self._told[outlet]
