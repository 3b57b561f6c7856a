"""What the core needs to know, and nothing else: a resolved, comparable, serialisable plan.

A plan is made by `config.compile` in a child process and reaches the core as JSON. Everything in it
is final: durations are seconds, signals are numbers, paths are absolute, worker counts are counts.
This module never reads a file, never looks at the machine and knows nothing of TOML.

Values here are NamedTuples: immutable, compared by content, and cheap to import (the core's memory is
budgeted; `dataclasses` alone would cost it a megabyte).
"""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple

When = Literal["always", "on-failure", "never"]
Strategy = Literal["one-for-one", "one-for-all"]
OnExhausted = Literal["shutdown", "stop", "ignore"]
Scope = Literal["tree", "leader"]
Condition = Literal["started", "ready", "completed", "ended"]
Kind = Literal["service", "job"]
SpawnPath = Literal["vfork", "fork"]
LogFormat = Literal["auto", "json", "human"]
Orphans = Literal["end", "keep"]


class Backoff(NamedTuple):
    """How long a slot waits before each further restart in a row. Times are seconds."""

    initial: float = 0.5
    factor: float = 2.0
    max: float = 30.0
    jitter: float = 0.2
    """Share of the delay that is added at random: 0.2 makes it up to 20 % longer, never shorter."""


class Restart(NamedTuple):
    """The restart policy of a group; `policy/restart.py` gives it its meaning. Times are seconds."""

    when: When = "on-failure"
    success_codes: tuple[int, ...] = (0,)
    success_signals: tuple[int, ...] = ()
    max_restarts: int = 100
    window: float | None = None
    """None: the budget is for the group's life (the ancestor's rule); else a sliding window."""
    backoff: Backoff | None = Backoff()
    """None: every restart is immediate."""
    reset_after: float = 60.0
    strategy: Strategy = "one-for-one"
    on_exhausted: OnExhausted = "shutdown"


class Stop(NamedTuple):
    """How a worker is asked to end, and when it is made to."""

    signal: int = 15
    grace: float = 8.0
    scope: Scope = "tree"
    """Who hears the first signal: the whole process group, or the leader alone."""

    @property
    def tells_all(self) -> bool:
        """Whether the whole tree has been sent TERM by the first signal already."""
        return self.signal == 15 and self.scope == "tree"


class Limit(NamedTuple):
    """A resource limit, in the unit of setrlimit(2); -1 is unlimited."""

    name: str
    """As setrlimit(2) has it, without RLIMIT_ and in small letters: `nofile`."""
    soft: int
    hard: int | None = None
    """None: the core's, or `soft` where that is higher."""


class Privileges(NamedTuple):
    """As whom a worker runs, and what it may do and use. None (and no limit): as the core."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    """All supplementary groups."""
    nice: int | None = None
    oom_score_adj: int | None = None
    cpu_affinity: tuple[int, ...] | None = None
    limits: tuple[Limit, ...] = ()
    no_new_privileges: bool = False
    capabilities: tuple[int, ...] | None = None
    """All that it, and whatever it executes, can have."""
    parent_death_signal: int | None = None
    """Sent to the worker's leader when the core ends, however it ends."""


class Launch(NamedTuple):
    """What a worker is started with. A change of any of it replaces the running workers.

    The strings are templates: `$$` stands for a dollar sign, and `${PROCMAN_GROUP}`,
    `${PROCMAN_TASK_ID}` and `${PROCMAN_GENERATION}` are filled in at each start.
    """

    command: tuple[str, ...]
    cwd: str
    env: tuple[tuple[str, str | None], ...] = ()
    """Changes to the core's own environment, in order; None removes the name."""
    umask: int | None = None
    spawn: SpawnPath = "vfork"
    pass_env: tuple[str, ...] | None = None
    """What of the core's own environment is left: these names, a last `*` being any ending; None is all of it."""
    privileges: Privileges | None = None
    """None: as the core. Anything else takes the fork path."""


class GroupPlan(NamedTuple):
    """One group of equal workers. Everything but `launch` is changed live."""

    name: str
    launch: Launch
    kind: Kind = "service"
    workers: int = 1
    """How many run; 0 means that the group is not enabled."""
    auto: bool = False
    """Whether `workers` was counted from this machine's CPUs; such a count is no part of the digest."""
    restart: Restart = Restart()
    stop: Stop = Stop()
    after: tuple[tuple[str, Condition], ...] = ()


class LogPlan(NamedTuple):
    """Where the event log goes."""

    format: LogFormat = "auto"
    file: str | None = None
    """An absolute path; None is the standard error stream."""


