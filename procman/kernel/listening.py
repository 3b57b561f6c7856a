"""A site's sockets between the loop and the kernel: a plan whose sockets cannot be had is no plan.

They are opened as soon as a plan is read, before the manager hears of it: so an error at the start ends procman with
nothing started, and an error at a reload leaves all as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from procman.kernel.loop import Kernel
from procman.kernel.sockets.listener import ListenError
from procman.kernel.sockets.sockets import Sockets
from procman.kernel.wait.poller import READ, Poller
from procman.lean import Protocol
from procman.plan import Listen
from procman.policy.events import (
    Action,
    AwaitDemand,
    Demanded,
    Event,
    Loaded,
    LoadFailed,
    Notice,
    OpenSockets,
    Record,
)


class Log(Protocol):
    """Takes records."""

    def write(self, records: Sequence[Record]) -> None: ...


class Listening:
    """`loop.Kernel` with sockets."""

    __slots__ = ("_awaited", "_deliver", "_kernel", "_log", "_poller", "_sockets")

    def __init__(
        self, kernel: Kernel, sockets: Sockets, log: Log, poller: Poller, deliver: Callable[[Demanded], None]
    ) -> None:
        """`deliver` takes what a first connection tells."""
        self._kernel, self._sockets, self._log, self._poller, self._deliver = kernel, sockets, log, poller, deliver
        self._awaited: dict[str, Sequence[Listen]] = {}
        """By group: the sockets that are watched."""

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
            self._follow(action.sockets)
        elif isinstance(action, AwaitDemand):
            self._await(action.group, action.sockets)
        else:
            self._kernel.perform(action)

    def _follow(self, sockets: Sequence[Listen]) -> None:
        awaited = dict(self._awaited)
        for group in awaited:
            self._await(group, ())  # before any of them is closed
        for error in self._sockets.follow(sockets):
            self._log.write([Notice("sockets.failed", "error", error.reason)])
        for group, listens in awaited.items():
            self._await(group, listens)

    def _await(self, group: str, listens: Sequence[Listen]) -> None:
        for fd in self._sockets.descriptors(self._awaited.pop(group, ())):
            self._poller.unwatch(fd)
        if listens:
            self._awaited[group] = listens
            for fd in self._sockets.descriptors(listens):
                self._poller.watch(fd, READ, lambda _mask: self._demanded(group))

    def _demanded(self, group: str) -> None:
        self._await(group, ())
        self._deliver(Demanded(group))

    def close(self) -> None:
        """Close the sockets."""
        for group in tuple(self._awaited):
            self._await(group, ())
        self._sockets.close()


def _in_one_line(errors: Sequence[ListenError]) -> str:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return errors[0].reason + more


def _block(error: ListenError) -> str:
    return f"procman: error: {error.reason}\n" + (f"hint: {error.hint}\n" if error.hint else "")
