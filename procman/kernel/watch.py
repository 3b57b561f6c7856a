"""The watcher from outside: it is given the list of files, and what it says becomes `Load`, `Touched` and the like."""

from __future__ import annotations

import json
from collections.abc import Callable

from procman.kernel.channel import MAX_MESSAGE, Channel, argv
from procman.kernel.helpers import Tell
from procman.kernel.poller import Poller
from procman.kernel.program import SpawnError
from procman.kernel.spawn import Spawner
from procman.policy.events import HelperFailed, HelperReady, Load, Notice, Record, Touched, WatchList

Deliver = Callable[[Load | Touched | HelperReady | HelperFailed], None]
Write = Callable[[list[Record]], None]


class Watch:
    """A `helpers.Helper`."""

    __slots__ = ("_channel", "_command", "_deliver", "_poller", "_spawner", "_tell", "_write")

    def __init__(
        self,
        poller: Poller,
        spawner: Spawner,
        library: str,
        deliver: Deliver,
        write: Write,
        tell: Tell,
    ) -> None:
        """`library` is the path of the command line, as `channel.argv` takes it; `write` writes to the log."""
        self._poller, self._spawner, self._deliver, self._tell = poller, spawner, deliver, tell
        self._write = write
        self._command = argv("procman.watch", library=library)
        self._channel: Channel | None = None

    @property
    def pid(self) -> int | None:
        """See `helpers.Helper`."""
        return self._channel.pid if self._channel is not None else None

    def follow(self, order: WatchList) -> None:
        """See `helpers.Helper`. A list may be longer than a message: all but the last part begin with `+`."""
        try:
            if self._channel is None:
                self._channel = Channel(self._poller, self._spawner, self._command, self._hear)
        except SpawnError as error:
            self._tell(f"the watcher cannot start: {error.reason}")
            return
        except OSError as error:
            self._tell(f"the watcher cannot start: {error.strerror}")
            return
        data = json.dumps(order._asdict()).encode()
        while len(data) >= MAX_MESSAGE:
            self._channel.send(b"+" + data[: MAX_MESSAGE - 1])
            data = data[MAX_MESSAGE - 1 :]
        self._channel.send(b"." + data)

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
