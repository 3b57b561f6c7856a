"""One client of the control socket: its request as it comes in, and the bytes that wait for it to read.

Reads and writes never block and are bounded. It knows nothing of what is said.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable
from errno import EAGAIN

from procman.control.wire import MAX_REQUEST
from procman.kernel.wait.poller import READ, WRITE, Poller
from procman.lean import suppress
from procman.policy.events import Record, Transition

MAX_QUEUED = 1 << 20
"""Bytes that may wait for a client that does not read, before it is dropped; a single message may be longer."""

_ONLY_HANG_UP = 0
"""Which epoll tells unasked."""
_MSG_NOSIGNAL = 0x4000
_CHUNK = 65536


class Connection:
    """A client, from its first byte to its last."""

    __slots__ = (
        "_gone",
        "_heard",
        "_inbox",
        "_out",
        "_poller",
        "_sock",
        "finished",
        "follows",
        "groups",
        "number",
        "tells",
    )

    def __init__(
        self,
        number: int,
        sock: _socket.socket,
        poller: Poller,
        heard: Callable[[Connection, bytes], None],
        gone: Callable[[Connection], None],
    ) -> None:
        """`heard` is called once, with the request's line (or too much of it); `gone` when it is closed."""
        self.number = number
        self.follows = False
        """Whether it is told all events."""
        self.tells: frozenset[str] = frozenset()
        """The workers whose transitions it is told while it waits, as `api:0`."""
        self.groups: frozenset[str] = frozenset()
        self.finished = False
        """Whether it has been told everything, and only has to read it."""
        self._sock, self._poller, self._heard, self._gone = sock, poller, heard, gone
        self._inbox: bytearray | None = bytearray()
        """The request as far as it has come; None once it is complete: nothing more is read."""
        self._out = bytearray()
        sock.setblocking(False)
        poller.watch(sock.fileno(), READ, self._ready)

    @property
    def idle(self) -> bool:
        """Whether nobody would miss it: it has not asked anything yet, or does not take what it was told."""
        return self._inbox is not None or self.finished

    @property
    def fd(self) -> int:
        """Its descriptor."""
        return self._sock.fileno()

    def cares(self, record: Record) -> bool:
        """Whether it is to be told this record."""
        if isinstance(record, Transition):
            return self.follows or str(record.worker) in self.tells
        return self.follows or (record.event == "group.failed" and record.fields.get("group") in self.groups)

    def send(self, data: bytes) -> None:
        """Send what can be sent now, and keep the rest. One that has not read what came before is dropped."""
        if self._sock.fileno() < 0 or not data:
            return
        if self._out and len(self._out) + len(data) > MAX_QUEUED:
            self.close()
            return
        self._out += data
        if len(self._out) == len(data):
            self._flush()

    def finish(self, data: bytes) -> None:
        """Send the last of it and close, as soon as it has been taken."""
        self.finished, self.follows, self.tells, self.groups = True, False, frozenset(), frozenset()
        self.send(data)
        if not self._out:
            self.close()

    def close(self) -> None:
        """End it now. What has been sent arrives all the same."""
        if self._sock.fileno() >= 0:
            self._poller.unwatch(self._sock.fileno())
            self._sock.close()
            self._gone(self)

    def _ready(self, mask: int) -> None:
        if mask & WRITE and self._out:
            self._flush()
        elif self._inbox is not None:
            self._read(self._inbox)
        elif mask & ~(READ | WRITE):
            self.close()

    def _read(self, inbox: bytearray) -> None:
        try:
            chunk = self._sock.recv(MAX_REQUEST + 1 - len(inbox))
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        inbox += chunk
        line, newline, _ = bytes(inbox).partition(b"\n")
        if newline or len(inbox) > MAX_REQUEST:
            self._inbox = None
            self._poller.watch(self._sock.fileno(), _ONLY_HANG_UP, self._ready)
            self._heard(self, line)
        elif not chunk:
            self.close()

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: self._sock.send(self._out[:_CHUNK], _MSG_NOSIGNAL)]
        except OSError as error:
            if error.errno != EAGAIN:
                self.close()
                return
        self._poller.watch(self._sock.fileno(), WRITE if self._out else _ONLY_HANG_UP, self._ready)
        if self.finished and not self._out:
            self.close()


def turn_away(sock: _socket.socket, data: bytes) -> None:
    """One line to somebody who is not let in, if it can be sent at once."""
    with suppress(OSError):
        sock.setblocking(False)
        sock.send(data, _MSG_NOSIGNAL)
    sock.close()
