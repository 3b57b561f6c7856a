"""The watcher from outside: it is given the list of files, and what it says becomes `Load`, `Touched` and the like."""

from __future__ import annotations

import json
from collections.abc import Callable

from procman.kernel.helpers.helpers import Tell
from procman.kernel.helpers.told import Told
from procman.kernel.spawn.channel import MAX_MESSAGE
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import Poller
from procman.policy.events import HelperFailed, HelperReady, Load, Notice, Record, Touched, WatchList

Deliver = Callable[[Load | Touched | HelperReady | HelperFailed], None]
Write = Callable[[list[Record]], None]


class Watch(Told):
    """A `helpers.Helper`."""

    __slots__ = ("_deliver", "_write")

    def __init__(
        self, poller: Poller, spawner: Spawner, library: str, deliver: Deliver, write: Write, tell: Tell
    ) -> None:
        """See `Told`; `write` writes to the log."""
        super().__init__("watcher", "procman.watch", poller, spawner, library, tell)
        self._deliver, self._write = deliver, write

    def follow(self, order: WatchList) -> None:
        """See `helpers.Helper`. A list may be longer than a message: all but the last part begin with `+`."""
        data, most = json.dumps(order._asdict()).encode(), MAX_MESSAGE - 1
        parts = [data[start : start + most] for start in range(0, len(data), most)]
        self._send(*(b"+" + part for part in parts[:-1]), b"." + parts[-1])

    def _hear(self, message: bytes, fds: tuple[int, ...]) -> None:  # noqa: ARG002 - it sends no descriptors
        kind, text = json.loads(message)
        match kind:
            case "reload":
                self._deliver(Load())
            case "group":
                self._deliver(Touched(text))
            case "ready":
                self._deliver(HelperReady("watch"))
            case "failed":
                self._deliver(HelperFailed("watch", text))
            case "blind":
                reason = f"{text} cannot be read, so what changes in it is not seen; let procman's user read it"
                self._write([Notice("watch.blind", "warning", reason, {"file": text})])
