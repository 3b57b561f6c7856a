"""Records: what the log says. Each becomes one line."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple
from procman.policy.events.names import State, Usage, WorkerId

if TYPE_CHECKING:
    from typing import Any

    from procman.choices import Cause, Level


class Exit(NamedTuple):
    """How a process ended."""

    exit_code: int | None
    signal: int | None
    uptime_s: float
    usage: Usage
    said: str = ""
    """Its last words, if it had any."""
    cause: Cause | None = None


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
    tail: tuple[str, ...] = ()
    """The worker's last lines, put in on the way to the log where there are some; to the policy there never are."""


class Notice(NamedTuple):
    """Anything else worth a line: `site.*`, `group.*`, `config.*`, `helper.*`."""

    event: str
    level: Level
    reason: str
    fields: dict[str, Any] = {}  # noqa: RUF012 - a shared empty default that nobody writes to
    """Further fields of the line; `log.py` declares every name and its type."""


Record = Transition | Notice
