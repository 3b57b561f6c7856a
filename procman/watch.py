"""The watcher, a helper process: it is told which files matter, and says when one of them has become another.

`main` speaks with the core by its descriptor 0: messages bring the list, one goes back for a configuration that has
changed and one for each group whose files have. Watchdog's observer says that something has moved in a directory; what
that means is decided here, once it has been quiet for a moment: a git checkout, an editor's backup and rename, and a
ConfigMap's symbolic link that is exchanged are one change each, and a file that is written again as it was is none.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from errno import ENOSPC
from hashlib import blake2b
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

QUIET_S = 0.15
"""So long nothing may have moved before it is looked at."""
LATEST_S = 3.0
"""After so long it is looked at all the same."""

IGNORED_FOLDERS = frozenset({
    ".git", ".hg", ".svn", ".bzr", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox",
    ".venv", "node_modules", ".idea", ".vscode", ".cache",
})  # fmt: skip
_IGNORED_FILES = re.compile(
    r".*(~|\.sw[a-z]|\.pyc|\.pyo|\.tmp|\.bak|\.orig|\.kate-swp)|\.#.*|#.*#|4913|\.goutputstream-.*"
)
"""What editors and interpreters leave beside the file that is meant."""
_SILENT = ("opened", "closed_no_write")

Identity = tuple[int, int]


def folders_of(path: str) -> Iterator[str]:
    """Where a change can make this path mean another file: its directory, and those of the links on its way."""
    todo, hops = os.path.abspath(path), 0  # noqa: PTH100 - no link is to be resolved yet
    done = "/"
    parts = deque(todo.strip("/").split("/"))
    while parts and hops < 40:
        step = os.path.join(done, parts.popleft())  # noqa: PTH118
        try:
            target = os.readlink(step)  # noqa: PTH115
        except OSError:
            done = step
            continue
        yield done
        hops += 1
        parts.extendleft(reversed([part for part in target.split("/") if part]))
        done = "/" if target.startswith("/") else done
    yield os.path.dirname(done)  # noqa: PTH120


def pattern(glob: str) -> re.Pattern[str]:
    """What a path must look like: `**` is any number of directories, `*` and `?` stay within a name."""
    parts = []
    for index, part in enumerate(glob.split("/")):
        if part == "**":
            parts.append("(?:[^/]+/)*" if index < glob.count("/") else ".*")
            continue
        name = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        parts.append(name + ("/" if index < glob.count("/") else ""))
    return re.compile("".join(parts))


def root_of(glob: str) -> tuple[str, bool]:
    """The directory below which all that a pattern can mean is found, and whether that is deep."""
    parts = glob.split("/")
    fixed = next((index for index, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts) - 1)
    return "/".join(parts[:fixed]) or "/", fixed < len(parts) - 1


def is_noise(path: str, root: str) -> bool:
    """Whether nobody means it: what version control, caches and editors keep for themselves."""
    *folders, name = path.removeprefix(root).strip("/").split("/")
    return bool(_IGNORED_FILES.fullmatch(name)) or not IGNORED_FOLDERS.isdisjoint(folders)


def content(path: str) -> bytes | None:
    """What a file holds, in short; None if it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return blake2b(file.read(), digest_size=16).digest()
    except OSError:
        return None


class Handler(FileSystemEventHandler):
    """Runs in watchdog's thread: keeps what has moved, and wakes the main one."""

    def __init__(self, moved: deque[str], wake: int) -> None:
        self._moved, self._wake = moved, wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        """See watchdog."""
        if event.event_type in _SILENT:
            return
        self._moved.extend(os.fsdecode(path) for path in (event.src_path, event.dest_path) if path)
        with suppress(BlockingIOError):  # it is awake
            os.write(self._wake, b"!")


class Watcher:
    """What is watched, and what it was like when it was last looked at."""

    def __init__(self, wake: int) -> None:
        self.moved: deque[str] = deque()
        self._observer = Observer()
        self._handler = Handler(self.moved, wake)
        self._watches: dict[tuple[str, bool], tuple[Any, Identity]] = {}
        self._files: dict[str, bytes | None] = {}
        self._groups: list[tuple[str, str, re.Pattern[str]]] = []
        self._roots: list[tuple[str, bool]] = []
        self._observer.start()

    def follow(self, files: Iterable[str], groups: Iterable[tuple[str, list[str]]]) -> None:
        """Watch these from now on."""
        self._files = {path: self._files[path] if path in self._files else content(path) for path in files}
        self._groups, roots = [], set()
        for group, globs in groups:
            for glob in globs:
                root = root_of(glob)
                roots.add(root)
                self._groups.append((group, root[0], pattern(glob)))
        self._roots = sorted(roots)
        self._watch()

    def look(self) -> tuple[bool, list[str]]:
        """Whether the configuration has changed, and the groups whose files have, since it was last looked at."""
        moved = {self.moved.popleft() for _ in range(len(self.moved))}
        self._watch()
        now = {path: content(path) for path in self._files}
        changed, self._files = now != self._files, now
        groups = [
            group
            for group, root, wanted in self._groups
            if any(wanted.fullmatch(path) and not is_noise(path, root) for path in moved)
        ]
        return changed, list(dict.fromkeys(groups))

    def _watch(self) -> None:
        """Have exactly the directories watched that matter now: links may lead elsewhere, directories be new."""
        wanted = {(folder, False) for path in self._files for folder in folders_of(path)} | set(self._roots)
        there = {}
        for folder, deep in wanted:
            nearest = folder
            while not os.path.isdir(nearest):  # noqa: PTH112
                nearest = os.path.dirname(nearest)  # noqa: PTH120
            status = os.stat(nearest)  # noqa: PTH116
            there[nearest, deep and nearest == folder] = (status.st_dev, status.st_ino)
        for key, (watch, identity) in [*self._watches.items()]:
            if there.get(key) != identity:
                with suppress(KeyError, OSError):
                    self._observer.unschedule(watch)
                del self._watches[key]
        for (folder, deep), identity in there.items():
            if (folder, deep) not in self._watches:
                watch = self._observer.schedule(self._handler, folder, recursive=deep)
                self._watches[folder, deep] = (watch, identity)


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
                watcher.follow(order["files"], order["groups"])
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
