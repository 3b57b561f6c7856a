"""The vocabulary: what the deciding half hears (facts and wishes) and what it says (actions and records).

Everything here is a plain value. Facts and wishes come from the kernel's `wait`, one at a time; actions go
to the kernel's `perform`; records (transitions and notices) go to the log, where each becomes one line.
Times are seconds on a monotonic clock; wall time is stamped by `log.py` alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, NamedTuple

from procman.plan import Launch, LogPlan, Plan, Scope, Stop
from procman.policy.requests import Answer, Asked, Departed

Level = Literal["debug", "info", "warning", "error"]


class State(StrEnum):
    """Where a worker is in its life; `worker.EDGES` says what may follow what."""

    STOPPED = "stopped"
    """No process, and none wanted, or it waits for its group's dependencies."""
    STARTING = "starting"
    """A process was asked for; it is not ready yet."""
    RUNNING = "running"
    BACKOFF = "backoff"
    """No process; the next start waits for its deadline (or, under one-for-all, for the siblings)."""
    STOPPING = "stopping"
    """Asked to end, or its leader has ended and the rest of its tree is asked to."""
    KILLING = "killing"
    """SIGKILL was sent; waits for the kernel to say that nothing is left."""
    EXITED = "exited"
    """Ended normally, and not to be restarted."""
    FAILED = "failed"
    """Ended for good: the budget is spent, or it cannot start."""


class WorkerId(NamedTuple):
    """One run of one slot. Signals, exits and probes are keyed by it, so that a late fact hits nobody else."""

    group: str
    task: int
    generation: int

    def __str__(self) -> str:
        return f"{self.group}:{self.task}"


# --- facts: what is ------------------------------------------------------------------------------------


class Forked(NamedTuple):
    """A spawn has a process now. Always comes before that process's `Exited`."""

    worker: WorkerId
    pid: int


class Execed(NamedTuple):
    """The worker's program has begun."""

    worker: WorkerId


Stage = Literal["fork", "setup", "cwd", "exec"]
"""What failed: there was no process; an option that it could not be given; its directory; its program."""


class StartFailed(NamedTuple):
    """A spawn failed. If it was `Forked`, its `Exited` follows and only then is the pid gone."""

    worker: WorkerId
    stage: Stage
    errno: int
    reason: str
    """For people, with what failed: `pythn3: command not found`."""
    draw: float
    """A random number in [0, 1), for the jitter of the delay that may follow."""


class Usage(NamedTuple):
    """What a process and its reaped children have used."""

    cpu_s: float = 0.0
    max_rss_bytes: int = 0


class Exited(NamedTuple):
    """A child of ours was reaped: a worker's leader, or an orphan that nobody knows."""

    pid: int
    exit_code: int | None
    """None if it died of a signal."""
    signal: int | None
    usage: Usage
    leftover: bool
    """Whether processes of its group are left; then a `TreeEnded` follows."""
    draw: float


class TreeEnded(NamedTuple):
    """Nothing is left of the group whose leader had this pid. Comes after an `Exited` with `leftover`."""

    pid: int


class Left(NamedTuple):
    """Who is left besides the workers and helpers: told once after each `Drain`, and again when nobody is."""

    processes: int
    names: str = ""
    """For people, the first few: `redis-server (pid 41), sh (pid 43)`."""


class GuardEnded(NamedTuple):
    """The guard has ended although it should run, or it cannot start."""

    reason: str
    draw: float


class TimePassed(NamedTuple):
    """The deadline that `Manager.deadline()` named has come."""


class Loaded(NamedTuple):
    """The loader has made a plan of the configuration."""

    plan: Plan
    digest: str


class LoadFailed(NamedTuple):
    """The configuration cannot be used (or the loader broke); whatever runs is not touched."""

    reason: str
    """One line: `configs/site.toml: 2 errors`."""
    diagnostics: str
    """All of it for people, many lines, each error with its place and its hint."""


# --- wishes: what is wanted ----------------------------------------------------------------------------


class Load(NamedTuple):
    """Read the configuration (again) and apply it."""


class ShutDown(NamedTuple):
    """End the site in order; `now` skips the grace. A second one, 0.5 s or more after the first, means now."""

    reason: str
    now: bool = False


class ReopenLog(NamedTuple):
    """Open the log file anew (it was moved away). A wish and, handed on, an action."""


Fact = Forked | Execed | StartFailed | Exited | TreeEnded | Left | GuardEnded | TimePassed | Loaded | LoadFailed
Wish = Load | ShutDown | ReopenLog | Asked | Departed
Event = Fact | Wish


# --- actions: what the kernel is to do -----------------------------------------------------------------


class Spawn(NamedTuple):
    """Start a process. Answered by `Forked` and `Execed`, or by `StartFailed`, perhaps after `Forked`."""

    worker: WorkerId
    launch: Launch


class Signal(NamedTuple):
    """Send a signal to a worker that has been forked and whose tree has not ended."""

    worker: WorkerId
    pid: int
    signal: int
    scope: Scope


class Drain(NamedTuple):
    """Signal, now and later, whoever is left of procman's descendants, or at process 1 of its pid namespace."""

    signal: int


class Guard(NamedTuple):
    """Have the guard run, and end the workers of these groups by these rules if the core is gone; None: have none."""

    site: str
    rules: tuple[tuple[str, Stop], ...] | None


class RunLoader(NamedTuple):
    """Start the loader. Answered by `Loaded` or `LoadFailed`, once."""


class Print(NamedTuple):
    """Write a text for people to standard error as it stands (the diagnostics of a site that cannot start)."""

    text: str


class ConfigureLog(NamedTuple):
    """Write the log from now on as this plan says."""

    site: str
    log: LogPlan


Action = Spawn | Signal | Drain | Guard | RunLoader | Print | ConfigureLog | ReopenLog | Answer


# --- records: what the log says ------------------------------------------------------------------------


class Exit(NamedTuple):
    """How a process ended."""

    exit_code: int | None
    signal: int | None
    uptime_s: float
    usage: Usage


class Retry(NamedTuple):
    """The restart that was decided on."""

    restarts: int
    """How many of the group's automatic restarts count on the budget now, this one included."""
    budget_left: int
    delay_s: float


class Transition(NamedTuple):
    """A worker has changed its state: the log's event `worker.<to>`."""

    worker: WorkerId
    pid: int | None
    """None before the fork and after the reaping's own line."""
    from_: State
    to: State
    reason: str
    level: Level = "info"
    exit: Exit | None = None
    """On the transition at which the leader's end was learnt."""
    retry: Retry | None = None
    """On a transition that ends in an automatic restart."""


class Notice(NamedTuple):
    """Anything else worth a line: `site.*`, `group.*`, `config.*`, `helper.*`."""

    event: str
    level: Level
    reason: str
    fields: dict[str, Any] = {}  # noqa: RUF012 - a shared empty default that nobody writes to
    """Further fields of the line; `log.py` declares every name and its type."""


Record = Transition | Notice


class Outcome(NamedTuple):
    """What `Manager.handle` answers."""

    actions: list[Action]
    records: list[Record]
