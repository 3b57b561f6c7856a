"""What a plan depends on besides its site."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from procman.config.check.accounts import Identity
from procman.config.merge.envfiles import Pairs
from procman.config.text.document import Document
from procman.plan import Origin


class Surroundings(NamedTuple):
    """What a plan depends on besides its site."""

    document: Document
    """Where each value was written: relative paths are relative to that file."""
    cwd: str
    """The directory in which `up` was started."""
    env_files: dict[str, Pairs]
    identities: dict[str, Identity]
    """By group."""
    cpus: Callable[[], int]
    """Called only if a group has "auto" workers."""
    origin: Origin = Origin()
    """Where the document came from."""
