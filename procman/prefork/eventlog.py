"""procman's event log as JSON lines, to where the caller of `fork_processes` wants it. It makes nobody wait."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress

from procman.kernel.wait.poller import Poller
from procman.log.jsonl import JsonLines
from procman.log.writer import Writer
from procman.policy.events import Notice, Record

_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class EventLog:
    """Writes through a descriptor of its own, which it knows, so that a child can close its copy."""

    __slots__ = ("_fd", "_lines", "_owned", "_writer")

    def __init__(self, target: int | str | os.PathLike[str], site: str, poller: Poller) -> None:
        """`target` is a path, or a descriptor that stays the caller's. Raises OSError if it cannot be opened."""
        self._lines = JsonLines(site)
        if isinstance(target, int):
            own = _with_own_flags(target)
            self._fd = os.dup(target) if own is None else own
        else:
            own = self._fd = os.open(target, _FLAGS | os.O_APPEND | os.O_CREAT, 0o644)
        self._owned = own is not None
        """Whether the open file is not shared: then it never blocks, and the writer closes it."""
        self._writer = Writer(self._fd, owned=self._owned, poller=poller, lost_line=self._lost_line)

    def write(self, records: Sequence[Record]) -> None:
        """A line each, with the time of now."""
        if records:
            self._writer.put(self._lines.lines(time.time_ns(), records))

    def close(self, *, in_child: bool) -> None:
        """Let go; the parent first writes what can be written within a second, a child leaves that to its parent."""
        if not in_child:
            self._writer.close()
        if in_child or not self._owned:
            os.close(self._fd)

    def _lost_line(self, count: int) -> bytes:
        notice = Notice("log.lost", "warning", f"{count} lines lost: nobody took them in time", {"lines": count})
        return self._lines.lines(time.time_ns(), [notice])[0]


def _with_own_flags(fd: int) -> int | None:
    """The same pipe or terminal once more; None for anything else: a socket, or a file, whose offset others share."""
    if stat.S_ISFIFO(os.fstat(fd).st_mode) or os.isatty(fd):
        with suppress(OSError):  # somebody else's, or there is no /proc: the writer asks before each write
            return os.open(f"/proc/self/fd/{fd}", _FLAGS)
    return None
