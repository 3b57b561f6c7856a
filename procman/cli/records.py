"""Events of the JSON log back into records, and into lines for people. Reads and prints nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import datetime
from typing import Any

from procman.log.human import HumanLines
from procman.policy.events import Exit, Notice, Record, Retry, State, Transition, Usage, WorkerId
from procman.screen import columns, wants_colour

_ALWAYS = ("ts", "level", "event", "site", "reason")


def for_people(stream: int) -> Callable[[dict[str, Any]], list[bytes]]:
    """What makes lines of an event, for standard output (1) or standard error (2)."""
    lines = HumanLines(None, wants_colour(os.isatty(stream)), lambda: columns(stream))

    def lines_of(event: dict[str, Any]) -> list[bytes]:
        lines.be_about(event["site"])
        return lines.lines(when(event), [record_of(event)])

    return lines_of


def when(event: dict[str, Any]) -> int:
    """Its time, in nanoseconds since the epoch."""
    moment = datetime.fromisoformat(event["ts"])
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000


def record_of(event: dict[str, Any]) -> Record:
    """The record that the line was made of."""
    if not event["event"].startswith("worker."):
        fields = {name: value for name, value in event.items() if name not in _ALWAYS}
        return Notice(event["event"], event["level"], event["reason"], fields)
    return Transition(
        WorkerId(event["group"], event["task"], event["generation"]),
        event["pid"],
        State(event["from"]),
        State(event["to"]),
        event["reason"],
        event["level"],
        _exit(event),
        Retry(event["restarts"], event["budget_left"], event["delay_s"] or 0.0) if "restarts" in event else None,
    )


def _exit(event: dict[str, Any]) -> Exit | None:
    if "uptime_s" not in event:
        return None
    number = getattr(signal.Signals, event["signal"], 0) if "signal" in event else None
    usage = Usage(event["cpu_s"], event["max_rss_bytes"])
    return Exit(event.get("exit_code"), number, event["uptime_s"], usage, cause=event.get("cause"))
