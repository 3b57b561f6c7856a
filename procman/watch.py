"""The watcher, a helper process: it is told which files matter, and says when one of them has become another.

`main` speaks with the core by its descriptor 0: messages bring the list, one goes back for a configuration that has
changed and one for each group whose files have. Watchdog's observer says that something has moved in a directory; what
that means is decided here, once it has been quiet for a moment: a git checkout, an editor's backup and rename, and a
ConfigMap's symbolic link that is exchanged are one change each, and a file that is written again as it was is none.
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from errno import ENOSPC
from glob import glob
from typing import Any

from watchdog import events
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from procman.watched import Signature, content, is_noise, lies_in, pattern, root_of, signatures, steps_of

QUIET_S = 0.15
"""So long nothing may have moved before it is looked at."""
LATEST_S = 3.0
"""After so long it is looked at all the same."""

_SILENT = ("opened", "closed_no_write")
_KINDS = [one for one in vars(events).values() if isinstance(one, type) and issubclass(one, FileSystemEvent)]
_HEARD = [kind for kind in _KINDS if kind.event_type and kind.event_type not in _SILENT]
"""All but those that a look at the files makes itself: of many directories they would be more than inotify keeps, and
what it has lost has watchdog look at them all anew, for ever.
"""

Identity = tuple[int, int]


class Handler(FileSystemEventHandler):
    """Runs in watchdog's thread: wakes the main one for a step, for whatever is in a root and no noise, and for a
    directory that could not be read and has another mode.
    """

    def __init__(self, moved: deque[str], steps: set[str], blind: set[str], root: str | None, wake: int) -> None:
        self._moved, self._steps, self._blind, self._root, self._wake = moved, steps, blind, root, wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        """See watchdog."""
        paths = [os.fsdecode(path) for path in (event.src_path, event.dest_path) if path]
        regained = not self._blind.isdisjoint(paths)  # `attrib`; before watchdog 7.1 that was `modified`, too
        if event.is_directory and event.event_type == "modified" and not regained:
            return
        steps = [path for path in paths if path in self._steps]
        self._moved.extend(steps)
        if steps or (self._root is not None and not all(is_noise(path, self._root) for path in paths)):
            with suppress(BlockingIOError):  # it is awake
                os.write(self._wake, b"!")


class Trouble(logging.Handler):
    """Hears what watchdog complains of, as a queue that was too short for what happened: so it is looked at."""

    def __init__(self, wake: int) -> None:
        super().__init__(logging.WARNING)
        self._wake = wake

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - whatever it is
        """See `logging`."""
        with suppress(BlockingIOError):
            os.write(self._wake, b"!")


class Watcher:
    """What is watched, and what it was like when it was last looked at."""

    def __init__(self, wake: int) -> None:
        self._moved: deque[str] = deque()
        self._steps: set[str] = set()
        self._wake = wake
        self._observer = Observer()
        self._watches: dict[tuple[str, bool], tuple[Any, Identity]] = {}
        self._files: list[str] = []
        self._includes: list[str] = []
        self._contents: dict[str, bytes | None] = {}
        self._groups: dict[tuple[str, str], dict[str, Signature]] = {}
        """By group and pattern: its files."""
        self._blind: set[str] = set()
        """Directories that cannot be read, so that inotify does not tell what happens in them."""
        self.report: Callable[[str], object] = lambda _path: None
        """Hears of each of them once."""
        logging.getLogger("watchdog").addHandler(Trouble(wake))
        self._observer.start()

    def follow(self, files: list[str], includes: list[str], groups: Iterable[tuple[str, list[str]]]) -> None:
        """Watch these from now on. What has changed since they were read is seen when they are looked at next."""
        self._files, self._includes, seen = files, includes, self._groups
        self._groups = {(group, one): {} for group, patterns in groups for one in patterns}
        blind = self._watch()
        known, read = {os.path.realpath(path) for path in files}, self._contents
        self._contents = {
            path: read.get(path, held if os.path.realpath(path) in known else None)
            for path, held in self._read().items()
        }
        self._groups = {key: seen[key] if key in seen else _found(key[1], blind) for key in self._groups}
        self._miss(blind)

    def look(self) -> tuple[bool, list[str]]:
        """Whether the configuration has changed, and the groups whose files have, since it was last looked at."""
        blind = self._watch()
        read, found = self._read(), {key: _found(key[1], blind) for key in self._groups}
        self._miss(blind)
        changed, groups = read != self._contents, [key[0] for key in found if found[key] != self._groups[key]]
        self._contents, self._groups = read, found
        return changed, list(dict.fromkeys(groups))

    def _read(self) -> dict[str, bytes | None]:
        """What the configuration's files hold, those included that patterns mean now."""
        included = [path for one in self._includes for path in glob(one)]  # noqa: PTH207 - as the loader does
        return {path: content(path) for path in [*self._files, *included]}

    def _miss(self, blind: set[str]) -> None:
        """These cannot be read now."""
        for path in sorted(blind - self._blind):
            self.report(path)
        self._blind |= blind  # in this order, as with the steps
        self._blind &= blind

    def _watch(self) -> set[str]:
        """Have exactly the directories watched that matter now: links may lead elsewhere, directories be others.

        Gives those that cannot be.
        """
        named = {root_of(one) for one in [*self._includes, *(one for _, one in self._groups)]}
        steps = {step for path in [*self._files, *(root for root, _ in named)] for step in steps_of(path)}
        roots = {(os.path.realpath(root), deep) for root, deep in named}
        self._steps |= steps  # never without those that stay: the handlers look at it
        self._steps &= steps
        deep = [root for root, deep in roots if deep]
        folders = {os.path.dirname(step) for step in steps}  # noqa: PTH120
        wanted: dict[tuple[str, bool], str | None] = {(one, False): None for one in folders if not lies_in(one, deep)}
        wanted |= {root: root[0] for root in roots}
        there = {key: found for key in wanted if (found := _identity(key[0]))}
        moved = [self._moved.popleft() for _ in range(len(self._moved))]
        regained = [folder for folder in self._blind if os.access(folder, os.R_OK)]
        blind = {folder for folder, _ in there if not os.access(folder, os.R_OK)}
        for key, (watch, identity) in [*self._watches.items()]:
            anew = key[1] and any(lies_in(folder, [key[0]]) for folder in regained)
            if anew or there.get(key) != identity or lies_in(key[0], moved) or key[0] in blind:
                with suppress(KeyError, OSError):
                    self._observer.unschedule(watch)
                del self._watches[key]
        for key in [key for key in there if key not in self._watches and key[0] not in blind]:
            handler = Handler(self._moved, self._steps, self._blind, wanted[key], self._wake)
            with suppress(PermissionError, FileNotFoundError, NotADirectoryError):  # it has just become another
                watch = self._observer.schedule(handler, key[0], recursive=key[1], event_filter=_HEARD)
                self._watches[key] = (watch, there[key])
        return blind


