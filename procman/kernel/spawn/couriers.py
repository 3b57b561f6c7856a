"""Couriers: forks of the core that do for a zygote what may take its time and wants the core's rights, and end.

They open secrets: a file system that hangs would hold up whoever opens a file there. One keeps nothing of the core's
open but what it needs, since it may live longer than the core would like. It is not waited for: its end is its answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from errno import ECHILD, EINVAL

from procman.kernel.spawn.fork import answer, answer_with, forked, leave_the_core
from procman.kernel.spawn.program import SpawnError
from procman.lean import TYPE_CHECKING, suppress

if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal

LOST = SpawnError("secret", ECHILD, "whoever was to open its secrets was killed")
"""Of a courier that has not said how it went: it may have done what it was for, or not."""

_NAME = b"procman-courier"

Done = Callable[[SpawnError | None], None]
"""Takes why it was in vain, or None."""


class Couriers:
    """Those under way; a `tree.reaper.Owner`."""

    __slots__ = ("_told", "_under_way")

    def __init__(self, told: Callable[[int], None]) -> None:
        """`told` hears of every pid: of whoever ends them if the core is gone."""
        self._told = told
        self._under_way: dict[int, tuple[int, Done]] = {}
        """By the pid, with the pipe that brings the answer."""

    def send(self, errand: Callable[[], None], fds: Iterable[int], done: Done) -> int:
        """Have this done elsewhere, with these descriptors, and `done` told at its end: the pid. Raises SpawnError."""
        pid, pipe = forked(lambda answer_to: _run(errand, answer_to, fds))
        self._under_way[pid] = pipe, done
        self._told(pid)
        return pid

    def recall(self, pid: int) -> None:
        """Its end matters to nobody any more, if it has not come."""
        if pid in self._under_way:
            self._under_way[pid] = self._under_way[pid][0], lambda _error: None
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def pids(self) -> Iterable[int]:
        """Those that run."""
        return self._under_way.keys()

    def reaped(self, pid: int, code: int) -> bool:
        """See `Owner`."""
        if pid not in self._under_way:
            return False
        pipe, done = self._under_way.pop(pid)
        try:
            error = answer(pipe)
        finally:
            os.close(pipe)
        done(LOST if error is None and code else error)
        return True


def _run(errand: Callable[[], None], answer_to: int, fds: Iterable[int]) -> NoReturn:
    """The forked child. Whatever happens, it never returns into the core's code."""
    try:
        leave_the_core()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _close_all_but({answer_to, *fds})
        with suppress(OSError), open("/proc/self/comm", "wb") as comm:  # noqa: PTH123 - no pathlib in the core
            comm.write(_NAME)
        errand()
        os._exit(0)
    except SpawnError as error:
        answer_with(answer_to, error)
    except Exception as error:
        answer_with(answer_to, SpawnError("setup", EINVAL, repr(error)))
    finally:
        os._exit(127)


def _close_all_but(fds: Iterable[int]) -> None:
    start = 0
    for fd in sorted(fds):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))
