"""A plan as JSON and back. A value in a value is named in `NESTED` once, and that is all it takes."""

from __future__ import annotations

import json
from collections.abc import Callable

from procman.lean import TYPE_CHECKING
from procman.plan.checks import Health, Ready
from procman.plan.job import Schedule
from procman.plan.launch import Cgroup, Launch, Limit, Privileges, Python
from procman.plan.listen import Listen
from procman.plan.output import Output, Rotate, Sink
from procman.plan.restart import Backoff, Restart, Stop
from procman.plan.site import GroupPlan, LogPlan, Origin, Plan, ReloadPlan
from procman.plan.update import Recycle, Update

if TYPE_CHECKING:
    from typing import Any

    Read = Callable[[Any], Any]
    """From what json has read, with tuples for its lists, to a value of a plan."""


def one(kind: Callable[..., Any]) -> Read:
    """A field that holds a value of this kind."""
    return lambda data: kind(**{**data, **{name: read(data[name]) for name, read in NESTED.get(kind, {}).items()}})


def one_or_none(kind: Callable[..., Any]) -> Read:
    """A field that may be None."""
    return lambda data: None if data is None else one(kind)(data)


def many(kind: Callable[..., Any]) -> Read:
    """A field that holds a tuple of such values."""
    return lambda data: tuple(map(one(kind), data))


NESTED: dict[Callable[..., Any], dict[str, Read]] = {
    Plan: {"groups": many(GroupPlan), "log": one(LogPlan), "reload": one(ReloadPlan), "origin": one(Origin)},
    GroupPlan: {
        "launch": one(Launch),
        "schedule": one_or_none(Schedule),
        "restart": one(Restart),
        "stop": one(Stop),
        "ready": one_or_none(Ready),
        "health": one_or_none(Health),
        "update": one(Update),
        "recycle": one(Recycle),
    },
    Launch: {
        "privileges": one_or_none(Privileges),
        "listen": many(Listen),
        "python": one_or_none(Python),
        "cgroup": one_or_none(Cgroup),
        "output": one(Output),
    },
    Output: {"stdout": one(Sink), "stderr": one(Sink)},
    Sink: {"rotate": one_or_none(Rotate)},
    Privileges: {"limits": many(Limit)},
    Restart: {"backoff": one_or_none(Backoff)},
}
"""By kind: which fields hold NamedTuples, and how these are read. All others hold plain values, or tuples of them."""


def to_json(plan: Plan) -> str:
    """The plan as one line of JSON; `from_json` gives back an equal plan."""
    return json.dumps(plain(plan), separators=(",", ":"), ensure_ascii=True)


def from_json(text: str | bytes) -> Plan:
    """The plan that `to_json` wrote. Raises ValueError, KeyError or TypeError if it is anything else."""
    return from_plain(json.loads(text))


def from_plain(value: Any) -> Plan:
    """The plan that `plain` made of one, perhaps with lists for its tuples. Raises as `from_json` does."""
    plan: Plan = one(Plan)(_tupled(value))
    return plan


def from_answer(text: str) -> Plan:
    """The plan of an object that has one, as the loader answers with it. Raises as `from_json` does."""
    return from_plain(json.loads(text)["plan"])


def plain(value: Any) -> Any:
    """NamedTuples as dicts, other tuples as lists, however deep: what json can write and `from_json` can read."""
    if hasattr(value, "_fields"):
        return {name: plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def _tupled(value: Any) -> Any:
    """What json has read, with tuples for its lists."""
    if isinstance(value, dict):
        return {name: _tupled(item) for name, item in value.items()}
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value
