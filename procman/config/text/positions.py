"""Where each key and each value of a TOML text stands. A scanner for texts that a parser has accepted already.

It decides nothing about validity: on a text that is no TOML it stops early. Standard library only, and used only
when there is something to report.
"""

from __future__ import annotations

import re
from collections.abc import Container
from contextlib import suppress
from typing import NamedTuple

Path = tuple[str | int, ...]
Span = tuple[int, int]
"""Offsets: where a token begins, and where the next character after it stands."""


class Mark(NamedTuple):
    """Where a node stands: of a table the key and the value are in its first heading; of a list's item both are it."""

    key: Span
    value: Span


def scan(text: str, wanted: Container[Path] | None = None) -> dict[Path, Mark]:
    """The marks of all nodes, or of the wanted ones, by path; each at its first appearance."""
    scanner = _Scanner(text, wanted)
    # What has been found stands; a caller falls back to the nearest parent.
    with suppress(_Lost, RecursionError):
        scanner.document()
    return scanner.marks


def lost_at(text: str) -> int | None:
    """Where the scanner finds no token it knows; None if there is no such place. For texts that are no TOML."""
    scanner = _Scanner(text, ())
    try:
        scanner.document()
    except (_Lost, RecursionError):
        return scanner.at
    return None


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Both counted from 1, the column in characters."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?""""{0,2}'
    r"|'''.*?''''{0,2}"
    r'|"(?!"")(?:[^"\\\n]|\\.)*"'
    r"|'(?!'')[^'\n]*'",
    re.S,
)
_SCALAR = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,#\]}]*|[^\s,#\]}]+")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))", re.S)
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


class _Lost(Exception):  # noqa: N818 - not an error: the text is no TOML here
    """There is no token where one must be."""


class _Scanner:
    __slots__ = ("_lists", "_text", "_wanted", "at", "marks")

    def __init__(self, text: str, wanted: Container[Path] | None) -> None:
        self._text, self._wanted = text, wanted
        self.at = 1 if text.startswith("\ufeff") else 0
        self._lists: dict[Path, int] = {}
        """The last index of each list of tables."""
        self.marks: dict[Path, Mark] = {}

    def document(self) -> None:
        table: Path = ()
        self._skip(_BLANK)
        while self.at < len(self._text):
            if self._peek("["):
                table = self._heading()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _heading(self) -> Path:
        """`[a.b]` or `[[a.b]]`: the path of the table that begins."""
        start = self.at
        brackets = 2 if self._peek("[[") else 1
        self.at += brackets
        keys = self._keys()
        self._take("]" * brackets)
        span = (start, self.at)
        path: Path = ()
        for index, (key, key_span) in enumerate(keys):
            path = (*path, key)
            self._mark(path, key_span, span)
            if brackets == 2 and index == len(keys) - 1:
                self._lists[path] = self._lists.get(path, -1) + 1
                path = (*path, self._lists[path])
                self._mark(path, key_span, span)
            elif path in self._lists:
                path = (*path, self._lists[path])
        return path

    def _pair(self, table: Path) -> None:
        """`a.b = value`, in the table given."""
        keys = self._keys()
        path = (*table, *(key for key, _ in keys))
        self._take("=")
        self._skip(_SPACE)
        span = self._value(path)
        for length, (_, key_span) in enumerate(keys, len(table) + 1):
            self._mark(path[:length], key_span, span)

    def _keys(self) -> list[tuple[str, Span]]:
        keys: list[tuple[str, Span]] = []
        while True:
            self._skip(_SPACE)
            start = self.at
            if self._peek('"') or self._peek("'"):
                self._match(_STRING)
                raw = self._text[start + 1 : self.at - 1]
                key = raw if self._text[start] == "'" else _ESCAPE.sub(_unescape, raw)
            else:
                key = self._match(_BARE)
            keys.append((key, (start, self.at)))
            self._skip(_SPACE)
            if not self._peek("."):
                return keys
            self.at += 1

    def _value(self, path: Path) -> Span:
        start = self.at
        if self._peek("["):
            self._list(path)
        elif self._peek("{"):
            self._inline(path)
        else:
            self._match(_STRING if self._peek('"') or self._peek("'") else _SCALAR)
        return start, self.at

    def _list(self, path: Path) -> None:
        self.at += 1
        index = 0
        while not self._ends("]"):
            here = (*path, index)
            span = self._value(here)
            self._mark(here, span, span)
            index += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while not self._ends("}"):
            self._pair(path)

    def _ends(self, bracket: str) -> bool:
        """Skip blanks and a comma; whether the bracket comes, and if it does, be behind it."""
        self._skip(_BLANK)
        if self._peek(","):
            self.at += 1
            self._skip(_BLANK)
        if not self._peek(bracket):
            return False
        self.at += 1
        return True

    def _mark(self, path: Path, key: Span, value: Span) -> None:
        if self._wanted is None or path in self._wanted:
            self.marks.setdefault(path, Mark(key, value))

    def _peek(self, token: str) -> bool:
        return self._text.startswith(token, self.at)

    def _take(self, token: str) -> None:
        if not self._peek(token):
            raise _Lost
        self.at += len(token)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self.at)
        self.at = match.end() if match else self.at

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self.at)
        if match is None:
            raise _Lost
        self.at = match.end()
        return match[0]


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _ESCAPES.get(match[4], match[4])
