"""Scalars that say as whom, where and with which rights a worker runs; pure functions from a TOML value, as `values`.

No name of a user is looked up here.
"""

from __future__ import annotations

import re
from typing import Any

from procman import words
from procman.config.scalars.values import BadValueError, nearest, parse_integer, show

MOST_CPUS = 4096
MOST_ID = 2**32 - 2
"""The id above means "as it is" to setresuid(2)."""

CPUS_PATTERN = r"^\s*[0-9]+(-[0-9]+)?(\s*,\s*[0-9]+(-[0-9]+)?)*\s*$"

_ACCOUNT = re.compile(r"[^\s:/\0-][^\s:/\0]{0,63}")
_CPUS_HINT = 'write "0-3,8" or [0, 1, 2, 3, 8]'
_RANGE = re.compile(r"\s*([0-9]{1,6})(?:-([0-9]{1,6}))?\s*", re.ASCII)


def parse_account(value: Any) -> int | str:
    """A user or group: its number, or a name that is still to be looked up."""
    if isinstance(value, str) and _ACCOUNT.fullmatch(value) and not value.isdigit():
        return value
    return parse_id(value)


def parse_owner(value: Any) -> tuple[int | str | None, int | str | None]:
    """A user and a group, from "user", "user:group" or ":group"; None is whichever it is already."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value in ("", ":"):
        raise BadValueError(f"{show(value)} names no owner", 'write "www-data", "www-data:adm" or ":adm"')
    user, colon, group = str(value).partition(":")
    return parse_account(user) if user else None, parse_account(group) if colon else None


def parse_id(value: Any) -> int:
    """The number of a user or group."""
    try:
        return parse_integer(value, 0, MOST_ID)
    except BadValueError:
        hint = f'write a name or a number up to {MOST_ID}: "www-data", 1000'
        raise BadValueError(f"{show(value)} is neither a name nor an id", hint) from None


def parse_capability(value: Any) -> int:
    """A capability's number, from its name with or without CAP_."""
    name = value.upper().removeprefix("CAP_") if isinstance(value, str) else ""
    if name in words.CAPABILITIES:
        return words.CAPABILITIES.index(name)
    near = nearest(name, list(words.CAPABILITIES)) if 0 < len(name) < 100 else None
    hint = f'did you mean "{near}"?' if near else 'for example ["NET_BIND_SERVICE"]; see capabilities(7)'
    raise BadValueError(f"{show(value)} is not a capability", hint)


def parse_cpus(value: Any) -> tuple[int, ...]:
    """The numbers of CPUs in order, from a list or from ranges: "0-3,8"."""
    if isinstance(value, (list, tuple)):
        found = [parse_integer(item, 0, MOST_CPUS - 1) for item in value]
    else:
        parts = str(value).split(",") if isinstance(value, (str, int)) and not isinstance(value, bool) else []
        found = [cpu for part in parts for cpu in _range(part, value)]
    if not found:
        raise BadValueError(f"{show(value)} names no CPU", _CPUS_HINT)
    return tuple(sorted(set(found)))


def _range(part: str, value: Any) -> range:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise BadValueError(f"{show(value)} is no list of CPUs", _CPUS_HINT)
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first or last >= MOST_CPUS:
        raise BadValueError(f"{show(part.strip())} is no range of CPUs", f"{_CPUS_HINT}, each below {MOST_CPUS}")
    return range(first, last + 1)
