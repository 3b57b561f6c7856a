"""How lines look where they go: as they are, with a prefix for people, or as JSON. Pure; whole chunks at a time.

What is the same for all lines of a chunk is made once, and put in after every newline by one `replace`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from procman.output.framing import Lines, for_json, for_terminal, valid_utf8

Objects = str
"""What becomes of a line that is itself a JSON object: "merge", "nest" or "text"."""

_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_NAME_MOST = 24


class Origin(NamedTuple):
    """Who has written something: one stream of one run of a worker."""

    group: str
    task: int
    generation: int
    pid: int | None
    stream: str
    """"stdout", "stderr", or "both" where one pipe serves as both."""

    @property
    def label(self) -> str:
        """`group.task`, as people see it."""
        return f"{self.group}.{self.task}"


class Style(Protocol):
    """How the lines of one origin look."""

    def lines(self, lines: Lines, now_ns: int) -> Lines:
        """The lines, each ending with a newline, as they are to be written."""

    def note(self, text: str, now_ns: int, fields: dict[str, Any]) -> bytes:
        """A line of the pump's own, in the same look; `fields` is the same for machines."""


class Raw:
    """Byte for byte."""

    __slots__ = ()

    def lines(self, lines: Lines, now_ns: int) -> Lines:  # noqa: ARG002 - the same for all styles
        """See `Style`."""
        return lines

    def note(self, text: str, now_ns: int, fields: dict[str, Any]) -> bytes:  # noqa: ARG002
        """See `Style`."""
        return text.encode() + b"\n"


class Stamped:
    """Byte for byte, after the time at which it came."""

    __slots__ = ()

    def lines(self, lines: Lines, now_ns: int) -> Lines:
        """See `Style`."""
        return _enclose(rfc3339(now_ns).encode() + b" ", lines)

    def note(self, text: str, now_ns: int, fields: dict[str, Any]) -> bytes:  # noqa: ARG002
        """See `Style`."""
        return bytes(self.lines(text.encode() + b"\n", now_ns))


class Prefix:
    """For people: `group.task |` before each line, aligned with the others', coloured where that is wanted."""

    __slots__ = ("_clock", "_colour", "_column", "_dim", "_prefix", "_width")

    def __init__(self, origin: Origin, column: Column, *, colour: bool, timestamps: bool) -> None:
        self._column, self._colour = column, colour
        column.widen(origin.label)
        paint = column.colour_of(origin.group) if colour else ""
        self._width = 0
        self._prefix: Callable[[int], bytes] = lambda width: (
            f"\x1b[{paint}m{_shorten(origin.label, width):<{width}} |\x1b[0m "
            if paint
            else f"{_shorten(origin.label, width):<{width}} | "
        ).encode()
        self._clock = timestamps

    def lines(self, lines: Lines, now_ns: int) -> Lines:
        """See `Style`."""
        return _enclose(self._before(now_ns), for_terminal(bytes(lines), colour=self._colour))

    def note(self, text: str, now_ns: int, fields: dict[str, Any]) -> bytes:  # noqa: ARG002
        """See `Style`."""
        text = f"\x1b[33m{text}\x1b[0m" if self._colour else text
        return self._before(now_ns) + text.encode() + b"\n"

    def _before(self, now_ns: int) -> bytes:
        prefix = self._prefix(self._column.width)
        if not self._clock:
            return prefix
        second, rest = divmod(now_ns, 1_000_000_000)
        clock = f"{time.strftime('%H:%M:%S', time.localtime(second))}.{rest // 1_000_000:03}"
        return (f"\x1b[2m{clock}\x1b[0m " if self._colour else f"{clock} ").encode() + prefix


class Column:
    """What the prefixes of one stream have in common: how wide they are, and whose colour is whose."""

    __slots__ = ("_groups", "width")

    def __init__(self, widest: int = 0) -> None:
        """`widest`: characters of the longest name, as far as it is known."""
        self.width = min(_NAME_MOST, widest)
        self._groups: dict[str, int] = {}

    def widen(self, label: str) -> None:
        """Make room for a name."""
        self.width = min(_NAME_MOST, max(self.width, len(label)))

    def colour_of(self, group: str) -> str:
        """The group's own colour."""
        return _COLOURS[self._groups.setdefault(group, len(self._groups)) % len(_COLOURS)]


class Json:
    """An object a line: when, who, on which stream, and the line as its message."""

    __slots__ = ("_objects", "_open", "_site")

    def __init__(self, site: str, origin: Origin, objects: Objects) -> None:
        stream = "stdout" if origin.stream == "both" else origin.stream
        about = {"site": site, "group": origin.group, "task": origin.task, "pid": origin.pid, "stream": stream}
        self._open = "," + _encode(about)[1:-1] + ","
        self._objects = objects

    def lines(self, lines: Lines, now_ns: int) -> Lines:
        """See `Style`."""
        head, lines = self._head(now_ns), bytes(lines)
        if self._objects != "text" and b"{" in lines and (lines.startswith(b"{") or b"\n{" in lines):
            return b"".join([self._line(head, line) for line in valid_utf8(lines).split(b"\n")[:-1]])
        return _enclose(head + b'"message":"', for_json(lines), b'"}')

    def note(self, text: str, now_ns: int, fields: dict[str, Any]) -> bytes:
        """See `Style`."""
        return self._head(now_ns) + _encode({**fields, "message": text})[1:].encode() + b"\n"

    def _head(self, now_ns: int) -> bytes:
        return f'{{"ts":"{rfc3339(now_ns)}"{self._open}'.encode()

    def _line(self, head: bytes, line: bytes) -> bytes:
        found = _object(line)
        if found is None:
            return head + b'"message":"' + for_json(line) + b'"}\n'
        if self._objects == "nest":
            return head + b'"data":' + line.strip() + b"}\n"
        return head + _merged(line, found) + b"\n"


_OURS = {"ts", "site", "group", "task", "pid", "stream"}


def _merged(line: bytes, found: dict[str, Any]) -> bytes:
    """The rest of the object; what the worker calls by a name of ours gets an underscore."""
    if not found:
        return b'"message":""}'
    if not found.keys() & _OURS:
        return line.strip()[1:].lstrip()
    renamed = {f"{name}_" if name in _OURS else name: value for name, value in found.items()}
    return _encode(renamed)[1:].encode("utf-8", "backslashreplace")


def _object(line: bytes) -> dict[str, Any] | None:
    """The object that a line is, if it is one."""
    if not line.startswith(b"{"):
        return None
    try:
        found = json.loads(line, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _no_json(constant: str) -> Any:
    raise ValueError(constant)  # NaN and Infinity: Python's own idea


def _enclose(before: bytes, lines: Lines, after: bytes = b"") -> Lines:
    """The lines, each between these. What is put in is put in by one `replace`; nothing large is copied after that."""
    text = b"".join((b"\n", lines)).replace(b"\n", after + b"\n" + before)
    return memoryview(text)[len(after) + 1 : len(text) - len(before)]


def _shorten(text: str, width: int) -> str:
    return (
        text if len(text) <= width else text[: width // 2] + "\N{HORIZONTAL ELLIPSIS}" + text[width // 2 + 1 - width :]
    )


def rfc3339(now_ns: int) -> str:
    """The time as the log has it: UTC, microseconds."""
    second, rest = divmod(now_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{rest // 1000:06}Z"
