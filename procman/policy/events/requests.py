"""The vocabulary between an operator and the site: what a client may ask for, and what it is answered.

Plain values, as all of the vocabulary. How they look on the wire is the business of `control.protocol`.
"""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan import Plan

if TYPE_CHECKING:
    from procman.choices import Doing, Role, Scope, Verb

# --- what is asked -------------------------------------------------------------------------------------


class Selector(NamedTuple):
    """Which workers an operator means."""

    group: str
    task: int | None = None
    """None: all of the group's."""

    def __str__(self) -> str:
        return self.group if self.task is None else f"{self.group}:{self.task}"


class Operate(NamedTuple):
    """Start, stop or restart workers by hand; all that are named or, if one cannot be meant, none."""

    verb: Verb
    targets: tuple[Selector, ...]


class RunJob(NamedTuple):
    """Run a job now, whatever its schedule says."""

    group: str


class Scale(NamedTuple):
    """Run so many workers of a group, whatever the configuration says."""

    group: str
    workers: int


class SendSignal(NamedTuple):
    """Send a signal to workers that run. It has no effect on the restart policy."""

    signal: int
    targets: tuple[Selector, ...]
    scope: Scope = "leader"


class ShowStatus(NamedTuple):
    """Say how everything is; changes nothing."""


class ShowPlan(NamedTuple):
    """Say what the site is to run; changes nothing."""


class Down(NamedTuple):
    """End the site in order; `now` skips the grace."""

    now: bool = False


class Reload(NamedTuple):
    """Read the configuration again and apply what changed. Answered once it is read."""

    reset: bool = False
    """Whether what was scaled and stopped by hand is to be as the configuration says."""


class Rollback(NamedTuple):
    """Go back to the last good plan or, where that is in force, to the one before it."""


Request = Operate | RunJob | Scale | SendSignal | ShowStatus | ShowPlan | Down | Reload | Rollback


class Asked(NamedTuple):
    """A client wants something. It is answered at once, and by `Done` at the end."""

    client: int
    """A number that no other client ever has."""
    request: Request
    wait: bool = True
    """Whether `Done` comes when what is wanted has come true, or cannot any more; else it comes at once."""


class Departed(NamedTuple):
    """A client has gone away, and waits for nothing any more."""

    client: int


# --- what is answered ----------------------------------------------------------------------------------


class Refused(NamedTuple):
    """It cannot be done, and nothing was."""

    reason: str
    hint: str = ""


class Rejected(NamedTuple):
    """The configuration cannot be used; whatever runs is not touched."""

    reason: str
    """One line: `site.toml: 2 errors`."""
    diagnostics: str
    """All of it for people, many lines, each error with its place and its hint."""


class Accepted(NamedTuple):
    """It is under way; `Done` follows."""

    workers: tuple[str, ...]
    """Whom it concerns: `api:0`."""
    note: str = ""
    """What the operator should know: `api: 5 workers (file: 2)`."""


class Done(NamedTuple):
    """It is over."""

    failures: tuple[str, ...] = ()
    """What did not come true, and why; empty if all did (or nobody waited)."""


class WorkerStatus(NamedTuple):
    """One worker of a slot. Times are seconds."""

    group: str
    task: int
    generation: int
    state: str
    pid: int | None
    uptime_s: float | None
    """Of the run that is going on."""
    delay_s: float | None
    """Until its next start, until it is to be ready, or until it is told to end or killed; None if nothing is due."""
    held: bool
    """Whether an operator stopped it."""
    last_exit: str | None
    """How its last run ended: `exit status 3`, `killed by SIGSEGV`."""
    last_exit_s: float | None
    """How long ago that was."""
    role: Role = ""
    """Which of two it is, while its slot has two: one starts beside the worker, or ends beside it; else empty."""
    unready: str = ""
    """Why it is marked as not ready although it runs; empty if it is not."""
    doing: Doing = ""
    """What it says that it is about, besides its work."""
    says: str = ""
    """Its own words on how it is."""


class GroupStatus(NamedTuple):
    """One group."""

    name: str
    workers: int
    file_workers: int
    """How many the configuration says; another number than `workers` after a scale by hand."""
    restarts: int
    """Automatic restarts that count on the budget now."""
    budget_left: int
    note: str
    """Why it does not run: `waits for migrate`, `has given up: …`; empty if it does."""
    rests: bool = False
    """Whether it comes and goes, by its schedule or a first connection: nobody need wait for it to be ready."""


class SiteStatus(NamedTuple):
    """The whole site at one instant."""

    site: str
    phase: str
    digest: str
    files: tuple[str, ...]
    groups: tuple[GroupStatus, ...]
    workers: tuple[WorkerStatus, ...]
    commit: str = ""
    """The git commit that the configuration is checked out from; empty where there is none."""
    dirty: bool = False
    """Whether its files are not what that commit has."""
    strays: int = 0
    """Processes that have left their workers' trees without a trace; they end with the site."""
    lost_lines: int = 0
    """How many lines that workers wrote could not be written on."""
    lost_bytes: int = 0


class RunningPlan(NamedTuple):
    """The configuration that is in force."""

    digest: str
    plan: Plan


Reply = Refused | Rejected | Accepted | Done | SiteStatus | RunningPlan


class Answer(NamedTuple):
    """Tell a client; an action."""

    client: int
    reply: Reply
