"""When a worker counts as ready, and how it is seen to be well. Times are seconds."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from procman.choices import HealthBy, OnUnhealthy, ReadyBy


class Ready(NamedTuple):
    """What must come true before a worker that has begun is running. Without one, to have begun is enough."""

    by: ReadyBy
    target: str = ""
    """http: a URL, tcp: an address: templates, as the strings of a `Launch`. log: a regular expression, no template."""
    command: tuple[str, ...] = ()
    """exec: what is to end with status 0; templates."""
    fd: int = -1
    """fd: the descriptor into which the worker writes a newline."""
    delay: float = 0.0
    """delay: so long after its start it is ready, if it is still there."""
    timeout: float = 30.0
    """Not ready so long after its start is a failure."""
    interval: float = 1.0
    """http, tcp, exec: how often it is asked, and how long an answer may take."""


class Health(NamedTuple):
    """How a worker that runs is seen to be well; too many failures in a row end it."""

    by: HealthBy
    target: str = ""
    command: tuple[str, ...] = ()
    interval: float = 10.0
    """How often it is asked; watchdog: how often it must say that it is alive."""
    timeout: float = 5.0
    """How long an answer may take."""
    failures: int = 3
    """So many in a row are too many."""
    start_after: float = 0.0
    """Seconds after it became ready at which the first question comes."""
    dump: int | None = None
    """A signal that makes it leave a trace of what it was doing, sent before it is told to stop."""
    on_failure: OnUnhealthy = "restart"
    """ignore: it is marked as not ready until it is well again, and runs on."""
