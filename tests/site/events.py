"""The log's lines as typed events, each held against the schema; and the pipes through which they come."""

from __future__ import annotations

import json
import os
import select
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

from jsonschema import Draft202012Validator

_SCHEMA = Path(__file__).parents[2] / "schemas" / "event.schema.json"
_WHOLE = json.loads(_SCHEMA.read_text(encoding="utf-8"))
_FOR_ALL = {key: value for key, value in _WHOLE.items() if key != "oneOf"}
_VALIDATORS = {
    kind["properties"]["event"]["const"]: Draft202012Validator({**_FOR_ALL, "allOf": [kind]})
    for kind in _WHOLE["oneOf"]
}
"""By event: to try all kinds for each of a thousand lines would take longer than procman waits for its reader."""


@dataclass(frozen=True, eq=False)
class Event:
    """One line of the log."""

    at: float
    """Seconds since 1970."""
    name: str
    worker: str
    """`api:0`; empty where it is about no worker."""
    fields: dict[str, Any]
    seen: float
    """When it was read, on the monotonic clock: what a test measures by, since a stamp may lag behind its decision."""

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


def event_of(line: bytes) -> Event:
    """The event of a line, which must be whole, short enough to be written at once, and as the schema says."""
    assert line.endswith(b"\n"), line
    assert len(line) <= select.PIPE_BUF, line
    fields = json.loads(line)
    assert [error.message for error in _VALIDATORS[fields["event"]].iter_errors(fields)] == [], line
    worker = f"{fields['group']}:{fields['task']}" if "task" in fields else ""
    return Event(datetime.fromisoformat(fields["ts"]).timestamp(), fields["event"], worker, fields, monotonic())


class Stream:
    """The lines of a pipe, as they come."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self.lines: list[bytes] = []
        self._rest = b""
        self.open = True

    def take(self) -> None:
        """Read what there is; not open any more when nobody can write to it."""
        chunk = os.read(self.read, 1 << 20)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self.lines += [line + b"\n" for line in lines]
        if not chunk:
            self.open = False
            self.lines += [self._rest] if self._rest else []

    def close(self) -> None:
        """Both ends, if they are open."""
        for end in (self.read, self.write):
            with suppress(OSError):
                os.close(end)
