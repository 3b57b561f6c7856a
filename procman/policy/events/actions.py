"""Actions: what the kernel is to do. They go to its `perform`."""

from __future__ import annotations

from signal import SIGCONT

from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan import Health, Launch, Listen, LogPlan, Ready, Stop
from procman.policy.events.names import GoodPlan, WorkerId
from procman.policy.events.requests import Answer
from procman.policy.events.wishes import ReopenLog

if TYPE_CHECKING:
    from procman.choices import Scope, SiteState


class Spawn(NamedTuple):
    """Start a process. Answered by `Forked` and `Execed`, or by `StartFailed`, perhaps after `Forked`.

    With a rule for readiness, `Ready` (or `Unready`) follows, and again whenever that changes, until its leader ends.
    """

    worker: WorkerId
    launch: Launch
    ready: Ready | None = None
    health: Health | None = None
    """What it is to be told of; asked it is only after a `Check`."""


class Check(NamedTuple):
    """Ask the worker from now on whether it is well; each answer is a `Checked`, until its leader ends."""

    worker: WorkerId
    health: Health


class Weigh(NamedTuple):
    """Tell by `Outgrown` when a worker has run for long enough, or has grown too large; until its leader ends.

    Another one for the same worker takes the place of this one.
    """

    worker: WorkerId
    pid: int
    after: float | None
    """Seconds from now; None: it may become as old as it likes."""
    rss: int | None
    """More bytes than so many are too many; None: it may grow."""


class Signal(NamedTuple):
    """Send a signal to a worker that has been forked and whose tree has not ended."""

    worker: WorkerId
    pid: int
    signal: int
    scope: Scope
    wakes: bool = False
    """Whether SIGCONT follows: a stopped process hears nothing else but SIGKILL."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """What is sent, in this order."""
        return (self.signal, SIGCONT) if self.wakes else (self.signal,)


class Drain(NamedTuple):
    """Signal, now and later, whoever is left of procman's descendants, or at process 1 of its pid namespace."""

    signal: int


class GuardRules(NamedTuple):
    """The order of the helper `guard`: end the workers of these groups by these rules if the core is gone."""

    site: str
    rules: tuple[tuple[str, Stop], ...]
    adopting: tuple[str, ...] = ()
    """Groups whose workers' children, once these are gone, are left alone until no worker is left."""


class CronEntry(NamedTuple):
    """When one job is due."""

    group: str
    cron: str
    timezone: str | None
    """None: the machine's."""


class Calendar(NamedTuple):
    """The order of the helper `scheduler`: tell by `Due` when these jobs are to run."""

    entries: tuple[CronEntry, ...]


class ZygoteOrder(NamedTuple):
    """The order of a helper `zygote:GROUP#EDITION`: import the callable of this Launch, for the group's workers."""

    group: str
    launch: Launch

    @property
    def name(self) -> str:
        """The helper's: it is told from those of other groups, and of other editions of the code."""
        assert self.launch.python is not None, f"{self.group} has no callable"
        return f"zygote:{self.group}#{self.launch.python.edition}"


class PumpRules(NamedTuple):
    """The order of the helper `pump`: write what workers say, and keep so many bytes of each group's latest lines."""

    site: str
    ring: int
    widest: int = 0
    """Characters of the longest name that is put before a worker's lines: they are aligned from the first one on."""


class WatchList(NamedTuple):
    """The order of the helper `watch`: say `Load` when one of the files has changed, and `Touched` for a group."""

    files: tuple[str, ...]
    """Absolute."""
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    """With the patterns of each, absolute."""
    includes: tuple[str, ...] = ()
    """Patterns, absolute: a file that comes to match one is a change of the configuration as well."""


HelperOrder = GuardRules | Calendar | ZygoteOrder | PumpRules | WatchList
"""What helpers are told; each kind knows its own."""


class RunHelper(NamedTuple):
    """Have a helper run by this order: start it or, if it runs, tell it. `HelperEnded` comes if it ends."""

    name: str
    """`guard`; where there may be several of a kind, with what it is for: `zygote:mailer`."""
    order: HelperOrder


class EndHelper(NamedTuple):
    """Have a helper run no more."""

    name: str


class OpenSockets(NamedTuple):
    """Have these sockets open, and no others. What cannot be opened fails the starts that are to be given it."""

    sockets: tuple[Listen, ...]


class AwaitDemand(NamedTuple):
    """Say `Demanded` at the first connection to one of these open sockets; without any, no more."""

    group: str
    sockets: tuple[Listen, ...]


class RunLoader(NamedTuple):
    """Start the loader. Answered by `Loaded` or `LoadFailed`, once."""


class Report(NamedTuple):
    """Tell whoever started procman how the site is."""

    state: SiteState
    status: str
    """For people, a few words."""


class Identify(NamedTuple):
    """From now on workers find this identity of the configuration in their environment."""

    digest: str
    commit: str
    """As `Origin.version` says it."""


class KeepPlans(NamedTuple):
    """Have these good plans kept for after procman's next start, the last one first, and no others."""

    plans: tuple[GoodPlan, ...]


class Print(NamedTuple):
    """Write a text for people to standard error as it stands (the diagnostics of a site that cannot start)."""

    text: str


class ConfigureLog(NamedTuple):
    """Write the log from now on as this plan says."""

    site: str
    log: LogPlan


Action = (
    Spawn
    | Check
    | Weigh
    | Signal
    | Drain
    | RunHelper
    | EndHelper
    | RunLoader
    | OpenSockets
    | AwaitDemand
    | Report
    | Print
    | ConfigureLog
    | Identify
    | KeepPlans
    | ReopenLog
    | Answer
)
