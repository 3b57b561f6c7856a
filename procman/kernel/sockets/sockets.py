"""The site's listening sockets: opened once, handed to every worker of their group, closed when no plan has them.

They outlive every worker and every reload that keeps them, so no connection is refused meanwhile. Nothing here accepts
or reads: a connection waits in the kernel until a worker takes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from procman.kernel.sockets.listener import Listener, ListenError, adopt, open_listener
from procman.kernel.spawn.given import NOTHING, Given
from procman.kernel.spawn.program import SpawnError
from procman.plan import Listen
from procman.plan.listen import variable
from procman.policy.events import Spawn, WorkerId

FIRST = 3
"""The first descriptor that is handed on; sd_listen_fds(3)."""


class Sockets:
    """Those that are open, by their keys. A `given.Provider`."""

    __slots__ = ("_from_above", "_open")

    def __init__(self, from_above: Mapping[str, int]) -> None:
        """`from_above`: the descriptors that procman itself was given, by name."""
        self._from_above = dict(from_above)
        self._open: dict[str, tuple[Listen, Listener]] = {}

    def prepare(self, wanted: Sequence[Listen]) -> list[ListenError]:
        """Open what is not open yet, or close it all again and say why it cannot be; what is open is not touched."""
        before = set(self._open)
        errors: list[ListenError] = []
        for listen in wanted:
            try:
                self._have(listen)
            except ListenError as error:
                errors.append(error)
        if errors:
            self._let_go(self._open.keys() - before)
        return errors

    def follow(self, wanted: Sequence[Listen]) -> list[ListenError]:
        """Have these open, by their present options, and no others; what cannot be had is tried again at a start."""
        self._let_go(self._open.keys() - {listen.key for listen in wanted})
        errors: list[ListenError] = []
        for listen in wanted:
            try:
                before, listener = self._have(listen)
                if before != listen:
                    listener.set_up(listen)
                    self._open[listen.key] = listen, listener
            except ListenError as error:
                errors.append(error)
        return errors

    def descriptors(self, listens: Sequence[Listen]) -> tuple[int, ...]:
        """Those of these sockets that are open."""
        return tuple([self._open[listen.key][1].fd for listen in listens if listen.key in self._open])

    def give(self, spawn: Spawn) -> Given:
        """See `given.Provider`."""
        launch = spawn.launch
        if not launch.listen:
            return NOTHING
        try:
            listeners = [self._have(listen)[1] for listen in launch.listen]
        except ListenError as error:
            raise SpawnError("listen", error.errno, error.reason) from None
        numbered = [*enumerate(zip(launch.listen, listeners, strict=True), FIRST)]
        env = [("LISTEN_FDS", str(len(numbered))), ("LISTEN_FDNAMES", ":".join(one.name for one in launch.listen))]
        for number, (listen, listener) in numbered:
            env.append((f"LISTEN_FD_{variable(listen.name)}", str(number)))
            env.append((f"LISTEN_ADDR_{variable(listen.name)}", listener.address()))
        fds = tuple((number, listener.fd) for number, (_, listener) in numbered)
        return Given(fds=fds, env=tuple(env), pid_names=("LISTEN_PID",))

    def started(self, worker: WorkerId, pid: int) -> None:
        """See `given.Provider`."""

    def ended(self, worker: WorkerId) -> None:
        """See `given.Provider`."""

    def close(self) -> None:
        """Close them all, and take their files away."""
        self._let_go([*self._open])

    def _have(self, listen: Listen) -> tuple[Listen, Listener]:
        """The open socket, with the options that it has. Raises ListenError."""
        if listen.key not in self._open:
            above = self._from_above.get(listen.name, -1)
            if above in [listener.fd for _, listener in self._open.values()]:
                above = -1
            listener = open_listener(listen) if above < 0 else adopt(above, listen)
            self._open[listen.key] = listen, listener
        return self._open[listen.key]

    def _let_go(self, keys: Iterable[str]) -> None:
        for key in keys:
            listen, listener = self._open.pop(key)
            listener.close(listen)


def from_above(environ: Mapping[str, str]) -> dict[str, int]:
    """The descriptors that whoever started procman meant for it, by name; sd_listen_fds_with_names(3)."""
    count, names = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_FDNAMES", "").split(":")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return {}
    found: dict[str, int] = {}
    for number, name in zip(range(FIRST, FIRST + int(count)), names, strict=False):
        found.setdefault(name, number)
    return found
