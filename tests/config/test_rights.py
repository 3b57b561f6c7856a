"""Limits, capabilities, CPUs and accounts as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from procman.config.scalars import limits, rights
from procman.config.scalars.limits import UNLIMITED
from procman.config.scalars.values import BadValueError

LIMITS: list[tuple[Any, Any, tuple[int, int | None]]] = [
    (limits.Count, 20, (20, None)),
    (limits.Count, "20", (20, None)),
    (limits.Count, "20:20", (20, 20)),
    (limits.Count, " 20 : 30 ", (20, 30)),
    (limits.Count, "unlimited", (UNLIMITED, None)),
    (limits.Count, "20:infinity", (20, UNLIMITED)),
    (limits.Count, "unlimited:unlimited", (UNLIMITED, UNLIMITED)),
    (limits.Bytes, "64KiB:1MB", (65536, 1_000_000)),
    (limits.Bytes, 0, (0, None)),
    (limits.Seconds, "1m:1h", (60, 3600)),
    (limits.Seconds, "1.2s", (2, None)),
    (limits.Microseconds, 200, (200, None)),
    (limits.Microseconds, "200ms:1s", (200_000, 1_000_000)),
]


@pytest.mark.parametrize(("kind", "written", "meant"), LIMITS)
def test_a_limit_is_read_in_the_unit_of_the_system_call(kind: Any, written: Any, meant: tuple[int, int | None]) -> None:
    assert TypeAdapter(kind).validate_python(written) == meant


NO_LIMITS: list[Any] = [
    True,
    None,
    [],
    {},
    "",
    "many",
    -1,
    "-1",
    "1:2:3",
    ":",
    "1:",
    ":1",
    "2:1",
    "unlimited:1",
    10**30,
]


@pytest.mark.parametrize("kind", [limits.Count, limits.Bytes, limits.Seconds, limits.Microseconds])
@pytest.mark.parametrize("written", NO_LIMITS)
def test_what_is_no_limit_is_refused_in_words(kind: Any, written: Any) -> None:
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(kind).validate_python(written)
    (error,) = refusal.value.errors()
    bad = error["ctx"]["error"]
    assert isinstance(bad, BadValueError)
    assert bad.message
    assert bad.hint


GOOD: list[tuple[Callable[[Any], Any], Any, Any]] = [
    (rights.parse_capability, "NET_BIND_SERVICE", 10),
    (rights.parse_capability, "cap_chown", 0),
    (rights.parse_capability, "CHECKPOINT_RESTORE", 40),
    (rights.parse_cpus, "0-3,8", (0, 1, 2, 3, 8)),
    (rights.parse_cpus, "2, 1", (1, 2)),
    (rights.parse_cpus, 3, (3,)),
    (rights.parse_cpus, [3, "1", 3], (1, 3)),
    (rights.parse_account, "www-data", "www-data"),
    (rights.parse_account, "dom\\us.er", "dom\\us.er"),
    (rights.parse_account, "1000", 1000),
    (rights.parse_account, 0, 0),
]
BAD: list[tuple[Callable[[Any], Any], Any]] = [
    *((rights.parse_capability, value) for value in ["", "NET_BIND", "x" * 200, 10, True, None, []]),
    *(
        (rights.parse_cpus, value)
        for value in ["", "a", "1-", "-1", "3-1", "4096", "0-99999", [], [-1], True, None, 1.5]
    ),
    *((rights.parse_account, value) for value in ["", "a b", "a:b", "-x", -1, 2**32 - 1, True, None, [], 1.5, "\0"]),
]


@pytest.mark.parametrize(("parse", "written", "meant"), GOOD)
def test_a_right_is_read_as_it_is_meant(parse: Callable[[Any], Any], written: Any, meant: Any) -> None:
    assert parse(written) == meant


@pytest.mark.parametrize(("parse", "written"), BAD)
def test_what_is_no_right_is_refused_in_words(parse: Callable[[Any], Any], written: Any) -> None:
    with pytest.raises(BadValueError) as refusal:
        parse(written)
    assert refusal.value.message
    assert refusal.value.hint
