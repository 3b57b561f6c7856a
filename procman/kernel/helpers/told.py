"""A helper that is told over a channel what to do; what that is, and what it says, its own module knows."""

from __future__ import annotations

from procman.kernel.helpers.helpers import Tell
from procman.kernel.spawn.channel import Channel, argv, begin
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import Poller


class Told:
    """A `helpers.Helper` but for `follow` and `_hear`; its process begins with the first order."""

    __slots__ = ("_channel", "_command", "_name", "_poller", "_spawner", "_tell")

    def __init__(self, name: str, module: str, poller: Poller, spawner: Spawner, library: str, tell: Tell) -> None:
        """`name` is for people; `library` is the path of the command line, as `channel.argv` takes it."""
        self._name, self._poller, self._spawner, self._tell = name, poller, spawner, tell
        self._command = argv(module, library=library)
        self._channel: Channel | None = None

    @property
    def pid(self) -> int | None:
        """See `helpers.Helper`."""
        return self._channel.pid if self._channel is not None else None

    def ended(self) -> None:
        """See `helpers.Helper`."""
        if self._channel is not None:
            self._channel.ended()
            self._channel = None

    def close(self) -> None:
        """See `helpers.Helper`."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _send(self, *messages: bytes) -> bool:
        """Send it these, once it is there; that it cannot start is told, and then False."""
        if self._channel is None:
            self._channel = begin(self._name, self._poller, self._spawner, self._command, self._hear, self._tell)
            if self._channel is None:
                return False
        for message in messages:
            self._channel.send(message)
        return True

    def _hear(self, message: bytes, fds: tuple[int, ...]) -> None:
        """It says this."""
        raise NotImplementedError