def _found(one: str, blind: set[str]) -> dict[str, Signature]:
    return signatures(*root_of(one), pattern(one), blind)


def _identity(folder: str) -> Identity | None:
    """Of a directory, if it is one."""
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


class Inbox:
    """Orders as they come in, perhaps in several messages."""

    def __init__(self) -> None:
        self._told = b""

    def take(self, message: bytes) -> dict[str, Any] | None:
        """The order that this message completes; None if it completes none."""
        self._told += message[1:]
        if message[:1] != b".":
            return None
        order, self._told = json.loads(self._told), b""
        return dict(order)


def main() -> int:
    """Until the core closes the channel."""
    channel = socket.socket(fileno=0)
    try:
        _run(channel)
    except OSError as error:  # inotify has no room for more
        hint = "; see fs.inotify.max_user_watches" if error.errno == ENOSPC else ""
        _say(channel, "failed", f"{error.strerror}{hint}")
        os._exit(1)
    os._exit(0)  # watchdog's threads have nothing to tidy up


def _run(channel: socket.socket) -> None:
    awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    watcher, inbox, ready = Watcher(wake), Inbox(), False
    watcher.report = lambda path: _say(channel, "blind", path)
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.register(awake, select.POLLIN)
    since: float | None = None
    while True:
        moved = {fd for fd, _ in poll.poll(None if since is None else QUIET_S * 1000)}
        if awake in moved:
            os.read(awake, 65536)
            since = since or time.monotonic()
        if channel.fileno() in moved:
            message = channel.recv(1 << 16)
            if not message:
                return
            if order := inbox.take(message):
                watcher.follow(order["files"], order["includes"], order["groups"])
                since = since or time.monotonic()
                if not ready:
                    ready = _say(channel, "ready")
        if since is not None and (not moved or time.monotonic() - since > LATEST_S):
            since = None
            changed, groups = watcher.look()
            if changed:
                _say(channel, "reload")
            for group in groups:
                _say(channel, "group", group)


def _say(channel: socket.socket, kind: str, text: str = "") -> bool:
    channel.send(json.dumps([kind, text]).encode())
    return True
