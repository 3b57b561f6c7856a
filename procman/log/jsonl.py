"""Records as JSON: one object a line, ASCII, never longer than PIPE_BUF, so that no other writer can tear it.

The names and types of what is written here are declared in `fields.py`, which the running core never imports.
This is on the way from a death to its replacement: the common line is one f-string, and only what is too long,
or of a rare kind, takes a longer way. It never writes anywhere and never asks for the time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from json import JSONEncoder, loads
from json.encoder import encode_basestring_ascii as quote
from select import PIPE_BUF

from procman.lean import TYPE_CHECKING
from procman.policy.events import Notice, Record, Transition
from procman.screen import without_colour
from procman.words import signal_name

if TYPE_CHECKING:
    from typing import Any

_MARK = "\N{HORIZONTAL ELLIPSIS}"
_encode = JSONEncoder(separators=(",", ":"), default=str).encode


class JsonLines:
    """Makes the lines of one site."""

    __slots__ = ("_second", "_site", "_stamp")

    def __init__(self, site: str | None) -> None:
        self._site = _encode(site)
        self._second = -1
        self._stamp = ""

    def lines(self, now_ns: int, records: Sequence[Record]) -> list[bytes]:
        """A line for each record, all with the same time: what was decided at once has happened at once."""
        stamp = self._rfc3339(now_ns)
        return [_finish(self._line(stamp, record)) for record in records]

    def _line(self, stamp: str, record: Record) -> str:
        if isinstance(record, Notice):
            more = "".join(f",{quote(name)}:{_value(value)}" for name, value in record.fields.items())
            return (
                f'{{"ts":"{stamp}","level":"{record.level}","event":{quote(record.event)},"site":{self._site}'
                f',"reason":{quote(record.reason)}{more}}}'
            )
        worker, pid, from_, to, reason, level, exit_, retry, _ = record
        more = "" if exit_ is None and retry is None else _ending(record)
        return (
            f'{{"ts":"{stamp}","level":"{level}","event":"worker.{to}","site":{self._site}'
            f',"group":{quote(worker.group)},"task":{worker.task},"generation":{worker.generation}'
            f',"pid":{"null" if pid is None else pid},"from":"{from_}","to":"{to}","reason":{quote(reason)}{more}}}'
        )

    def _rfc3339(self, now_ns: int) -> str:
        second, rest = divmod(now_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{rest // 1000:06}Z"


def _value(value: object) -> str:
    return quote(without_colour(value)) if isinstance(value, str) else _encode(value)


def _ending(record: Transition) -> str:
    """How the run ended, and what was decided on its slot."""
    text = ""
    if record.exit is not None:
        code, signal, uptime, usage, _, cause = record.exit
        how = f'"exit_code":{code}' if signal is None else f'"signal":{quote(signal_name(signal))}'
        how += f',"cause":"{cause}"' if cause else ""
        text = f',{how},"uptime_s":{uptime:.6f},"cpu_s":{usage.cpu_s:.6f},"max_rss_bytes":{usage.max_rss_bytes}'
    if record.retry is not None:
        restarts, left, delay = record.retry
        text += f',"restarts":{restarts},"budget_left":{left},"delay_s":{delay:.6f}'
    if record.tail:
        text += f',"tail":{_encode(record.tail)}'
    return text


def _finish(line: str) -> bytes:
    if len(line) >= PIPE_BUF:
        line = _fit(line)
    return line.encode("ascii") + b"\n"


def _fit(line: str) -> str:
    """The same object, its longest texts and lists cut until it fits, and `truncated` to say so."""
    fields: dict[str, Any] = loads(line)
    fields["truncated"] = True
    while (excess := len(line := _encode(fields)) - PIPE_BUF + 1) > 0:
        name, value = max(fields.items(), key=_room)
        room = _room((name, value))
        keep = max(0, len(value) * (room - excess) // room - 2)
        fields[name] = value[:keep] + (_MARK if isinstance(value, str) else [_MARK])
    return line


def _room(field: tuple[str, Any]) -> int:
    return len(_encode(field[1])) if isinstance(field[1], str | list) else 0
