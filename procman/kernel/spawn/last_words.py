"""What the last words of a worker are kept in: a file in memory, a place for each who may say any.

A worker that ends by an exception writes the last line of its traceback into its place; the core reads it once, when
the worker is reaped. There is no pipe to be watched, and no descriptor for each worker.
"""

from __future__ import annotations

import os

from procman.lean import suppress

_SIZE = 512
_EMPTY = b"\0" * _SIZE


class LastWords:
    """The file, made when it is first needed. `fd` is -1 where there can be none: then nobody is heard."""

    __slots__ = ("_free", "_top", "fd")

    def __init__(self) -> None:
        self.fd = -1
        self._free: list[int] = []
        self._top = 0

    def take(self) -> int:
        """A place for somebody: the offset at which he writes `PID WORDS`, a line."""
        if self.fd < 0:
            with suppress(OSError):
                self.fd = os.memfd_create("procman-last-words")
        place = self._free.pop() if self._free else self._top
        self._top = max(self._top, place + _SIZE)
        with suppress(OSError):
            os.pwrite(self.fd, _EMPTY, place)
        return place

    def hear(self, place: int, pid: int) -> str:
        """What this process has said there; the place is free again."""
        self._free.append(place)
        try:
            said, _, words = os.pread(self.fd, _SIZE, place).partition(b"\n")[0].partition(b" ")
        except OSError:
            return ""
        text = words.decode("utf-8", "replace").strip("\0") if said == b"%d" % pid else ""
        return "".join(char if char.isprintable() else "?" for char in text)

    def close(self) -> None:
        """Release the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
