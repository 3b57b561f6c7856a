"""What a simulated world is told beforehand: the conduct of each spawn, the loader's answers, what happens by itself.

Plain values, and the protocol by which `simulated.SimulatedKernel` asks for them. Nothing here happens by itself.
"""

from __future__ import annotations

from signal import SIGKILL
from typing import NamedTuple, Protocol, TypeAlias

from procman.choices import Doing, Stage
from procman.policy.events import Load, Loaded, LoadFailed, ReopenLog, ShutDown, Spawn, ZygoteOrder
from procman.policy.events.requests import Asked, Departed

Wish: TypeAlias = Load | ShutDown | ReopenLog | Asked | Departed


class End(NamedTuple):
    """How a process ends: with an exit code, or by a signal."""

    exit_code: int | None = 0
    signal: int | None = None


class Failure(NamedTuple):
    """A start that fails."""

    stage: Stage
    errno: int
    forked: bool
    """Whether there was a process; then its `Exited` follows."""


class Rest(NamedTuple):
    """What a leader leaves behind."""

    ends_after: float | None = None
    """Seconds after the leader's end at which it is gone by itself; None: not by itself."""
    heeds_stop: bool = False
    """Whether the stop signal ends it; SIGKILL always does."""


class Conduct(NamedTuple):
    """What becomes of one spawn. Times are seconds; the default runs for ever and obeys at once."""

    failure: Failure | None = None
    exec_after: float = 0.0
    """From the fork to the news that the program has begun (or has failed to); none comes after its end."""
    lives: float | None = None
    """From the fork to its end if nobody ends it; None: for ever."""
    end: End = End()
    obeys_after: float | None = 0.0
    """From the stop signal to its end; None: deaf."""
    stopped: End = End(None, 15)
    """How it ends when it obeys."""
    rest: Rest | None = None
    ready_after: float | None = 0.0
    """From the news that it has begun to `Ready`, where it is to show that; None: never."""
    gives_up: bool = False
    """It says, instead of never being ready, that it cannot be."""
    moods: tuple[tuple[float, bool], ...] = ()
    """Seconds after it has begun, and whether it is ready from then on (as far as it is to show that at all)."""
    words: tuple[tuple[float, Doing | float], ...] = ()
    """Seconds after it has begun, and what it says then: what it is about or, a float, that it needs more time."""
    hands_over: tuple[float, ...] = ()
    """Seconds after it has begun at which another process becomes its leader."""
    outgrows: int = 0
    """How often it is told that it has reached a limit, where it is weighed: each half a second, or at its age."""
    checks: tuple[bool, ...] = ()
    """What its first health checks find; later ones find it well, and are not told."""


class Orphan(NamedTuple):
    """Something on the agenda: a child that nobody knows is reaped."""


class Blow(NamedTuple):
    """Something on the agenda: somebody else ends this share of the running leaders, all at one instant."""

    share: float
    end: End = End(None, int(SIGKILL))


class Escape(NamedTuple):
    """Something on the agenda: somebody leaves a worker's tree, unseen, and is still there when no worker is."""

    obeys_after: float | None = 0.0
    """Seconds from SIGTERM to its end; None: deaf."""
    mortal: bool = True
    """Whether SIGKILL ends it; one of another user, or stuck in the kernel, stays."""
    heirs: int = 0
    """How many come one after the other, each when the one before ends."""


class HelperFall(NamedTuple):
    """Something on the agenda: somebody else ends one of procman's helpers."""

    name: str = "guard"
    """Or the beginning of a name; of several the first."""


class Instant(NamedTuple):
    """Something on the agenda: a job's turn by the calendar, if it is in it; told by the scheduler, if that runs."""

    group: str
    missed: int = 0
    now: bool = True


class Knock(NamedTuple):
    """Something on the agenda: somebody connects to a socket of a group; told if that is awaited."""

    group: str


Incident: TypeAlias = Wish | Orphan | Blow | Escape | HelperFall | Instant | Knock


class Script(Protocol):
    """What the world is told beforehand."""

    lag: float
    """Seconds by which `TimePassed` comes late; 0 is a machine with nothing else to do."""

    def conduct(self, spawn: Spawn, now: float) -> Conduct:
        """What becomes of this spawn."""

    def imports(self, order: ZygoteOrder, now: float) -> tuple[float, bool]:
        """How long this zygote's imports take, and whether they work."""

    def load(self) -> tuple[float, Loaded | LoadFailed]:
        """How long the loader takes, and what it answers."""

    def quiet(self, now: float) -> Wish:
        """Nothing is due and nothing ever will be: what happens next (or an exception, to end it here)."""
