"""The keywords of `fork_processes` have the names, the values and the errors of the site file."""

from __future__ import annotations

from typing import Any

import pytest

from procman.plan import Backoff, Restart, Stop
from procman.prefork.options import make_plan


def made(**given: Any) -> tuple[Restart, Stop]:
    """What is made of arguments."""
    arguments = {"num_processes": 1, "max_restarts": None, "window": None, "backoff": False, "grace": "8s"} | given
    (group,) = make_plan(**arguments).groups
    return group.restart, group.stop


@pytest.mark.parametrize(
    ("given", "restart"),
    [
        ({}, Restart(max_restarts=100, window=None, backoff=None)),
        ({"max_restarts": 0}, Restart(max_restarts=0, backoff=None)),
        ({"max_restarts": -1}, Restart(max_restarts=0, backoff=None)),
        ({"window": "10m"}, Restart(window=600.0, backoff=None)),
        ({"window": 2.5}, Restart(window=2.5, backoff=None)),
        ({"backoff": True}, Restart(backoff=Backoff(0.5, 2.0, 30.0, 0.2))),
        ({"backoff": {}}, Restart(backoff=Backoff())),
        (
            {"backoff": {"initial": "50ms", "factor": 3, "max": 1, "jitter": 0}},
            Restart(backoff=Backoff(0.05, 3.0, 1.0, 0.0)),
        ),
    ],
)
def test_restarts_are_as_the_site_file_would_have_them(given: dict[str, Any], restart: Restart) -> None:
    assert made(**given)[0] == restart


@pytest.mark.parametrize(("grace", "seconds"), [("8s", 8.0), ("500ms", 0.5), (3, 3.0), (0, 0.0)])
def test_a_child_alone_is_asked_to_end_by_sigterm(grace: str | float, seconds: float) -> None:
    assert made(grace=grace)[1] == Stop(signal=15, grace=seconds, scope="leader")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"grace": "8 parsecs"},
            (
                'fork_processes: grace: "8 parsecs" is not a duration\n'
                'hint: write a number and a unit (ms, s, m, h, d): "500ms", "1.5s", "1h30m"'
            ),
        ),
        ({"window": 0}, "fork_processes: window: a window has a length\nhint: None counts over the parent's life"),
        ({"backoff": {"inital": 1}}, "fork_processes: backoff: unknown key 'inital'\nhint: did you mean initial?"),
        (
            {"backoff": {"x": 1}},
            "fork_processes: backoff: unknown key 'x'\nhint: there are initial, factor, max, jitter",
        ),
        (
            {"backoff": "1s"},
            'fork_processes: backoff is True, False or a mapping\nhint: {"initial": "1s", "max": "1m"}',
        ),
        (
            {"backoff": {"initial": "1m"}},
            (
                "fork_processes: backoff.initial: the first delay is longer than the longest\n"
                "hint: raise `max` with it; it is 30s unless given"
            ),
        ),
        (
            {"backoff": {"jitter": 2}},
            "fork_processes: backoff.jitter: 2 is out of range\nhint: a number between 0 and 1",
        ),
    ],
)
def test_a_bad_value_is_told_with_what_to_do(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="fork_processes") as raised:
        made(**given)
    assert str(raised.value) == message
