"""The children that the core did not start: orphans of its workers' trees, which the kernel has given to it.

Who they are is learnt by one read a pass: the list of the core's children, compared with those that it knows by their
number alone. It signals nobody, reaps nobody, and finds out not whose they are: that is `whose.py`.
"""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH123

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, KeysView

from procman.kernel.proc import processes
from procman.kernel.proc.processes import Process
from procman.lean import TYPE_CHECKING, suppress
from procman.policy.events import Strays

if TYPE_CHECKING:
    from procman.kernel.tree.tree import Tree

_MARKS = (b"PROCMAN_SITE", b"PROCMAN_GROUP", b"PROCMAN_TASK_ID", b"PROCMAN_GENERATION")

_ENV_START = 47
"""Which of the fields of /proc/PID/stat that come after the name tells where its environment begins."""
_LOOKS = 1000
"""At one who is in the middle of an exec, which takes some twenty microseconds: an exec may also wait for a disk."""

Mark = bytes
"""What procman wrote into the environment of a worker: site, group, task id, generation."""


class Orphans:
    """Those that are there, each with the tree that it is of; None: a stray."""

    __slots__ = ("_known", "_told")

    def __init__(self) -> None:
        self._known: dict[int, tuple[Process, Tree | None]] = {}
        self._told: set[int] = set()
        """The strays, as they were told last."""

    def pids(self) -> KeysView[int]:
        """All of them."""
        return self._known.keys()

    def add(self, pid: int, process: Process, tree: Tree | None) -> None:
        """One more, and of whom it is."""
        self._known[pid] = process, tree
        if tree is not None:
            tree.add_orphan(pid)

    def forget(self, pid: int) -> bool:
        """Have it be none of them, any more: whether it was."""
        known = self._known.pop(pid, None)
        if known and known[1]:
            known[1].orphans.pop(pid, None)
        return known is not None

    def strays(self) -> Strays | None:
        """Who is a stray now, if that is to be told."""
        if not self._known and not self._told:
            return None
        strays = [process for process, tree in self._known.values() if tree is None]
        pids = {process.pid for process in strays}
        if self._told == pids:
            return None
        self._told = pids
        return Strays(len(strays), processes.shown(strays))


class ChildList:
    """The list of the core's children, held open: it can be read when no descriptor is left.

    With a thousand children one read of it costs as much as a spawn. But it can be read on from where the last read
    ended, which the kernel gives in a twentieth of the time: so many were passed and so many are new, and if that is
    how many are known, nobody is unknown.
    """

    __slots__ = ("_file", "_passed")

    def __init__(self) -> None:
        self._file = -1
        self._passed = 0
        """So many stand before the place where the next read begins."""
        if processes.proc_is_ours():
            me = os.getpid()
            with suppress(OSError):  # a kernel without it: then a walk through /proc tells
                self._file = os.open(f"/proc/{me}/task/{me}/children", os.O_RDONLY | os.O_CLOEXEC)

    def without(self, known: Iterable[Iterable[int]], count: int) -> Iterator[int]:
        """Those who are in none of the `known`, which are so many; with nobody new their pids are not looked at."""
        if self._file < 0:
            listed = {process.pid for process in _everybody() if process.parent == os.getpid()}
        else:
            if count >= self._passed:  # else the list may have become shorter than what was passed
                self._read_on()
            if count == self._passed:
                return iter(())
            os.lseek(self._file, 0, os.SEEK_SET)
            self._passed = 0
            listed = set(map(int, self._read_on().split()))
        for some in known:
            listed.difference_update(some)
        return iter(listed)

    def close(self) -> None:
        """Release the descriptor."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read_on(self) -> bytes:
        text = b""
        while part := os.read(self._file, 1 << 16):
            text += part
        self._passed += text.count(b" ")
        return text


def mark_of(pid: int) -> Mark | None:
    """What a worker's environment says that its child was started with; None where that is gone."""
    try:
        text = _environment(pid)
        for _ in range(_LOOKS):
            if text:
                break
            may_have_one = _is_in_exec(pid)
            text = _environment(pid)
            if not may_have_one:
                break
            os.sched_yield()
    except OSError:
        return None
    entries = dict(entry.partition(b"=")[::2] for entry in text.split(b"\0"))
    return mark(*(entries.get(name, b"") for name in _MARKS))


def _environment(pid: int) -> bytes:
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()


def _is_in_exec(pid: int) -> bool:
    """Whether it has new memory without anything in it yet: for a moment it has no environment."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b") ")[2].split()[_ENV_START] == b"0"


def mark(site: bytes, group: bytes, task: bytes, generation: bytes) -> Mark:
    """A mark of these."""
    return b"\0".join((site, group, task, generation))


def _everybody() -> Iterable[Process]:
    try:
        return processes.everybody().values()
    except OSError:
        return ()
