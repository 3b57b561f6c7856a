"""Names a state: two moments with the same name have the same future. Only reads what it is given."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any

START = 1000.0
"""Where the small world's clock begins: a number from here on is an instant, a smaller one a duration."""

LONG_AGO = -20.0
"""Instants further back than this are all the same to every rule of the small world."""

IRRELEVANT = frozenset(
    {"_heap", "_pushed", "generation", "generations", "_generations", "last", "digest", "orphans", "said", "reason"}
)
"""What no decision depends on: overtaken deadlines, running numbers, and what was only told."""


def snapshot(value: Any, now: float) -> Any:
    """A hashable name of everything that can be reached from here."""
    return _name(value, now, {})


def _name(value: Any, now: float, seen: dict[int, int]) -> Any:
    if isinstance(value, float):
        return round(max(value - now, LONG_AGO), 6) if value >= START else value
    if value is None or isinstance(value, (str, int, bytes, Enum)):
        return value
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None) or range(len(value))
        return tuple(
            _name(item, now, seen) for field, item in zip(names, value, strict=True) if field not in IRRELEVANT
        )
    if id(value) in seen:
        return ("again", seen[id(value)])
    seen[id(value)] = len(seen)
    if isinstance(value, (list, deque)):
        return tuple(_name(item, now, seen) for item in value)
    if isinstance(value, (set, frozenset)):
        return tuple(sorted(str(_name(item, now, seen)) for item in value))
    if isinstance(value, dict):
        return tuple((_name(key, now, seen), _name(item, now, seen)) for key, item in value.items())
    names = getattr(type(value), "__slots__", None) or vars(value)
    return tuple(_name(getattr(value, name), now, seen) for name in names if name not in IRRELEVANT)
