"""The processes of this machine as /proc has them, in one walk: who is whose child, in which session, since when.

It signals nobody but through a pidfd, and only who is still the one that was seen. The guard runs it too: it imports
the least that can be.
"""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH115, PTH116, PTH123, PTH208

from __future__ import annotations

import os
from time import CLOCK_BOOTTIME, clock_gettime_ns

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the enums of `signal`, which cost a megabyte and milliseconds

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_NAMED = 5
"""So many are named; the others are counted."""
_KERNEL_THREAD = 0x00200000
_LINKS_OF_ONE = 3
"""Of /proc/PID/task while there is one thread: two, as of any directory, and one for each thread."""


class Process:
    """One process; `(pid, started)` is its identity. `parent`, `group` and `session` are as they were seen."""

    __slots__ = ("dying", "group", "name", "parent", "pid", "session", "started")

    def __init__(self, pid: int, name: str, fields: list[bytes]) -> None:
        self.pid, self.name = pid, name
        self.parent, self.group, self.session = int(fields[1]), int(fields[2]), int(fields[3])
        self.started = int(fields[19])
        """Clock ticks since the machine began."""
        self.dying = fields[20] == b"0"
        """Whether it is on its way out: it has no memory any more, and so no environment."""


def now() -> int:
    """The moment, counted as `started` is."""
    return clock_gettime_ns(CLOCK_BOOTTIME) * _TICKS_A_SECOND // 1_000_000_000


def read(pid: int | str) -> Process | None:
    """The process of this number (or `"self"`); None if there is none, or it is dead, or a thread of the kernel.

    Raises OSError where no descriptor is left to look with.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            head, _, tail = file.read().rpartition(b") ")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    fields = tail.split()
    # A leader that has ended while other threads run on is shown as a zombie too.
    dead = fields[0] in (b"Z", b"X") and int(fields[17]) <= 1
    if dead or int(fields[6]) & _KERNEL_THREAD:
        return None
    number, _, name = head.partition(b" (")
    return Process(int(number), name.decode("utf-8", "backslashreplace"), fields)


def shown(processes: list[Process]) -> str:
    """Some of them, for people."""
    names = [f"{process.name} (pid {process.pid})" for process in processes[:_NAMED]]
    return ", ".join(names + ["…"] * (len(processes) > _NAMED))


def everybody() -> dict[int, Process]:
    """All of them, by pid; nobody where /proc is that of another pid namespace. Raises OSError as `read` does."""
    if not proc_is_ours():
        return {}
    seen = (read(name) for name in os.listdir("/proc") if name.isdigit())
    return {process.pid: process for process in seen if process is not None}


def proc_is_ours() -> bool:
    """Whether the numbers in /proc are those that kill() takes."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """Its children, the dead included; none where it is gone, or the kernel does not tell. Raises OSError as `read`."""
    found: list[int] = []
    tasks = f"/proc/{pid}/task"
    try:
        # One thread has no need of a listing, which takes three quarters of the time; a directory's links count them.
        for task in (pid,) if os.stat(tasks).st_nlink == _LINKS_OF_ONE else os.listdir(tasks):
            descriptor = os.open(f"{tasks}/{task}/children", os.O_RDONLY | os.O_CLOEXEC)
            text = b""
            try:
                while part := os.read(descriptor, 1 << 16):
                    text += part
            finally:
                os.close(descriptor)
            found += map(int, text.split())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return found
    return found


def descendants(pid: int) -> list[Process]:
    """All below it, parents first; found child by child, so the cost is theirs alone. Raises OSError as `read` does."""
    found: list[Process] = []
    way = children(pid)
    for child in way:
        process = read(child)
        if process is not None:
            found.append(process)
            way += children(child)
    return found


def below(roots: set[int], processes: dict[int, Process], without: set[int]) -> dict[int, int]:
    """All that descend from the roots, each with its root; not the roots, and nobody through those in `without`."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    root_of: dict[int, int] = {}
    way = [(root, root) for root in roots]
    while way:
        pid, root = way.pop()
        for child in children.get(pid, ()):
            if child not in root_of and child not in roots and child not in without:
                root_of[child] = root
                way.append((child, root))
    return root_of


def hold(process: Process) -> int | None:
    """A pidfd of the very process that was seen; None if it is gone.

    Raises OSError where no descriptor is left but one: that one is for looking.
    """
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    held = False
    try:
        held = _is_still(process)
    finally:
        if not held:
            os.close(pidfd)
    return pidfd if held else None


def send(pidfd: int | None, process: Process, *numbers: int) -> None:
    """Send signals to a process that is held (None: that could not be); one that may not be signalled hears none."""
    try:
        if pidfd is None and not _is_still(process):
            return
        for number in numbers:
            if pidfd is None:
                os.kill(process.pid, number)
            else:
                signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return


def _is_still(process: Process) -> bool:
    now = read(process.pid)
    return now is not None and now.started == process.started
