"""Relative paths, which are relative to the file that names them, and the name that a file gives its site."""

# ruff: noqa: PTH118, PTH119, PTH120
# paths may be templates, and pathlib would rewrite them.

from __future__ import annotations

import os
from typing import Literal

from procman.config.compile.surroundings import Surroundings
from procman.config.text.document import Path


def base_of(path: Path, around: Surroundings) -> str:
    """The directory of the file in which the value at a path of the document was written."""
    return around.document.origin(path)[0].base


def absolute(base: str, path: str) -> str:
    """A path below a base. `..` stays: behind a symbolic link it is not what it seems."""
    joined = os.path.join(base, path)
    return joined if ".." in path.split("/") else os.path.normpath(joined)


def path_or_off(key: str, path: str | Literal[False] | None, around: Surroundings) -> str | None:
    """A path of `[site]`; "" where it is to be none."""
    return absolute(base_of(("site", key), around), path) if path else "" if path is False else None


def default_name(path: str) -> str:
    """A site's name from its file's: the stem, or the directory's name if the stem says nothing."""
    stem = os.path.basename(path).removesuffix(".toml")
    folder = os.path.basename(os.path.dirname(path))
    name = folder if stem in ("site", "procman") and folder else stem
    letters = "".join(char if char.isascii() and (char.isalnum() or char in "_.-") else "-" for char in name)
    return letters.lstrip("_.-")[:64] or "site"
