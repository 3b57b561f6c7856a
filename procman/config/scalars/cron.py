"""`schedule` and `timezone`: what a crontab line says, checked by the library that the scheduler reads it with."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from procman.config.scalars.values import BadValueError, nearest, show

PATTERN = r"^\s*(@[a-z]+|\S+(\s+\S+){4})\s*$"

_HINT = 'minute, hour, day of month, month, day of week: "*/5 * * * *" is every five minutes, "30 4 * * SUN" weekly'
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def parse_cron(value: Any) -> str:
    """Five fields as crontab(5) has them, or a name like "@daily"."""
    if not isinstance(value, str) or not value.strip():
        raise BadValueError(f"{show(value)} is no schedule", _HINT)
    text = value.strip()
    if text.startswith("@"):
        if text in _NAMED:
            return _NAMED[text]
        hint = "leave it out: a job without a schedule runs once at the start" if text == "@reboot" else ""
        near = nearest(text, list(_NAMED))
        raise BadValueError(f"{show(value)} is no schedule", hint or (f'did you mean "{near}"?' if near else _HINT))
    if len(text.split()) != 5:
        raise BadValueError(f"a schedule has five fields, and {show(value)} has {len(text.split())}", _HINT)
    try:
        if next(CronSim(text, datetime(2024, 1, 1)), None) is None:
            raise BadValueError(f"{show(value)} never comes", "no year has such a day")
    except CronSimError as error:
        raise BadValueError(f"{show(value)} is no schedule: {str(error).lower()}", _HINT) from None
    return text


def parse_timezone(value: Any) -> str:
    """The name of a time zone that this machine knows."""
    try:
        if isinstance(value, str) and value:
            ZoneInfo(value)
            return value
    except (OSError, ValueError, LookupError):
        pass
    near = nearest(value, sorted(available_timezones())) if isinstance(value, str) and len(value) < 100 else None
    hint = (
        f'did you mean "{near}"?' if near else 'for example "Europe/Berlin" or "UTC"; the package tzdata has them all'
    )
    raise BadValueError(f"{show(value)} is no time zone of this machine", hint)
