"""What the core needs to know, and nothing else: a resolved, comparable, serialisable plan.

A plan is made by `config.compile` in a child process and reaches the core as JSON. Everything in it
is final: durations are seconds, signals are numbers, paths are absolute, worker counts are counts.
Nothing here reads a file, looks at the machine or knows TOML.

Values here are NamedTuples (of `procman.lean`): immutable, compared by content, and cheap to import (the core's memory
is budgeted; `dataclasses` alone would cost it a megabyte).
"""

from __future__ import annotations

from procman.plan.changes import Change, diff, digest, moves
from procman.plan.checks import Health, Ready
from procman.plan.codec import from_json, to_json
from procman.plan.job import Schedule
from procman.plan.launch import Cgroup, Launch, Limit, Privileges, Python
from procman.plan.listen import Listen
from procman.plan.output import Output, Rotate, Sink
from procman.plan.restart import Backoff, Restart, Stop
from procman.plan.site import GroupPlan, LogPlan, Origin, Plan, ReloadPlan
from procman.plan.update import Recycle, Update

__all__ = [
    "Backoff",
    "Cgroup",
    "Change",
    "GroupPlan",
    "Health",
    "Launch",
    "Limit",
    "Listen",
    "LogPlan",
    "Origin",
    "Output",
    "Plan",
    "Privileges",
    "Python",
    "Ready",
    "Recycle",
    "ReloadPlan",
    "Restart",
    "Rotate",
    "Schedule",
    "Sink",
    "Stop",
    "Update",
    "diff",
    "digest",
    "from_json",
    "moves",
    "to_json",
]
