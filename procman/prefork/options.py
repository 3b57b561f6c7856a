"""The arguments of `fork_processes` as a plan: a site of one group. Names and meanings are those of the site file.

Values are read by the same functions as the file's. Nothing here is started.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from signal import SIGTERM
from typing import Any, TypeVar

from procman.config.cpus import usable_cpus
from procman.config.scalars.values import BadValueError, nearest, parse_duration, parse_number
from procman.plan import Backoff, GroupPlan, Launch, Plan, Restart, Stop

MAX_RESTARTS = 100
"""The ancestor's default, and the site file's."""

GROUP = "worker"
"""The one group's name: in the event log, a child is `worker:0`."""

_Value = TypeVar("_Value")

_BACKOFF: dict[str, Callable[[Any], float]] = {
    "initial": parse_duration,
    "factor": lambda value: parse_number(value, 1, 1000),
    "max": parse_duration,
    "jitter": lambda value: parse_number(value, 0, 1),
}


def make_plan(
    num_processes: int | None,
    max_restarts: int | None,
    *,
    window: str | float | None,
    backoff: bool | Mapping[str, str | float],
    grace: str | float,
) -> Plan:
    """What the manager is told to run. Raises ValueError for a bad value, with what is wrong and what to do."""
    program = os.path.basename(sys.argv[0] or "python")  # noqa: PTH119 - pathlib for one name
    restart = Restart(
        max_restarts=MAX_RESTARTS if max_restarts is None else max(max_restarts, 0),
        window=None if window is None else _window(window),
        backoff=_backoff(backoff),
    )
    group = GroupPlan(
        GROUP,
        Launch((program,), "/"),  # never looked at: a fork has neither command nor directory
        workers=usable_cpus() if num_processes is None or num_processes <= 0 else num_processes,
        restart=restart,
        stop=Stop(SIGTERM, _read("grace", parse_duration, grace), "leader"),
    )
    return Plan("python" if program == "-c" else program, (group,))


def _window(value: str | float) -> float:
    window = _read("window", parse_duration, value)
    if window == 0:
        raise ValueError("fork_processes: window: a window has a length\nhint: None counts over the parent's life")
    return window


def _backoff(value: bool | Mapping[str, str | float]) -> Backoff | None:
    if isinstance(value, bool):
        return Backoff() if value else None
    if not isinstance(value, Mapping):
        raise ValueError('fork_processes: backoff is True, False or a mapping\nhint: {"initial": "1s", "max": "1m"}')
    for key in value:
        if key not in _BACKOFF:
            near = nearest(str(key), [*_BACKOFF])
            hint = f"did you mean {near}?" if near else f"there are {', '.join(_BACKOFF)}"
            raise ValueError(f"fork_processes: backoff: unknown key {key!r}\nhint: {hint}")
    backoff = Backoff(**{key: _read(f"backoff.{key}", _BACKOFF[key], item) for key, item in value.items()})
    if backoff.initial > backoff.max:
        raise ValueError(
            "fork_processes: backoff.initial: the first delay is longer than the longest\n"
            "hint: raise `max` with it; it is 30s unless given"
        )
    return backoff


def _read(name: str, parse: Callable[[Any], _Value], value: object) -> _Value:
    try:
        return parse(value)
    except BadValueError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        raise ValueError(f"fork_processes: {name}: {error.message}{hint}") from None
