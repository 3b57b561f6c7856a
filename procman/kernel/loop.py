"""Where the two sides meet: wait for an event, hand it over, perform the actions, log the records.

The loop gets its manager, kernel and log as arguments; it imports none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from procman.lean import Protocol
from procman.policy.events import Action, Event, Notice, Outcome, Record


class Manager(Protocol):
    """The deciding side; see `policy.manager.Manager`."""

    exit_code: int | None

    def handle(self, event: Event, now: float) -> Outcome: ...
    def deadline(self) -> float | None: ...


class Kernel(Protocol):
    """The doing side: the real machine or the simulated one."""

    def now(self) -> float:
        """Seconds on a clock that is never set."""

    def wait(self, deadline: float | None) -> Event:
        """Block until there is an event; `TimePassed` once `now() >= deadline`.

        A child's number may be free again when its `Exited` comes: from its reaping on no signal is sent to it,
        and if a new process is given the number, that is told after.
        """

    def perform(self, action: Action) -> None:
        """Do it. Whatever goes wrong comes back as a fact, never as an exception."""


class Log(Protocol):
    """Takes records; never blocks, never raises. See `log.Log`."""

    def write(self, records: Sequence[Record]) -> None: ...


def run(manager: Manager, kernel: Kernel, log: Log, first: Event) -> int:
    """Drive the manager from its first event to its exit code."""
    event = first
    while True:
        outcome = _handle(manager, event, kernel.now())
        for action in outcome.actions:
            _perform(kernel, action, log)
        log.write(outcome.records)
        if manager.exit_code is not None:
            return manager.exit_code
        event = kernel.wait(manager.deadline())


def _handle(manager: Manager, event: Event, now: float) -> Outcome:
    """The manager's answer; a defect in it costs one event and a line in the log, not the site."""
    try:
        return manager.handle(event, now)
    except Exception as error:
        return Outcome([], [_defect(error, event)])


def _perform(kernel: Kernel, action: Action, log: Log) -> None:
    """Have it done; a defect in how it is done costs this action, not the others."""
    try:
        kernel.perform(action)
    except Exception as error:
        log.write([_defect(error, action)])


def _defect(error: Exception, dropped: object) -> Notice:
    """An error that nobody expected, as a line of the log; what it befell is lost."""
    return Notice("site.internal_error", "error", f"{type(error).__name__}: {error}", {"dropped": repr(dropped)})
