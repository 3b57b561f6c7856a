"""When and how a site ends: by itself, once nothing can happen any more, or because it is to stop."""

from __future__ import annotations

from enum import StrEnum

from procman.plan import Plan
from procman.policy.events import ShutDown
from procman.policy.group.order import Goal
from procman.policy.group.supervisor import Supervisor
from procman.policy.worker.restart import EXIT_CODES, Failure

SECOND_ASK = 0.5
"""Seconds after the first request to stop from which on another one means at once; a bounce is not two wishes."""


class Phase(StrEnum):
    """Where the site is in its life."""

    LOADING = "loading"
    RUNNING = "running"
    STOPPING = "stopping"
    DRAINING = "draining"
    """No worker is left; whatever else is left is ended."""
    ENDED = "ended"


class Stock:
    """What is going on in all groups, kept in step one group at a time."""

    __slots__ = ("_blocked", "_failures", "busy")

    def __init__(self) -> None:
        self.busy: set[str] = set()
        """Groups in which something runs or may start by itself; without any, the site ends."""
        self._failures: dict[str, Failure] = {}
        """Groups with a worker that failed for good, the first first."""
        self._blocked: dict[str, str] = {}
        """Groups that can never start, and why."""

    def take(self, group: Supervisor, planned: bool) -> None:
        """Something has changed in this group; one that is no longer planned matters only while it lives."""
        name = group.plan.name
        if group.live or (planned and group.can_act):
            self.busy.add(name)
        else:
            self.busy.discard(name)
        if group.failure and planned:
            self._failures.setdefault(name, group.failure)
        else:
            self._failures.pop(name, None)
        if group.blocked and planned:
            self._blocked[name] = group.blocked
        else:
            self._blocked.pop(name, None)

    @property
    def outcome(self) -> tuple[int, str]:
        """What a site ends with by itself, and why: 0, or the code of its first failure; to be blocked is one, too."""
        for name, failure in self._failures.items():
            return EXIT_CODES[failure.kind], f"{name} failed: {failure.text}"
        for name, reason in self._blocked.items():
            return EXIT_CODES["exit"], f"{name} is blocked: {reason}"
        return 0, "nothing is left to run"


class Shutdown:
    """How the site stops: with which code, why, and until when."""

    __slots__ = ("_asked_at", "at_once", "code", "kill_at", "reason")

    def __init__(self) -> None:
        self.code = 0
        self.reason = ""
        self.at_once = False
        """Whether the time for graces is over."""
        self.kill_at: float | None = None
        """When SIGKILL goes to all that is left; None: the workers' own graces are all there is."""
        self._asked_at: float | None = None
        """When somebody first asked for it."""

    def begin(self, code: int, reason: str, timeout: float | None, now: float) -> None:
        """The site stops from now on, within `timeout` seconds."""
        self.code, self.reason = code, reason
        self.kill_at = None if timeout is None else now + timeout

    def ask(self, wish: ShutDown, now: float) -> Goal:
        """Somebody asks: in order, or without grace if it says so or is not the first."""
        again = self._asked_at is not None and now - self._asked_at >= SECOND_ASK
        if self._asked_at is None:
            self._asked_at = now
        if wish.now or again:
            self.at_once = True
        return Goal.KILL if self.at_once else Goal.DOWN

    def overdue(self, now: float) -> bool:
        """Whether the time is over; once."""
        if self.kill_at is None or now < self.kill_at:
            return False
        self.kill_at, self.at_once = None, True
        return True


def end_with(group: Supervisor, plan: Plan | None, stock: Stock) -> tuple[int, str] | None:
    """With which code, and why, the site is to stop because of this group; None if it is not."""
    assert plan is not None, "groups come with a plan"
    name, failure = group.plan.name, group.failure
    if name == plan.exit_code_from and group.slots and (failure or name not in stock.busy):
        result = group.slots[0].worker.result
        if result is None:
            why = group.blocked or (failure.text if failure else "it has not started")
            return EXIT_CODES["start"], f"{name} never ran: {why}"
        return result, f"{name} has ended, with status {result}"
    if failure and group.plan.restart.on_exhausted == "shutdown":
        return EXIT_CODES[failure.kind], f"{name} failed: {failure.text}"
    return None
