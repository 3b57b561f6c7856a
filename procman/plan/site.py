"""A whole site: its groups, its log, and what concerns it as a whole."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan.checks import Health, Ready
from procman.plan.job import Schedule
from procman.plan.launch import Launch
from procman.plan.listen import Listen
from procman.plan.restart import Restart, Stop
from procman.plan.update import Recycle, Update

if TYPE_CHECKING:
    from procman.choices import Condition, Kind, LogFormat, Orphans


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
    requires: tuple[str, ...] = ()
    """Groups, each named in `after` as well, without which it goes down, to start anew when they are back."""
    ready: Ready | None = None
    """None: a worker is ready when its program has begun."""
    health: Health | None = None
    update: Update = Update()
    recycle: Recycle = Recycle()
    schedule: Schedule | None = None
    """Of a job: when it runs; None: once."""
    watch: tuple[str, ...] = ()
    """A change of files that these absolute patterns mean restarts it."""
    deadline: float | None = None
    """Of a job: how long a run may take, its restarts included, in seconds; None: for ever."""

    @property
    def on_demand(self) -> bool:
        """Whether a first connection starts it."""
        return bool(self.launch.listen) and any(listen.on_demand for listen in self.launch.listen)

    @property
    def rests(self) -> bool:
        """Whether it rests between its runs until it is called, instead of running by itself."""
        return self.schedule is not None or self.on_demand

    @property
    def comes_and_goes(self) -> bool:
        """Whether it has runs at all: a job, or a service on demand."""
        return self.kind == "job" or self.on_demand


class LogPlan(NamedTuple):
    """Where the event log goes."""

    format: LogFormat = "auto"
    file: str | None = None
    """An absolute path; None is the standard error stream."""


class ReloadPlan(NamedTuple):
    """How a new configuration is taken over."""

    probation: float | None = None
    """So many seconds a new plan has to prove itself; None: it is taken as good."""
    rollback: bool = True
    """Whether the last good plan comes back by itself if it does not."""
    probation_failures: int = 3
    """So many failures of one worker are too many."""
    watch: bool = False
    """Whether a change of the files that the plan came from is a reload."""


class Origin(NamedTuple):
    """Where a plan came from. No part of its identity, and never a reason to restart anything."""

    commit: str = ""
    """The git commit that its first file is checked out from; empty where it is in no repository."""
    dirty: bool = False
    """Whether one of its files is not as that commit has it."""
    places: str = ""
    """Where each value stands, for people: one line `group.api.command site.toml:12` each."""
    includes: tuple[str, ...] = ()
    """The patterns by which further files are included, absolute."""

    @property
    def version(self) -> str:
        """The commit as workers are told it: `…-dirty` where the files are not what it has, as git describes it."""
        return f"{self.commit}-dirty" if self.commit and self.dirty else self.commit


class Plan(NamedTuple):
    """A whole site."""

    name: str
    groups: tuple[GroupPlan, ...]
    stop_timeout: float | None = None
    """Bounds the whole shutdown, in seconds; None leaves it to the core (9 s at process 1, else no bound)."""
    exit_code_from: str | None = None
    log: LogPlan = LogPlan()
    reload: ReloadPlan = ReloadPlan()
    orphans: Orphans = "end"
    """What becomes of the workers if the core is killed: a guard ends them, or they are kept."""
    termination_log: str | None = None
    """The file for the last word, absolute; "" is none, None the default place where there is one (at process 1)."""
    control: str | None = None
    """The control socket, absolute; "" is none, None the default place."""
    control_group: int | str | None = None
    """The group whose members may use it as well; a name is looked up by the core."""
    pid_file: str | None = None
    output_ring: int = 1 << 20
    """How many bytes of each group's latest output are kept for `procman logs`."""
    sources: tuple[str, ...] = ()
    """The files that the plan was read from, absolute, the first named first."""
    origin: Origin = Origin()

    @property
    def sockets(self) -> tuple[Listen, ...]:
        """All that is listened on."""
        return tuple([listen for group in self.groups if group.workers for listen in group.launch.listen])
