"""A site's sockets between the loop and the kernel: a plan whose sockets cannot be had is no plan.

They are opened as soon as a plan is read, before the manager hears of it: so an error at the start ends procman with
nothing started, and an error at a reload leaves all as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from procman.kernel.listener import ListenError
from procman.kernel.loop import Kernel
from procman.kernel.sockets import Sockets
from procman.policy.events import Action, Event, Loaded, LoadFailed, Notice, OpenSockets, Record


class Log(Protocol):
    """Takes records."""

    def write(self, records: Sequence[Record]) -> None: ...


class Listening:
    """`loop.Kernel` with sockets."""

    __slots__ = ("_kernel", "_log", "_sockets")

    def __init__(self, kernel: Kernel, sockets: Sockets, log: Log) -> None:
        self._kernel, self._sockets, self._log = kernel, sockets, log

    def now(self) -> float:
        """See `loop.Kernel`."""
        return self._kernel.now()

    def wait(self, deadline: float | None) -> Event:
        """See `loop.Kernel`. A plan whose sockets cannot be opened becomes an error of the configuration."""
        event = self._kernel.wait(deadline)
        if isinstance(event, Loaded) and (errors := self._sockets.prepare(event.plan.sockets)):
            return LoadFailed(_in_one_line(errors), "\n".join(map(_block, errors)))
        return event

    def perform(self, action: Action) -> None:
        """See `loop.Kernel`."""
        if isinstance(action, OpenSockets):
            for error in self._sockets.follow(action.sockets):
                self._log.write([Notice("sockets.failed", "error", error.reason)])
        else:
            self._kernel.perform(action)

    def close(self) -> None:
        """Close the sockets."""
        self._sockets.close()


def _in_one_line(errors: Sequence[ListenError]) -> str:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return errors[0].reason + more


def _block(error: ListenError) -> str:
    return f"procman: error: {error.reason}\n" + (f"hint: {error.hint}\n" if error.hint else "")
