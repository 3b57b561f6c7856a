"""One epoll set for the whole core: who waits for a descriptor leaves a callback here.

It never reads or writes a descriptor, never closes one, and wakes for nothing but what it was asked to watch.
"""

from __future__ import annotations

import select
from collections.abc import Callable

Callback = Callable[[int], None]
"""Called with the epoll mask that was seen. May come once too often, so read and write without blocking."""

READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Poller:
    """Callbacks by descriptor, level-triggered."""

    __slots__ = ("_callbacks", "_epoll", "_soon")

    def __init__(self) -> None:
        self._epoll = select.epoll()  # close-on-exec, as Python makes them all
        self._callbacks: dict[int, Callback] = {}
        self._soon: list[Callable[[], None]] = []

    def soon(self, call: Callable[[], None]) -> None:
        """Have this called once, before the next look for events: what one turn of the loop puts off till its end."""
        self._soon.append(call)

    def watch(self, fd: int, events: int, callback: Callback) -> None:
        """Call `callback` whenever one of `events` (READ, WRITE) holds, or the other end hangs up.

        Watching again changes events and callback. Raises PermissionError for what cannot be waited for
        (a regular file is always ready), OSError where the kernel refuses.
        """
        if fd in self._callbacks:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor; harmless if it is not watched. Always before the descriptor is closed.

        A forked child that has not yet exec'd shares the open file: after a mere close the epoll set would
        go on reporting it, with nobody left to take it out.
        """
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def poll(self, timeout_s: float | None) -> None:
        """Wait for events, at most so many seconds (None: for ever; rounded up to milliseconds), and call back."""
        while self._soon:
            self._soon.pop()()
        for fd, mask in self._epoll.poll(timeout_s):
            callback = self._callbacks.get(fd)
            if callback is not None:  # an earlier callback of this batch may have unwatched it
                callback(mask)

    def close(self) -> None:
        """Release the epoll descriptor; the watched ones stay open."""
        self._callbacks.clear()
        self._epoll.close()
