"""Wishes: what is wanted, by a signal, by the command line or by an operator (those are in `policy.requests`)."""

from __future__ import annotations

from procman.lean import NamedTuple
from procman.policy.events.requests import Asked, Departed


class Load(NamedTuple):
    """Read the configuration (again) and apply it."""


class ShutDown(NamedTuple):
    """End the site in order; `now` skips the grace. A second one, 0.5 s or more after the first, means now."""

    reason: str
    now: bool = False


class ReopenLog(NamedTuple):
    """Open the log file anew (it was moved away). A wish and, handed on, an action."""


Wish = Load | ShutDown | ReopenLog | Asked | Departed
