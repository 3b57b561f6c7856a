"""Events of the JSON log back into records, for those who show them to people. Reads and prints nothing."""

from __future__ import annotations

import calendar
import signal
import time
from typing import Any

from procman.policy.events import Exit, Notice, Record, Retry, State, Transition, Usage, WorkerId

_ALWAYS = ("ts", "level", "event", "site", "reason")


def when(event: dict[str, Any]) -> int:
    """Its time, in nanoseconds since the epoch."""
    second, _, micros = event["ts"].rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(second, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(micros) * 1000


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
