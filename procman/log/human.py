"""Records for a person at a terminal: when, who, which state, and what matters about it. One line each.

    12:00:07.001  mailer:0   backoff   exit 1 after 5.9s · restart 1/10 at once

It never writes anywhere and never asks for the time. A line never wraps: where a terminal is too narrow, the
middle of the reason goes first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from select import PIPE_BUF

from procman.policy.events import Exit, Notice, Record, Retry, State, Transition
from procman.screen import without_colour
from procman.words import duration

_DIM, _BOLD, _RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN = "2", "1", "31", "32", "33", "34", "35", "36"
_STATES = {
    State.STOPPED: _DIM,
    State.STARTING: _CYAN,
    State.RUNNING: _GREEN,
    State.BACKOFF: _YELLOW,
    State.STOPPING: _BLUE,
    State.KILLING: _MAGENTA,
    State.EXITED: _GREEN,
    State.FAILED: f"{_BOLD};{_RED}",
}
_LEVELS = {"debug": _DIM, "info": _BOLD, "warning": f"{_BOLD};{_YELLOW}", "error": f"{_BOLD};{_RED}"}
_WHO, _WHAT = 9, 8
"""Least widths of the columns; that of the workers grows with the names seen, up to `_WHO_MOST`."""
_WHO_MOST = 28
_LEAST = 20
"""What a reason keeps, however narrow the terminal; what follows it is cut next."""
_MOVES = ("started", "stopped", "restarted", "scaled", "changed")
_DOT = " \N{MIDDLE DOT} "
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


class HumanLines:
    """Makes the lines of one site. `columns` is asked for the terminal's width; None is no limit."""

    __slots__ = ("_clock", "_colour", "_columns", "_second", "_site", "_who")

    def __init__(self, site: str | None, colour: bool, columns: Callable[[], int | None]) -> None:
        self.be_about(site)
        self._colour = colour
        self._columns = columns
        self._second = -1
        self._clock = ""
        self._who = _WHO

    def be_about(self, site: str | None) -> None:
        """The name of the site from now on; None: it is not known yet."""
        self._site = site or "procman"

    def lines(self, now_ns: int, records: Sequence[Record]) -> list[bytes]:
        """The lines of the records; diagnostics follow theirs as they stand."""
        clock = self._local_time(now_ns)
        columns = self._columns()
        self._who = min(_WHO_MOST, max([self._who, *(len(self._subject(record)) for record in records)]))
        lines: list[bytes] = []
        for record in records:
            lines.append(self._line(clock, record, columns))
            if isinstance(record, Notice) and record.fields.get("diagnostics"):
                text = str(record.fields["diagnostics"])
                lines += map(_line_of, (text if self._colour else without_colour(text)).splitlines())
        return lines

    def _subject(self, record: Record) -> str:
        """Whom a line is about."""
        if isinstance(record, Transition):
            return str(record.worker)
        family, fields = record.event.partition(".")[0], record.fields
        if "task" in fields:
            return f"{fields['group']}:{fields['task']}"
        return self._site if family == "site" else str(fields.get("group", family))

    def _line(self, clock: str, record: Record, columns: int | None) -> bytes:
        if isinstance(record, Transition):
            what, style, (reason, rest) = record.to.value, _STATES[record.to], _tale(record)
        else:
            what, style, (reason, rest) = _verb(record.event), _LEVELS[record.level], _news(record)
        reason, rest = _printable(reason), _printable(rest)
        who = _shorten(self._subject(record), self._who)
        if columns is not None:
            room = columns - (len(clock) + 2 + self._who + 2 + max(_WHAT, len(what)) + 2)
            reason = _shorten(reason, max(_LEAST, room - len(rest)))
            rest = _clip(rest, max(0, room - len(reason)))
        loud = _LEVELS[record.level][2:]
        text = (
            f"{self._paint(clock, _DIM)}  {who:<{self._who}}  {self._paint(f'{what:<{_WHAT}}', style)}  "
            f"{self._paint(reason, loud)}{self._paint(rest, _DIM)}"
        )
        return _line_of(text.rstrip())

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour and style and text else text

    def _local_time(self, now_ns: int) -> str:
        second, rest = divmod(now_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._clock = time.strftime("%H:%M:%S", time.localtime(second))
        return f"{self._clock}.{rest // 1_000_000:03}"


def _verb(event: str) -> str:
    return event.partition(".")[2].replace("_", " ")


def _tale(record: Transition) -> tuple[str, str]:
    """What happened to a worker, and what follows from it."""
    reason, rest = record.reason, ""
    if record.exit is not None:
        reason = _with_uptime(reason, record.exit)
    elif record.to is State.RUNNING and record.pid is not None:
        reason = f"pid {record.pid}" + (f"{_DOT}{reason}" if reason != "started" else "")
    if record.retry is not None:
        rest = _DOT + _plan(record.retry)
    return reason, rest


def _news(record: Notice) -> tuple[str, str]:
    """What happened to the site or a group, and what else is known of it."""
    reason, fields = record.reason, record.fields
    match record.event:
        case "site.loading":
            return reason, f"{_DOT}pid {fields['pid']}"
        case "site.started":
            return (
                f"{_count(fields['groups'], 'group')}, {_count(fields['workers'], 'worker')}",
                f"{_DOT}{fields['digest']}",
            )
        case "site.stopped":
            orphans = fields["orphans"]
            return f"exit code {fields['exit_code']}", f"{_DOT}{_count(orphans, 'orphan')} reaped" if orphans else ""
        case "config.applied":
            moves = [f"{verb} {', '.join(fields[verb])}" for verb in _MOVES if fields.get(verb)]
            return _DOT.join([reason, *moves] if reason else moves), f"{_DOT}{fields['digest']}"
    return reason, ""


def _with_uptime(reason: str, exit_: Exit) -> str:
    """`exit status 1; 10 restarts in 1m spent` becomes `exit 1 after 5.9s · 10 restarts in 1m spent`."""
    said = f": {exit_.said}" if exit_.said else ""
    how, semicolon, why = reason.replace(said, "", 1).partition("; ")
    how = how.removeprefix("killed by ").replace("exit status ", "exit ", 1)
    return f"{how} after {duration(exit_.uptime_s)}{said}{_DOT if semicolon else ''}{why}"


def _plan(retry: Retry) -> str:
    restart = f"restart {retry.restarts}/{retry.restarts + retry.budget_left}" if retry.restarts else "again"
    return f"{restart} in {duration(retry.delay_s)}" if retry.delay_s else f"{restart} at once"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _shorten(text: str, width: int) -> str:
    """The text within a width, its middle left out: both what failed and how stand at an end."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return text[: width - 1 - tail] + _ELLIPSIS + text[len(text) - tail :]


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + _ELLIPSIS if width else ""


def _printable(text: str) -> str:
    """Names of files may hold anything; a terminal must not act on it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _line_of(text: str) -> bytes:
    line = text.encode("utf-8", "backslashreplace")
    if len(line) >= PIPE_BUF:
        mark = _ELLIPSIS.encode()
        line = line[: PIPE_BUF - 1 - len(mark)].decode("utf-8", "ignore").encode("utf-8") + mark
    return line + b"\n"
