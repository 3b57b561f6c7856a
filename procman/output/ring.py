"""The latest lines of each group, bounded, for `procman logs`: so it works wherever the lines themselves go."""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from procman.output.framing import Lines
from procman.output.styles import Origin

DEFAULT = 1 << 20
_OVERHEAD = 128
"""What an entry costs besides its lines."""


class Entry(NamedTuple):
    """Lines that came at once."""

    time_ns: int
    origin: Origin
    lines: Lines
    file: str = ""
    """The file to which they go as well, as they are."""


class Ring:
    """The latest entries of one group."""

    __slots__ = ("_limit", "_weight", "entries")

    def __init__(self, limit: int) -> None:
        self.entries: deque[Entry] = deque()
        self._limit, self._weight = limit, 0

    def resize(self, limit: int) -> None:
        """Keep so many bytes from now on."""
        self._limit = limit
        self._shrink()

    def put(self, entry: Entry) -> None:
        """Keep lines; the oldest go."""
        self.entries.append(entry)
        self._weight += len(entry.lines) + _OVERHEAD
        if self._weight > self._limit:
            self._shrink()

    def _shrink(self) -> None:
        while self._weight > self._limit and self.entries:
            self._weight -= len(self.entries.popleft().lines) + _OVERHEAD


class Rings:
    """A ring for each group."""

    __slots__ = ("_groups", "_limit")

    def __init__(self, limit: int = DEFAULT) -> None:
        self._groups: dict[str, Ring] = {}
        self._limit = limit

    def resize(self, limit: int) -> None:
        """Keep so many bytes a group from now on."""
        self._limit = limit
        for ring in self._groups.values():
            ring.resize(limit)

    def of(self, group: str) -> Ring:
        """That of a group."""
        return self._groups.setdefault(group, Ring(self._limit))

    def select(self, wanted: Selection) -> Iterator[Entry]:
        """What there is of these workers, in the order of time."""
        groups = {name for name, _ in wanted}
        rings = [ring.entries for group, ring in self._groups.items() if group in groups or not groups]
        return (
            entry for entry in heapq.merge(*rings, key=lambda entry: entry.time_ns) if selects(wanted, entry.origin)
        )

    def state(self) -> list[Any]:
        """All of it, for `restore`."""
        return [
            (entry.time_ns, entry.origin, bytes(entry.lines).decode("latin-1"), entry.file)
            for ring in self._groups.values()
            for entry in ring.entries
        ]

    def restore(self, state: Iterable[Any]) -> None:
        """Take over what another's `state` was."""
        for time_ns, origin, lines, file in state:
            whose = Origin(*origin)
            self.of(whose.group).put(Entry(time_ns, whose, lines.encode("latin-1"), file))


Selection = list[tuple[str, int | None]]
"""Pairs of a group and a task, None for all of the group; none at all is everybody."""


def selects(wanted: Selection, origin: Origin) -> bool:
    """Whether an origin is one of them."""
    return not wanted or any(group == origin.group and task in (None, origin.task) for group, task in wanted)


class Packets:
    """The style of those who read along: a line of JSON that says whose lines come next and how many bytes they are."""

    __slots__ = ("_origin",)

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def lines(self, lines: Lines, now_ns: int) -> Lines:
        """See `styles.Style`."""
        head = {**self._origin._asdict(), "time_ns": now_ns, "size": len(lines)}
        return json.dumps(head, separators=(",", ":")).encode() + b"\n" + lines

    def note(self, text: str, now_ns: int, fields: dict[str, Any]) -> bytes:  # noqa: ARG002 - see `styles.Style`
        """See `styles.Style`."""
        return bytes(self.lines(text.encode() + b"\n", now_ns))
