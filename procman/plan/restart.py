"""When a worker is started again, how long that waits, and how a worker is ended."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from procman.choices import OnExhausted, Scope, Strategy, When


class Backoff(NamedTuple):
    """How long a slot waits before each further restart in a row. Times are seconds."""

    initial: float = 0.5
    factor: float = 2.0
    max: float = 30.0
    jitter: float = 0.2
    """Share of the delay that is added at random: 0.2 makes it up to 20 % longer, never shorter."""


class Restart(NamedTuple):
    """The restart policy of a group; `policy/worker/restart.py` gives it its meaning. Times are seconds."""

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
    drain: float = 0.0
    """Seconds for which one that was running serves on before it hears the signal."""

    @property
    def longest(self) -> float:
        """How long it may take from the wish to the kill, in seconds."""
        return self.drain + self.grace
