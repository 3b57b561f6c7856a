"""Facts: what is. They come from the kernel's `wait`, one at a time."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan import Plan
from procman.policy.events.names import GoodPlan, Usage, WorkerId

if TYPE_CHECKING:
    from procman.choices import Cause, Doing, Stage


class Forked(NamedTuple):
    """A spawn has a process now. Always comes before that process's `Exited`."""

    worker: WorkerId
    pid: int


class Execed(NamedTuple):
    """The worker's program has begun."""

    worker: WorkerId


class Ready(NamedTuple):
    """The worker is ready: it has said so, or its readiness check has found it so."""

    worker: WorkerId
    reason: str
    """`it has said so`, `GET /health: 200`."""


class Unready(NamedTuple):
    """The worker is not ready: one that starts can never be (it closed the descriptor), one that runs is not now."""

    worker: WorkerId
    reason: str


class Checked(NamedTuple):
    """One health check of a running worker is over."""

    worker: WorkerId
    well: bool
    reason: str
    """What was found: `GET /health: 503`."""


class Said(NamedTuple):
    """What a worker says of itself, for people and for its health: all of it, whenever something of it is new."""

    worker: WorkerId
    status: str
    """Its own words, one bounded line."""
    doing: Doing


class Extended(NamedTuple):
    """The worker asks for so many seconds from now for what it does: to be ready, or to end."""

    worker: WorkerId
    by: float


class MainPid(NamedTuple):
    """The worker has named the process that is its leader from now on. All later facts and actions have that pid."""

    worker: WorkerId
    pid: int
    refused: str = ""
    """Why it is not followed, and the leader is this one still; empty if it is."""


class Outgrown(NamedTuple):
    """A worker that is weighed has reached a limit: its age, once, or its size, at each look."""

    worker: WorkerId
    rss: int | None = None
    """Bytes; None: it is its age."""


class StartFailed(NamedTuple):
    """A spawn failed. If it was `Forked`, its `Exited` follows and only then is the pid gone."""

    worker: WorkerId
    stage: Stage
    errno: int
    reason: str
    """For people, with what failed: `pythn3: command not found`."""
    draw: float
    """A random number in [0, 1), for the jitter of the delay that may follow."""


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
    said: str = ""
    """Its last words, if it had any: the last line of a traceback."""
    cause: Cause | None = None


class TreeEnded(NamedTuple):
    """Nothing is left of the group whose leader had this pid. Comes after an `Exited` with `leftover`."""

    pid: int


class Strays(NamedTuple):
    """Who has left its worker's tree without a trace, and is procman's child now: told when their number changes."""

    processes: int
    names: str = ""
    """For people, the first few: `redis-server (pid 41)`."""


class Left(NamedTuple):
    """Who is left besides the workers and helpers: told once after each `Drain`, and again when nobody is."""

    processes: int
    names: str = ""
    """For people, the first few: `redis-server (pid 41), sh (pid 43)`."""


class HelperEnded(NamedTuple):
    """A helper of procman's own has ended although it should run, or it cannot start."""

    name: str
    """As in `RunHelper`."""
    reason: str
    draw: float


class Due(NamedTuple):
    """The calendar says that a job is to run now (unless its turn was missed, too)."""

    group: str
    missed: int
    """How many runs before this one could not be told in time: the clock was set, or the machine slept."""
    now: bool = True
    """False: those were missed, and none is due."""


class Demanded(NamedTuple):
    """Somebody has connected to a socket of an `AwaitDemand`, which is fulfilled by that."""

    group: str


class HelperReady(NamedTuple):
    """A helper that needs time to begin can do now what it is for."""

    name: str
    warning: str = ""
    """What people should know of it."""


class HelperFailed(NamedTuple):
    """A helper cannot do what it is for, and has ended. Who was to start by it fails, each with a `StartFailed`."""

    name: str
    reason: str


class OutputLost(NamedTuple):
    """Lines of workers could not be written, or can be written again: the pump's account of one file or stream."""

    outlet: str
    """`stdout`, or the path of a file or a socket."""
    lines: int
    """Since the pump has told of this the last time."""
    bytes: int
    """The same."""
    reason: str
    over: bool
    """Whether all that is still there has been written, and the place of what is lost has been marked."""


class TimePassed(NamedTuple):
    """The deadline that `Manager.deadline()` named has come."""


class Loaded(NamedTuple):
    """The loader has made a plan of the configuration."""

    plan: Plan
    digest: str
    text: str = ""
    """As the loader has written it; `GoodPlan.text`."""
    good: tuple[GoodPlan, ...] = ()
    """With a site's first plan: the good ones that are kept from before procman was started, the last one first."""


class LoadFailed(NamedTuple):
    """The configuration cannot be used (or the loader broke); whatever runs is not touched."""

    reason: str
    """One line: `configs/site.toml: 2 errors`."""
    diagnostics: str
    """All of it for people, many lines, each error with its place and its hint."""


class Touched(NamedTuple):
    """Files that a group is to be restarted for have changed."""

    group: str


FactOfHelper = HelperEnded | HelperReady | HelperFailed | OutputLost | Touched

Fact = (
    Forked
    | Execed
    | Ready
    | Unready
    | Checked
    | Said
    | Extended
    | MainPid
    | Outgrown
    | StartFailed
    | Exited
    | TreeEnded
    | Strays
    | Left
    | HelperEnded
    | Due
    | Demanded
    | HelperReady
    | HelperFailed
    | OutputLost
    | TimePassed
    | Touched
    | Loaded
    | LoadFailed
)
