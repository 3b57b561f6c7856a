"""What paths and patterns mean on the disk, for the watcher: the way to a file, files of a pattern, what is noise."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import blake2b

IGNORED_FOLDERS = frozenset({
    ".git", ".hg", ".svn", ".bzr", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox",
    ".venv", "node_modules", ".idea", ".vscode", ".cache",
})  # fmt: skip
_IGNORED_FILES = re.compile(
    r".*(~|\.sw[a-z]|\.pyc|\.pyo|\.tmp|\.bak|\.orig|\.kate-swp)|\.#.*|#.*#|4913|\.goutputstream-.*"
)
"""What editors and interpreters leave beside the file that is meant."""
Signature = tuple[int, int, int]


def steps_of(path: str) -> Iterator[str]:
    """All that can make this path mean another file: itself, each directory on the way, links and what they lead to."""
    parts, done, hops = deque(os.path.abspath(path).split("/")), "/", 0  # noqa: PTH100 - no link is to be resolved yet
    while parts and hops < 40:
        part = parts.popleft()
        if part in ("", ".", ".."):
            done = os.path.dirname(done) if part == ".." else done  # noqa: PTH120
            continue
        step = os.path.join(done, part)  # noqa: PTH118
        yield step
        try:
            target = os.readlink(step)  # noqa: PTH115
        except OSError:
            done = step
            continue
        hops += 1
        parts.extendleft(reversed(target.split("/")))
        done = "/" if target.startswith("/") else done


def pattern(text: str) -> re.Pattern[str]:
    """What a path must look like: `**` is any number of directories, `*` and `?` stay within a name."""
    parts = []
    for index, part in enumerate(text.split("/")):
        if part == "**":
            parts.append("(?:[^/]+/)*" if index < text.count("/") else ".*")
            continue
        name = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        parts.append(name + ("/" if index < text.count("/") else ""))
    return re.compile("".join(parts))


def root_of(text: str) -> tuple[str, bool]:
    """The directory below which all that a pattern can mean is found, and whether that is deep."""
    parts = text.split("/")
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


def signatures(root: str, deep: bool, wanted: re.Pattern[str], blind: set[str]) -> dict[str, Signature]:
    """The files that a pattern means, each with what tells it from another one. `blind`: directories not to be read."""
    found = {}

    def failed(error: OSError) -> None:
        if isinstance(error, PermissionError):
            blind.add(os.path.realpath(error.filename))

    for folder, folders, names in os.walk(root, onerror=failed):
        folders[:] = [name for name in folders if deep and name not in IGNORED_FOLDERS]
        for path in [f"{folder.rstrip('/')}/{name}" for name in names]:
            if wanted.fullmatch(path) and not is_noise(path, root):
                with suppress(OSError):
                    status = os.stat(path)  # noqa: PTH116
                    found[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def lies_in(folder: str, others: Iterable[str]) -> bool:
    """Whether a directory is one of these, or below one."""
    return any(folder == one or folder.startswith(f"{one.rstrip('/')}/") for one in others)