class Plan(NamedTuple):
    """A whole site."""

    name: str
    groups: tuple[GroupPlan, ...]
    stop_timeout: float | None = None
    """Bounds the whole shutdown, in seconds; None leaves it to the core (9 s at process 1, else no bound)."""
    exit_code_from: str | None = None
    log: LogPlan = LogPlan()
    orphans: Orphans = "end"
    """What becomes of the workers if the core is killed: a guard ends them, or they are kept."""
    termination_log: str | None = None
    """The file for the last word, absolute; "" is none, None the default place where there is one (at process 1)."""
    control: str | None = None
    """The control socket, absolute; "" is none, None the default place."""
    control_group: int | str | None = None
    """The group whose members may use it as well; a name is looked up by the core."""
    pid_file: str | None = None
    sources: tuple[str, ...] = ()
    """The files that the plan was read from, absolute, the first named first."""


class Change(NamedTuple):
    """One difference between two plans."""

    group: str | None
    """None: the site itself."""
    field: str
    """Dotted, as the user knows it: `launch.command`, `restart.max_restarts`; "" is the group as a whole."""
    old: Any
    """None where the group is new."""
    new: Any
    """None where the group is gone."""


def to_json(plan: Plan) -> str:
    """The plan as one line of JSON; `from_json` gives back an equal plan."""
    return json.dumps(_plain(plan), separators=(",", ":"), ensure_ascii=True)


def from_json(text: str | bytes) -> Plan:
    """The plan that `to_json` wrote. Raises ValueError, KeyError or TypeError if it is anything else."""
    data = _tupled(json.loads(text))
    groups = tuple(_group(group) for group in data["groups"])
    return Plan(**{**data, "groups": groups, "log": LogPlan(**data["log"])})


def digest(plan: Plan) -> str:
    """The identity of a configuration: twelve hex digits over what the user wrote, not over this machine.

    Machines with different CPU counts agree on it; checkouts in different directories do not, since the
    directories in which workers run are part of what is configured.
    """
    from hashlib import sha256  # loads OpenSSL, 4 MB, which the core need not carry: the loader calls this

    groups = tuple(group._replace(workers=-1) if group.auto else group for group in plan.groups)
    stable = json.dumps(_plain(plan._replace(groups=groups, sources=())), sort_keys=True)
    return sha256(stable.encode()).hexdigest()[:12]


def diff(old: Plan, new: Plan) -> list[Change]:
    """What differs, site fields first, then group by group in the new plan's order, those gone last."""
    changes = [
        Change(None, field, before, after)
        for field, before, after in _fields(old, new, prefix="")
        if field not in ("groups", "sources")
    ]
    before_by_name = {group.name: group for group in old.groups}
    for group in new.groups:
        before_group = before_by_name.pop(group.name, None)
        if before_group is None:
            changes.append(Change(group.name, "", None, group))
        else:
            changes += [Change(group.name, *fields) for fields in _fields(before_group, group, prefix="")]
    changes += [Change(gone.name, "", gone, None) for gone in before_by_name.values()]
    return changes


def moves(old: Plan, new: Plan) -> dict[str, list[str]]:
    """What applying `new` to a site that runs `old` does to its groups, by name."""
    before, after = ({group.name: group for group in plan.groups} for plan in (old, new))
    both = [(before[name], after[name]) for name in after if name in before]
    return {
        "started": [name for name in after if name not in before],
        "stopped": [name for name in before if name not in after],
        "restarted": [b.name for a, b in both if a.launch != b.launch],
        "scaled": [b.name for a, b in both if a.workers != b.workers],
        "changed": [b.name for a, b in both if a._replace(launch=b.launch, workers=b.workers, auto=b.auto) != b],
    }


def _fields(old: Any, new: Any, prefix: str) -> list[tuple[str, Any, Any]]:
    """The differing leaves of two values of one NamedTuple type, as (dotted name, old, new)."""
    found: list[tuple[str, Any, Any]] = []
    for name in old._fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if hasattr(before, "_fields") and type(before) is type(after):
            found += _fields(before, after, f"{prefix}{name}.")
        else:
            found.append((prefix + name, before, after))
    return found


def _plain(value: Any) -> Any:
    """NamedTuples as dicts, other tuples as lists: what json can write and `from_json` can read."""
    if hasattr(value, "_fields"):
        return {name: _plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _tupled(value: Any) -> Any:
    """What json has read, with tuples for its lists."""
    if isinstance(value, dict):
        return {name: _tupled(item) for name, item in value.items()}
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value


def _group(data: dict[str, Any]) -> GroupPlan:
    launch, restart, stop = data["launch"], data["restart"], data["stop"]
    if (privileges := launch["privileges"]) is not None:
        limits = tuple(Limit(**limit) for limit in privileges["limits"])
        launch["privileges"] = Privileges(**{**privileges, "limits": limits})
    if restart["backoff"] is not None:
        restart["backoff"] = Backoff(**restart["backoff"])
    parts = {"launch": Launch(**launch), "restart": Restart(**restart), "stop": Stop(**stop)}
    return GroupPlan(**{**data, **parts})
