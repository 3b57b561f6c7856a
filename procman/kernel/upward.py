"""Tells whoever started procman how the site is, by sd_notify(3): READY, STATUS, RELOADING, STOPPING, WATCHDOG.

It stands before the kernel, as the loop sees it, so that a ping of the watchdog says that the loop goes round; that is
the one timer that procman has for itself, and only where it was asked for. Nothing that the other side does, or leaves
undone, makes the core wait.
"""

from __future__ import annotations

import _socket
import os
from collections import deque
from collections.abc import Mapping
from time import monotonic_ns

from procman.kernel.loop import Kernel
from procman.kernel.wait.poller import WRITE, Poller
from procman.lean import least, suppress
from procman.policy.events import Action, Event, Report, TimePassed

MOST_QUEUED = 64
"""More is not kept for somebody who does not read."""


class Upward:
    """`loop.Kernel` with somebody above."""

    __slots__ = ("_interval", "_kernel", "_ping_at", "_poller", "_queue", "_sock", "_state")

    def __init__(self, kernel: Kernel, poller: Poller, environ: Mapping[str, str]) -> None:
        """`environ` says where the other side listens (NOTIFY_SOCKET), if anywhere, and how often it wants to hear."""
        self._kernel, self._poller = kernel, poller
        self._queue: deque[bytes] = deque()
        self._sock = _connected(environ.get("NOTIFY_SOCKET", ""))
        self._interval = _interval(environ) if self._sock is not None else None
        self._ping_at = None if self._interval is None else kernel.now()
        self._state = ""

    def now(self) -> float:
        """See `loop.Kernel`."""
        return self._kernel.now()

    def wait(self, deadline: float | None) -> Event:
        """See `loop.Kernel`; between two events, and while there is none, the watchdog is told that all goes on."""
        while True:
            event = self._kernel.wait(least((deadline, self._ping_at)))
            now = self._kernel.now()
            if self._ping_at is not None and self._interval is not None and now >= self._ping_at:
                self._ping_at = now + self._interval
                self._send("WATCHDOG=1")
            if not isinstance(event, TimePassed) or (deadline is not None and now >= deadline):
                return event

    def perform(self, action: Action) -> None:
        """See `loop.Kernel`."""
        if isinstance(action, Report):
            self._report(action)
        else:
            self._kernel.perform(action)

    def close(self) -> None:
        """Say no more."""
        if self._sock is not None:
            self._poller.unwatch(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _report(self, report: Report) -> None:
        lines = [f"STATUS={report.status}"]
        if report.state != self._state:
            self._state = report.state
            if report.state == "ready":
                lines.insert(0, "READY=1")
            elif report.state == "reloading":
                lines[:0] = ["RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}"]
            elif report.state == "stopping":
                lines.insert(0, "STOPPING=1")
        self._send("\n".join(lines))

    def _send(self, text: str) -> None:
        if self._sock is not None and len(self._queue) < MOST_QUEUED:
            self._queue.append(text.encode())
            self._flush(WRITE)

    def _flush(self, _mask: int) -> None:
        """Send what can be sent now; whom nobody hears any more is not told."""
        while self._queue and self._sock is not None:
            try:
                self._sock.send(self._queue[0], _socket.MSG_NOSIGNAL)
            except BlockingIOError:
                with suppress(OSError):
                    self._poller.watch(self._sock.fileno(), WRITE, self._flush)
                return
            except OSError:
                pass
            self._queue.popleft()
        if self._sock is not None:
            self._poller.unwatch(self._sock.fileno())


def _connected(address: str) -> _socket.socket | None:
    """A socket to this address; None where there is nobody."""
    if not address.startswith(("/", "@")):
        return None
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
    except OSError:
        sock.close()
        return None
    return sock


def _interval(environ: Mapping[str, str]) -> float | None:
    """Half of what the watchdog allows, in seconds; None where it is not meant for this process."""
    allowed = environ.get("WATCHDOG_USEC", "")
    meant = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return int(allowed) / 2e6 if meant and allowed.isdigit() and int(allowed) > 0 else None
