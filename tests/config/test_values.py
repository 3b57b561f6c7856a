"""Scalars as people write them."""

from __future__ import annotations

import contextlib
import shlex
import signal
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procman import words
from procman.config.scalars import values
from procman.config.scalars.values import BadValueError

DURATIONS = [
    ("500ms", 0.5),
    ("1.5s", 1.5),
    ("2m", 120.0),
    ("1h30m", 5400.0),
    ("1h 30m 5s", 5405.0),
    ("2d", 172800.0),
    (" 8s ", 8.0),
    ("90", 90.0),
    (90, 90.0),
    (0.25, 0.25),
    (0, 0.0),
]
SIZES = [("64KiB", 65536), ("64kB", 64000), ("10MB", 10_000_000), ("1.5GiB", 1610612736), ("512", 512), (512, 512)]
SIGNALS = [("TERM", 15), ("SIGTERM", 15), ("term", 15), (15, 15), ("15", 15), ("RTMIN+1", signal.SIGRTMIN + 1)]
UMASKS = [("0077", 0o77), ("22", 0o22), ("0o27", 0o27), (0o77, 0o77), (0, 0)]
INTEGERS = [(3, 3), ("3", 3), ("-3", -3)]
COMMANDS: list[tuple[Any, tuple[str, ...]]] = [
    ("python3 -m http.server", ("python3", "-m", "http.server")),
    ("sh -c 'echo \"a b\"'", ("sh", "-c", 'echo "a b"')),
    ("a  b\\ c ''", ("a", "b c", "")),
    ("say ${TITLE:-My Shop's} now", ("say", "${TITLE:-My Shop's}", "now")),
    ("say $${A B} now", ("say", "$${A", "B}", "now")),
    (["a b", ""], ("a b", "")),
]
GOOD = [
    *((values.parse_duration, *pair) for pair in DURATIONS),
    *((values.parse_size, *pair) for pair in SIZES),
    *((values.parse_signal, *pair) for pair in SIGNALS),
    *((values.parse_umask, *pair) for pair in UMASKS),
    *((values.parse_integer, *pair) for pair in INTEGERS),
    *((values.parse_command, *pair) for pair in COMMANDS),
    (values.parse_bool, True, True),
    (values.parse_bool, "false", False),
]
STRANGE: list[Any] = [
    True,
    None,
    [],
    {},
    [1],
    "",
    "soon",
    "5 minutes",
    "-1s",
    "1e3",
    "\u0661s",
    "\0",
    10**400,
    "9" * 5000,
]
NO_COMMANDS: list[Any] = [True, None, [], {}, [1], "", "  ", [""], "\0", ["a\0"], "'", "a\\"]
BAD: list[tuple[Callable[[Any], Any], Any]] = [
    *((values.parse_duration, value) for value in [*STRANGE, -1, 1e300, float("nan"), float("inf"), "1.s", "s"]),
    *((values.parse_size, value) for value in [*STRANGE, "10XB", "10kb", "-1", 1.5]),
    *((values.parse_signal, value) for value in [*STRANGE, 0, 65, -1, "RTMIN+99", "SIG", 1.0]),
    *((values.parse_stop_signal, value) for value in ["STOP", "CONT"]),
    *((values.parse_umask, value) for value in [*STRANGE, "0888", "7777", 512, -1]),
    *((values.parse_command, value) for value in NO_COMMANDS),
    *((values.parse_integer, value) for value in [*STRANGE, 1.0, "1.0"]),
    *((values.parse_bool, value) for value in [1, 0, "yes", "True", None, []]),
]


@pytest.mark.parametrize(("parse", "written", "meant"), GOOD)
def test_a_value_is_read_as_it_is_meant(parse: Callable[[Any], Any], written: Any, meant: Any) -> None:
    assert parse(written) == meant


@pytest.mark.parametrize(("parse", "written"), BAD)
def test_what_is_no_value_is_refused_in_words(parse: Callable[[Any], Any], written: Any) -> None:
    with pytest.raises(BadValueError) as refusal:
        parse(written)
    assert refusal.value.message
    assert refusal.value.hint


@given(st.integers(0, 86400 * 1000))
def test_a_duration_is_read_back_as_it_is_said(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    said = values.parse_duration(words.duration(seconds))
    assert abs(said - seconds) <= max(0.06, seconds * 0.01) or seconds >= 60


@given(st.lists(st.text(st.characters(exclude_characters="\0$"), min_size=1), min_size=1))
def test_a_command_line_is_split_as_a_shell_would_split_it(argv: list[str]) -> None:
    assert values.parse_command(shlex.join(argv)) == tuple(argv)


SCALARS: list[st.SearchStrategy[Any]] = [st.text(), st.integers(), st.floats(), st.booleans(), st.none()]


@given(st.one_of(*SCALARS, st.lists(st.text())))
def test_no_value_makes_a_parser_fail_otherwise(value: Any) -> None:
    for parse in {parse for parse, _ in BAD}:
        with contextlib.suppress(BadValueError):
            parse(value)
