"""The git commit that a configuration is checked out from, and what a file was in another one.

It reads objects by their names and nothing else: no hook, no filter and no monitor of the repository is run, and its
index is not even looked at. Where git is missing, or refuses (the repository belongs to somebody else), there is none.
"""

# ruff: noqa: PTH110, PTH120
# paths stay strings, as everywhere in this room.

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

TIMEOUT_S = 5.0
"""How long git may take for all of it."""

_SAFE = ("--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_PASSED = ("PATH", "HOME", "XDG_CONFIG_HOME")


class Commit(NamedTuple):
    """What is checked out."""

    name: str = ""
    """In hex, all of it; empty where there is none."""
    dirty: bool = False


class GitError(Exception):
    """git cannot tell; the argument is what it says."""


def identify(files: Sequence[str], others: Sequence[str] = ()) -> Commit:
    """The commit below the first file, and whether one of the files differs from it.

    `others` (env files) may be missing from the commit; the files may not. What is outside of the repository is
    not looked at.
    """
    real = [os.path.realpath(file) for file in files]
    top = top_of(os.path.dirname(real[0]))
    if top is None:
        return Commit()
    known = [path for path in [*real, *map(os.path.realpath, others)] if path.startswith(f"{top}/")]
    names = [f"HEAD:{os.path.relpath(path, top)}" for path in known]
    try:
        said = git(top, "cat-file", "--batch-check", told="".join(f"{name}\n" for name in ["HEAD", *names]))
    except GitError:
        return Commit()
    head, *blobs = [line.split(" ") for line in said.decode("utf-8", "replace").splitlines()]
    if head[1:2] != ["commit"]:
        return Commit()
    optional = len(known) - len([path for path in real if path.startswith(f"{top}/")])
    dirty = any(
        _differs(path, blob, at >= len(known) - optional)
        for at, (path, blob) in enumerate(zip(known, blobs, strict=False))
    )
    return Commit(head[0], dirty)


def _differs(path: str, blob: list[str], may_be_missing: bool) -> bool:
    """Whether a file is not what the commit has under its name."""
    if blob[1:2] != ["blob"]:
        return not may_be_missing
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            data = file.read()
    except OSError:
        return True
    kind = hashlib.sha256 if len(blob[0]) == 64 else hashlib.sha1
    return kind(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() != blob[0]


def top_of(folder: str) -> str | None:
    """The working tree that a directory is in, as far as its `.git` shows."""
    while not os.path.exists(f"{folder}/.git"):
        folder, before = os.path.dirname(folder), folder
        if folder == before:
            return None
    return folder


def git(folder: str, *words: str, told: str = "") -> bytes:
    """What a git command says. Raises GitError."""
    env = {name: os.environ[name] for name in _PASSED if name in os.environ}
    env |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
    try:
        done = subprocess.run(
            ["git", *_SAFE, "-C", folder, *words],
            input=told.encode("utf-8", "surrogateescape"), capture_output=True, env=env, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError("git cannot be run" if isinstance(error, OSError) else "git takes too long") from None
    if done.returncode:
        raise GitError(done.stderr.decode("utf-8", "replace").strip().split("\n")[0].removeprefix("fatal: "))
    return done.stdout
