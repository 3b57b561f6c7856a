"""The scheduler from outside: it is given the calendar, and what it says becomes `Due`.

It knows nothing of times but when it last heard something: a new scheduler goes on from there, so that what was due
while there was none is told as missed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import time

from procman.kernel.helpers.helpers import Tell
from procman.kernel.helpers.told import Told
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import Poller
from procman.policy.events import Calendar, Due


class Scheduler(Told):
    """A `helpers.Helper`."""

    __slots__ = ("_deliver", "_since")

    def __init__(
        self, poller: Poller, spawner: Spawner, library: str, deliver: Callable[[Due], None], tell: Tell
    ) -> None:
        """See `Told`."""
        super().__init__("scheduler", "procman.scheduler", poller, spawner, library, tell)
        self._deliver = deliver
        self._since: float | None = None
        """When it was last known to have told all that was due, in seconds since 1970."""

    def follow(self, order: Calendar) -> None:
        """See `helpers.Helper`."""
        message = {"entries": [list(entry) for entry in order.entries], "since": self._since}
        if self._send(json.dumps(message).encode()):
            self._since = time()

    def _hear(self, message: bytes, fds: tuple[int, ...]) -> None:  # noqa: ARG002 - it sends no descriptors
        self._since = time()
        group, missed, now = json.loads(message)
        self._deliver(Due(group, missed, now))
