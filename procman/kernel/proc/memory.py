"""Whether a SIGKILL that nobody sent was the kernel's, for want of memory: by the counter nearest to this process.

That is its cgroup's (v2, else v1), which a container's limit counts in, or else the whole machine's. It is read once
at the start, and then only when somebody has died of a SIGKILL; it decides nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from procman.kernel.proc.hierarchy import home
from procman.lean import suppress

_KEY = b"\noom_kill "
_LONGEST = 1 << 16


class Memory:
    """The counter, held open."""

    __slots__ = ("_descriptor", "_is_read", "_left", "_seen")

    def __init__(self) -> None:
        self._descriptor = -1
        self._seen = self._left = 0
        """Those that were counted so far, and those of them that nobody has asked about."""
        self._is_read = False
        for path in _candidates():
            with suppress(OSError):
                self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                if (number := self._count()) is not None:
                    self._seen = number
                    return
                self.close()

    def has_killed(self) -> bool:
        """Whether the kernel has ended one more than was asked about so far."""
        if not self._is_read:
            self._is_read = True
            number = self._count() or 0
            self._left += max(0, number - self._seen)
            self._seen = number
        told, self._left = self._left > 0, max(0, self._left - 1)
        return told

    def look(self) -> None:
        """Others have died: when asked, read it again."""
        self._is_read = False

    def close(self) -> None:
        """Release the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _count(self) -> int | None:
        try:
            text = b"\n" + os.pread(self._descriptor, _LONGEST, 0)
        except OSError:
            return None
        _, found, rest = text.partition(_KEY)
        return int(rest.split(maxsplit=1)[0]) if found else None


def _candidates() -> Iterator[str]:
    with suppress(OSError):
        yield f"{home()}/memory.events"
    with suppress(OSError):
        yield f"{home('memory')}/memory.oom_control"
    yield "/proc/vmstat"
