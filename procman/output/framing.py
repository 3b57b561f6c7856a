"""From what a pipe gives to whole lines, and to what JSON and terminals can bear. Pure; whole chunks at a time.

A gigabyte of 100-byte lines is ten million lines: whatever is done for each of them costs seconds. So nothing here
looks at single lines unless it must, and a chunk is looked at by functions that run in C.
"""

from __future__ import annotations

import re

MAX_LINE = 65536
"""Bytes that are kept of a line unless the plan says otherwise."""

Lines = bytes | memoryview
"""Whole lines, each with its newline."""

_CONTROLS = tuple(bytes([byte]) for byte in (*range(0x20), 0x7F) if byte not in b"\n\t")
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]")
_UNSAFE = re.compile(rb"\x1b\[[0-9;:]*m|[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
_RESET = b"\x1b[0m"
_COLOURED_LINE = re.compile(rb"(\x1b\[[0-9;:]*m[^\n]*)")


class Framer:
    """The lines of one pipe. What it gives always ends with a newline; an unfinished line is kept for the next time.

    A line longer than `max_line` is cut, with a mark that says by how much; the memory it takes is bounded by that.
    """

    __slots__ = ("_beyond", "_max", "_parts", "_weight")

    def __init__(self, max_line: int = MAX_LINE, carry: bytes = b"", beyond: int = 0) -> None:
        """`carry` and `beyond` are what another framer's `state` was."""
        self._max = max_line
        self._parts = [carry] if carry else []
        self._weight = len(carry)
        self._beyond = beyond

    @property
    def state(self) -> tuple[bytes, int]:
        """The unfinished line, and how many bytes of it have been cut already."""
        return b"".join(self._parts), self._beyond

    @property
    def unfinished(self) -> bool:
        """Whether there is the beginning of a line."""
        return bool(self._parts)

    def feed(self, chunk: bytes) -> Lines:
        """The lines that are whole now; empty if there are none. They are copied once at most."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._keep(chunk)
            return b""
        lines: Lines = chunk if end == len(chunk) else memoryview(chunk)[:end]
        head = b""
        if self._parts:
            first = chunk.find(b"\n") + 1
            if self._weight + first <= self._max:
                lines = b"".join((*self._parts, lines))
                self._parts, self._weight = [], 0
            else:
                self._keep(chunk[: first - 1])
                head, lines = self.flush(), lines[first:]
        if len(chunk) > self._max:
            lines = self._cut(bytes(lines))
        if end < len(chunk):
            self._keep(chunk[end:])
        return head + lines if head else lines

    def flush(self) -> bytes:
        """The unfinished line, finished: nothing of it will come any more. Empty if there is none."""
        if not self._parts:
            return b""
        line, beyond = b"".join(self._parts), self._beyond
        self._parts, self._weight, self._beyond = [], 0, 0
        return (_cut_line(line, beyond) if beyond else line) + b"\n"

    def _keep(self, part: bytes) -> None:
        room = self._max - self._weight
        self._beyond += max(0, len(part) - room)
        part = part[:room]
        self._parts.append(part)  # even an empty one: there is a line, whatever it holds
        self._weight += len(part)
        if len(self._parts) > 64:
            self._parts = [b"".join(self._parts)]

    def _cut(self, lines: bytes) -> bytes:
        """The same lines, none longer than the limit: asked for only where a chunk can hold a longer one."""
        at = 0
        while len(lines) - at > self._max:
            at = lines.rfind(b"\n", at, at + self._max + 1) + 1
            if not at:
                break
        else:
            return lines
        cut = [
            line if len(line) <= self._max else _cut_line(line[: self._max], len(line) - self._max)
            for line in lines.split(b"\n")
        ]
        return b"\n".join(cut)


def _cut_line(line: bytes, beyond: int) -> bytes:
    """What is kept of a line, not ending within a character, and the mark."""
    end = len(line)
    while end and len(line) - end < 3 and line[end - 1] & 0xC0 == 0x80:
        end -= 1
    if end and line[end - 1] >= 0xC0 and len(line) - end < _length_of(line[end - 1]) - 1:
        beyond += len(line) - end + 1
        line = line[: end - 1]
    return line + f"\N{HORIZONTAL ELLIPSIS} ({beyond:,} bytes cut)".encode()


def _length_of(lead: int) -> int:
    return 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def valid_utf8(lines: bytes) -> bytes:
    r"""The same text, with `\x88` for each byte that is no part of a character."""
    if lines.isascii():
        return lines
    try:
        lines.decode()
    except UnicodeDecodeError:
        return lines.decode("utf-8", "backslashreplace").encode()
    return lines


def for_json(lines: bytes) -> bytes:
    """The same lines as they stand between the quotes of a JSON string; newlines are left as they are."""
    lines = valid_utf8(lines).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    lines = lines.replace(b"\t", b"\\t").replace(b"\r", b"\\r")
    return _CONTROL.sub(lambda match: b"\\u%04x" % match[0][0], lines) if _has_controls(lines) else lines


def for_terminal(lines: bytes, *, colour: bool) -> bytes:
    r"""The same lines with nothing in them on which a terminal would act, but colours where those are wanted.

    Other control characters are shown: `\x1b`. A carriage return before a newline is left out.
    """
    lines = valid_utf8(lines)
    if b"\r" in lines:
        lines = lines.replace(b"\r\n", b"\n")
    if b"\xc2" not in lines and not _has_controls(lines):
        return lines
    coloured = colour and b"\x1b[" in lines
    lines = _UNSAFE.sub(_with_colour if colour else _without_colour, lines)
    return _COLOURED_LINE.sub(rb"\1" + _RESET, lines) if coloured else lines


def _has_controls(lines: bytes) -> bool:
    """Whether there are control characters besides newlines and tabs.

    A search for each of them looks odd, and takes half the time of the one pass of `bytes.translate`: it is `memchr`.
    """
    for control in _CONTROLS:  # noqa: SIM110 - a generator costs more than the searches
        if control in lines:
            return True
    return False


def _with_colour(match: re.Match[bytes]) -> bytes:
    return match[0] if match[0].startswith(b"\x1b[") else _shown(match[0])


def _without_colour(match: re.Match[bytes]) -> bytes:
    return b"" if match[0].startswith(b"\x1b[") else _shown(match[0])


def _shown(character: bytes) -> bytes:
    return b"\\x%02x" % character[-1]
