"""What the core needs to know, and nothing else: a resolved, comparable, serialisable plan.

A plan is made by `config.compile` in a child process and reaches the core as JSON. Everything in it
is final: durations are seconds, signals are numbers, paths are absolute, worker counts are counts.
Nothing here reads a file, looks at the machine or knows TOML.

Values here are NamedTuples: immutable, compared by content, and cheap to import (the core's memory is
budgeted; `dataclasses` alone would cost it a megabyte).
"""

from __future__ import annotations

from procman.plan.changes import Change, diff, digest, moves
from procman.plan.checks import Health, HealthBy, OnUnhealthy, Ready, ReadyBy
from procman.plan.codec import from_json, to_json
from procman.plan.job import Overlap, Schedule
from procman.plan.launch import Cgroup, Launch, Limit, Privileges, Python, SpawnPath, Threads
from procman.plan.listen import Listen, ListenKind
from procman.plan.output import FileFormat, Objects, OnFull, Output, Rotate, Sink, SinkKind
from procman.plan.restart import Backoff, OnExhausted, Restart, Scope, Stop, Strategy, When
from procman.plan.site import Condition, GroupPlan, Kind, LogFormat, LogPlan, Origin, Orphans, Plan, ReloadPlan
from procman.plan.update import Recycle, Update, UpdateOrder

__all__ = [
    "Backoff",
    "Cgroup",
    "Change",
    "Condition",
    "FileFormat",
    "GroupPlan",
    "Health",
    "HealthBy",
    "Kind",
    "Launch",
    "Limit",
    "Listen",
    "ListenKind",
    "LogFormat",
    "LogPlan",
    "Objects",
    "OnExhausted",
    "OnFull",
    "OnUnhealthy",
    "Origin",
    "Orphans",
    "Output",
    "Overlap",
    "Plan",
    "Privileges",
    "Python",
    "Ready",
    "ReadyBy",
    "Recycle",
    "ReloadPlan",
    "Restart",
    "Rotate",
    "Schedule",
    "Scope",
    "Sink",
    "SinkKind",
    "SpawnPath",
    "Stop",
    "Strategy",
    "Threads",
    "Update",
    "UpdateOrder",
    "When",
    "diff",
    "digest",
    "from_json",
    "moves",
    "to_json",
]
