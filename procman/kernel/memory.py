"""Whether a SIGKILL that nobody sent was the kernel's, for want of memory: by the counter nearest to this process.

That is its cgroup's (v2, else v1), which a container's limit counts in, or else the whole machine's. It is read once
at the start, and then only when somebody has died of a SIGKILL; it decides nothing.
"""

# The core has no pathlib: it costs half a megabyte.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from procman.kernel.cgroup import home, numbers

_KEY = "oom_kill"


class Memory:
    """The counter."""

    __slots__ = ("_file", "_seen")

    def __init__(self) -> None:
        self._file = next((path for path in _candidates() if _KEY in numbers(path)), "")
        self._seen = numbers(self._file).get(_KEY, 0)

    def has_killed(self) -> bool:
        """Whether the kernel has ended one more than was asked about so far."""
        if numbers(self._file).get(_KEY, 0) <= self._seen:
            return False
        self._seen += 1
        return True


def _candidates() -> Iterator[str]:
    with suppress(OSError):
        yield f"{home()}/memory.events"
    with suppress(OSError):
        yield f"{home('memory')}/memory.oom_control"
    yield "/proc/vmstat"
