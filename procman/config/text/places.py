"""Where each value of a document stands, as text that a plan carries: one line `group.api.command site.toml:12` each.

A value that a group has from [defaults] stands there. What no file sets, and what `--set` does, has no line number.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from procman.config.text.document import Document, Path, Source, dotted
from procman.config.text.positions import Mark, scan


def places_of(document: Document) -> str:
    """The places of all groups and all values; those of lists as a whole."""
    texts = {source: _Text(source) for source in document.sources}
    found: list[str] = []
    for table in ("site", "log", "group"):
        _walk((table,), document.tree.get(table), document, texts, found)
    return "\n".join(found)


def place_of(path: Path, document: Document) -> str:
    """`site.toml:12`; empty where nothing was written."""
    if document.at(path) is None:
        return ""
    source, there = document.origin(path)
    return _Text(source).place(there)


class _Text:
    """A source, scanned once."""

    __slots__ = ("_lines", "_marks", "_source")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._marks: dict[Path, Mark] | None = None
        self._lines: list[int] = []

    def place(self, path: Path) -> str:
        if self._source.path is None:
            return self._source.name
        if self._marks is None:
            text = self._source.text
            self._marks = scan(text)
            self._lines = [at for at, char in enumerate(text) if char == "\n"]
        mark = next((self._marks[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._marks), None)
        return (
            self._source.name if mark is None else f"{self._source.name}:{bisect_right(self._lines, mark.key[0]) + 1}"
        )


def _walk(path: Path, value: Any, document: Document, texts: dict[Source, _Text], found: list[str]) -> None:
    is_group = len(path) == 2 and path[0] == "group"
    if is_group or (value is not None and not isinstance(value, dict)):
        source, there = document.origin(path)
        found.append(f"{dotted(path)} {texts[source].place(there)}")
    if isinstance(value, dict):
        for key, inner in value.items():
            _walk((*path, key), inner, document, texts, found)
