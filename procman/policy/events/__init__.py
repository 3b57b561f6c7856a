"""The vocabulary: what the deciding half hears (facts and wishes) and what it says (actions and records).

Everything here is a plain value. Facts and wishes come from the kernel's `wait`, one at a time; actions go
to the kernel's `perform`; records (transitions and notices) go to the log, where each becomes one line.
Times are seconds on a monotonic clock; wall time is stamped by the log alone.
"""

from __future__ import annotations

from procman.lean import NamedTuple
from procman.policy.events.actions import (
    Action,
    AwaitDemand,
    Calendar,
    Check,
    ConfigureLog,
    CronEntry,
    Drain,
    EndHelper,
    GuardRules,
    HelperOrder,
    Identify,
    KeepPlans,
    OpenSockets,
    Print,
    PumpRules,
    Report,
    RunHelper,
    RunLoader,
    Signal,
    Spawn,
    WatchList,
    Weigh,
    ZygoteOrder,
)
from procman.policy.events.facts import (
    Checked,
    Demanded,
    Due,
    Execed,
    Exited,
    Extended,
    Fact,
    FactOfHelper,
    Forked,
    HelperEnded,
    HelperFailed,
    HelperReady,
    Left,
    Loaded,
    LoadFailed,
    MainPid,
    Outgrown,
    OutputLost,
    Ready,
    Said,
    StartFailed,
    Strays,
    TimePassed,
    Touched,
    TreeEnded,
    Unready,
)
from procman.policy.events.names import GoodPlan, State, Usage, WorkerId
from procman.policy.events.records import Exit, Notice, Record, Retry, Transition
from procman.policy.events.wishes import Load, ReopenLog, ShutDown, Wish

__all__ = [
    "Action",
    "AwaitDemand",
    "Calendar",
    "Check",
    "Checked",
    "ConfigureLog",
    "CronEntry",
    "Demanded",
    "Drain",
    "Due",
    "EndHelper",
    "Event",
    "Execed",
    "Exit",
    "Exited",
    "Extended",
    "Fact",
    "FactOfHelper",
    "Forked",
    "GoodPlan",
    "GuardRules",
    "HelperEnded",
    "HelperFailed",
    "HelperOrder",
    "HelperReady",
    "Identify",
    "KeepPlans",
    "Left",
    "Load",
    "LoadFailed",
    "Loaded",
    "MainPid",
    "Notice",
    "OpenSockets",
    "Outcome",
    "Outgrown",
    "OutputLost",
    "Print",
    "PumpRules",
    "Ready",
    "Record",
    "ReopenLog",
    "Report",
    "Retry",
    "RunHelper",
    "RunLoader",
    "Said",
    "ShutDown",
    "Signal",
    "Spawn",
    "StartFailed",
    "State",
    "Strays",
    "TimePassed",
    "Touched",
    "Transition",
    "TreeEnded",
    "Unready",
    "Usage",
    "WatchList",
    "Weigh",
    "Wish",
    "WorkerId",
    "ZygoteOrder",
]

Event = Fact | Wish


class Outcome(NamedTuple):
    """What `Manager.handle` answers."""

    actions: list[Action]
    records: list[Record]
