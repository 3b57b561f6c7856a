"""The account of who is to be ended, and how: the core writes it, and the guard reads it once the core is gone.

One line of one length for each, so that a new one takes the place of an old one, and what a line says is whole: one
small write is. Both sides have it from here. The guard imports this: it imports the least that can be.
"""

from __future__ import annotations

import os

_RULE = b"%2d %-6b %d %12.3f"
_LONGEST_S = 1e7
"""No grace is longer, or it would not fit."""
EMPTY = b" " * 76 + b"\n"
"""Nobody's line."""


class Entry:
    """A worker, or a helper, which has no signal (0) and ends by itself.

    `noted` is when this was written, in clock ticks: who has the leader's number, and has started later, is a stranger.
    `first` is who was the leader before it, and `first_noted` when that was written: its number is still that of the
    group. 0: the leader has led from the beginning.
    """

    __slots__ = ("adopts", "first", "first_noted", "grace", "leader", "noted", "number", "scope")

    def __init__(self, line: bytes) -> None:
        leader, number, scope, adopts, grace, noted, first, first_noted = line.split()
        self.leader, self.number, self.scope, self.adopts = int(leader), int(number), scope.decode(), adopts == b"1"
        self.grace, self.noted, self.first, self.first_noted = float(grace), int(noted), int(first), int(first_noted)


def rule(number: int, scope: str, grace: float, *, adopts: bool = False) -> bytes:
    """How somebody is to be ended, as it stands in a line."""
    return _RULE % (number, scope.encode(), adopts, min(grace, _LONGEST_S))


def line(leader: int, rule: bytes, noted: int, first: int = 0, first_noted: int = 0) -> bytes:
    """What is written of a leader; see `Entry`."""
    return b"%8d %b %16d %8d %16d\n" % (leader, rule, noted, first, first_noted)


def read(descriptor: int) -> list[Entry]:
    """All that is written in this file."""
    entries = []
    offset = 0
    while chunk := os.pread(descriptor, len(EMPTY) << 10, offset):
        offset += len(chunk)
        entries += [Entry(text) for text in chunk.splitlines() if text.strip(b"\0 ")]
    return entries
