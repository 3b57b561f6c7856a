"""What facts, actions and records speak of: a worker, where it is in its life, what it has used; a plan to keep."""

from __future__ import annotations

from enum import StrEnum

from procman.lean import NamedTuple


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


class GoodPlan(NamedTuple):
    """A plan as it is kept. It is read only if somebody goes back to it: reading a large one takes its time."""

    digest: str
    text: str
    """A JSON object whose `plan` is the plan, as the loader has written it."""


class Usage(NamedTuple):
    """What a process and its reaped children have used."""

    cpu_s: float = 0.0
    max_rss_bytes: int = 0
