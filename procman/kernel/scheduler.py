"""The scheduler from outside: it is given the calendar, and what it says becomes `Due`.

It knows nothing of times but when it last heard something: a new scheduler goes on from there, so that what was due
while there was none is told as missed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import time

from procman.kernel.channel import Channel, argv
from procman.kernel.helpers import Tell
from procman.kernel.poller import Poller
from procman.kernel.program import SpawnError
from procman.kernel.spawn import Spawner
from procman.policy.events import Calendar, Due


class Scheduler:
    """A `helpers.Helper`."""

    __slots__ = ("_channel", "_command", "_deliver", "_poller", "_since", "_spawner", "_tell")

    def __init__(
        self, poller: Poller, spawner: Spawner, library: str, deliver: Callable[[Due], None], tell: Tell
    ) -> None:
        """`library` is the path of the command line, as `channel.argv` takes it."""
        self._poller, self._spawner, self._deliver, self._tell = poller, spawner, deliver, tell
        self._command = argv("procman.scheduler", library=library)
        self._channel: Channel | None = None
        self._since: float | None = None
        """When it was last known to have told all that was due, in seconds since 1970."""

    @property
    def pid(self) -> int | None:
        """See `helpers.Helper`."""
        return self._channel.pid if self._channel is not None else None

    def follow(self, order: Calendar) -> None:
        """See `helpers.Helper`."""
        try:
            if self._channel is None:
                self._channel = Channel(self._poller, self._spawner, self._command, self._hear)
        except SpawnError as error:
            self._tell(f"the scheduler cannot start: {error.reason}")
            return
        except OSError as error:
            self._tell(f"the scheduler cannot start: {error.strerror}")
            return
        message = {"entries": [list(entry) for entry in order.entries], "since": self._since}
        self._channel.send(json.dumps(message).encode())
        self._since = time()

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

    def _hear(self, message: bytes, _fds: tuple[int, ...]) -> None:
        self._since = time()
        group, missed, now = json.loads(message)
        self._deliver(Due(group, missed, now))
