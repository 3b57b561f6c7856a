"""The last words of a worker: its last lines, and what a Python traceback among them says. Pure."""

from __future__ import annotations

from procman.output.framing import Lines, valid_utf8

_KEPT = 8192
_LONGEST = 300
_HEADER = "Traceback (most recent call last):"


class Tail:
    """The end of a stream, bounded."""

    __slots__ = ("_end",)

    def __init__(self, end: bytes = b"") -> None:
        self._end = end

    @property
    def state(self) -> bytes:
        """All that is kept."""
        return self._end

    def take(self, lines: Lines) -> None:
        """More of the stream, in whole lines."""
        self._end = bytes(lines[-_KEPT:]) if len(lines) >= _KEPT else (self._end + lines)[-_KEPT:]

    def last(self, count: int) -> list[str]:
        """So many of the last lines, as text for people, none longer than a line of the log can bear."""
        lines = [_printable(line) for line in self._lines()[-count:]] if count else []
        return [line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}" for line in lines]

    def exception(self) -> str:
        """What the last Python traceback ends with: `ValueError: no such user`. Empty if there is none."""
        lines = self._lines()
        for at in range(len(lines) - 1, -1, -1):
            if lines[at].startswith(_HEADER):
                said = (line for line in lines[at + 1 :] if line and not line[0].isspace())
                return _printable(next(said, ""))[:_LONGEST]
        return ""

    def _lines(self) -> list[str]:
        lines = valid_utf8(self._end).decode("utf-8", "backslashreplace").split("\n")[:-1]
        return lines[1:] if len(self._end) >= _KEPT else lines  # the first may have lost its beginning


def _printable(text: str) -> str:
    text = text.rstrip().expandtabs(4)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
