"""Who has started procman with `up --detach`: waits until the site is ready, and goes.

A pipe leads there, which tells the core both ways: what is written into it, and, since nobody reads any more, that the
caller has gone. Then its streams are let go of, or whoever reads them (`up --detach 2>&1 | tail`) would wait for ever.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable

from procman.kernel.wait.poller import Poller
from procman.lean import suppress

_ONLY_HANG_UP = 0
"""Which epoll tells unasked."""


def keep_standard_error() -> int:
    """The caller's standard error for the core alone; what is started finds /dev/null in its place.

    A file stays what it is, for the core (2) and for all that it starts: nobody waits for its end.
    """
    try:
        if stat.S_ISREG(os.fstat(2).st_mode):
            return 2
        own = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:  # it was closed
        return 2
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, 2)
    os.close(null)
    return own


class Caller:
    """The other end of the pipe."""

    __slots__ = ("_gone", "_pipe", "_poller")

    def __init__(self, poller: Poller, pipe: int, gone: Callable[[], None]) -> None:
        """`pipe` is -1 where nobody waits; `gone` is called once."""
        self._poller, self._pipe, self._gone = poller, pipe, gone
        if pipe >= 0:
            poller.watch(pipe, _ONLY_HANG_UP, self._hung_up)

    def tell(self, socket: str, log: str) -> None:
        """That the site is there: where its control socket and its log are; each is empty where there is none."""
        if self._pipe >= 0:
            with suppress(OSError):
                os.write(self._pipe, os.fsencode(f"{socket}\0{log}\n"))

    def _hung_up(self, _mask: int) -> None:
        self._poller.unwatch(self._pipe)
        os.close(self._pipe)
        self._pipe = -1
        self._gone()
