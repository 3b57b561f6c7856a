"""The files of a git repository as they were in one of its commits, read without checking anything out."""

# ruff: noqa: PTH118, PTH119, PTH120
# paths stay strings, as everywhere in this room.

from __future__ import annotations

import os
from fnmatch import fnmatchcase

from procman.config.text.repository import GitError, git, top_of

_LINK = b"120000"
_MOST_LINKS = 16


class NoRevisionError(GitError):
    """A repository has nothing of this name."""


class Revision:
    """A commit, by any name that git knows it under."""

    __slots__ = ("_blobs", "_top", "commit", "name")

    def __init__(self, name: str, folder: str) -> None:
        """Of the repository that the folder is in. Raises GitError."""
        top = top_of(os.path.realpath(folder))
        if top is None:
            raise GitError(f"{folder} is in no git repository")
        self.name, self._top = name, top
        try:
            self.commit = git(
                top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
            ).decode()
        except GitError as error:
            if str(error):
                raise
            raise NoRevisionError(f"there is no revision {name} in {top}") from None
        self.commit = self.commit.strip()
        self._blobs: dict[str, tuple[bytes, str]] = {}
        for line in git(top, "ls-tree", "-r", "-z", "--full-tree", self.commit).split(b"\0")[:-1]:
            about, _, path = line.partition(b"\t")
            mode, _, blob = about.split(b" ")
            self._blobs[os.fsdecode(path)] = mode, blob.decode("ascii")

    def covers(self, path: str) -> bool:
        """Whether an absolute path lies in the repository."""
        return self._inside(path) is not None

    def read(self, path: str) -> bytes | None:
        """What a file was; None if it was not there. Raises GitError."""
        inside = self._inside(path)
        for _ in range(_MOST_LINKS):
            if inside is None or inside not in self._blobs:
                return None
            mode, blob = self._blobs[inside]
            data = git(self._top, "cat-file", "blob", blob)
            if mode != _LINK:
                return data
            inside = os.path.normpath(os.path.join(os.path.dirname(inside), os.fsdecode(data)))
        return None

    def glob(self, pattern: str) -> list[str]:
        """The absolute paths of the files that an absolute pattern meant, as `glob.glob` would say."""
        inside = self._inside(pattern)
        if inside is None:
            return []
        wanted = inside.split("/")
        return [f"{self._top}/{path}" for path in self._blobs if _matches(path.split("/"), wanted)]

    def _inside(self, path: str) -> str | None:
        folder = os.path.realpath(os.path.dirname(path))
        real = os.path.join(folder, os.path.basename(path))
        return os.path.relpath(real, self._top) if real.startswith(f"{self._top}/") else None


def _matches(steps: list[str], patterns: list[str]) -> bool:
    return len(steps) == len(patterns) and all(
        fnmatchcase(step, pattern) and (not step.startswith(".") or pattern.startswith("."))
        for step, pattern in zip(steps, patterns, strict=True)
    )
