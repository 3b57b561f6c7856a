"""Order between groups: what may start after what, what stops before what, and what can never come.

`after` orders first starts and the site's shutdown; it never stops or restarts anything by itself. `requires` does: a
group goes down with what it requires, and begins anew with it. (systemd has both apart as well: After= and BindsTo=.)
"""

from __future__ import annotations

from enum import StrEnum
from itertools import islice

from procman.lean import TYPE_CHECKING
from procman.plan import Plan
from procman.policy.events import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from procman.choices import Condition
    from procman.policy.group.supervisor import Supervisor
    from procman.policy.step import Step
    from procman.policy.worker.worker import Worker


class Goal(StrEnum):
    """What the manager wants of a group."""

    WAIT = "wait"
    """Its dependencies do not hold yet: nothing starts."""
    RUN = "run"
    FADE = "fade"
    """The site is ending and dependents are still up: what runs stays, nothing starts."""
    DOWN = "down"
    KILL = "kill"
    """Down without grace."""


HOLDS: dict[Condition, frozenset[State]] = {
    "started": frozenset({State.RUNNING, State.EXITED}),
    "ready": frozenset({State.RUNNING, State.EXITED}),
    "completed": frozenset({State.EXITED}),
    "ended": frozenset({State.EXITED, State.FAILED}),
}
"""A condition holds once every worker of the group is in one of these states; see `_holds_for` for what is finer."""


def holds(group: Supervisor, condition: Condition) -> bool:
    """Whether what a dependent waits for is true now."""
    if condition in ("started", "ready") and group.plan.on_demand and group.goal is Goal.RUN and not group.failure:
        return True  # its sockets are there: a connection waits until it has started
    if condition == "ended" and group.gave_up:
        return not group.can_act
    return all(_holds_for(slot.worker, condition) for slot in islice(group.slots, group.plan.workers))


def _is_up(group: Supervisor) -> bool:
    """Whether any of it runs, so that who requires it may."""
    return group.tally[State.RUNNING] > 0


def _holds_for(worker: Worker, condition: Condition) -> bool:
    match condition, worker.state:
        case "started", State.STARTING:
            return worker.pulse.begun
        case "ready", State.RUNNING:
            return not worker.pulse.unready
    return worker.state in HOLDS[condition]


class Order:
    """Who depends on whom in the present plan."""

    __slots__ = ("_dependents", "_groups")

    def __init__(self, groups: dict[str, Supervisor]) -> None:
        self._groups = groups
        self._dependents: dict[str, list[str]] = {}

    def follow(self, plan: Plan) -> None:
        """Take the order from a new plan, which names only groups that it has."""
        self._dependents = {group.name: [] for group in plan.groups}
        for group in plan.groups:
            for dependency, _ in group.after:
                self._dependents[dependency].append(group.name)

    def knows(self, name: str) -> bool:
        """Whether the plan has this group; one that it has no longer is only waited for until it is down."""
        return name in self._dependents

    def dependents(self, name: str) -> list[str]:
        return self._dependents.get(name, [])

    def goal_at_stop(self, name: str) -> Goal:
        """While the site stops, a group goes down only after all that depend on it."""
        live = any(self._groups[dependent].live for dependent in self.dependents(name))
        return Goal.FADE if live else Goal.DOWN

    def lower(self, group: Supervisor, step: Step) -> None:
        """The site is stopping and this group is down: perhaps it was the last that others stayed up for."""
        for name, _ in group.plan.after:
            dependency = self._groups.get(name)
            if dependency and dependency.goal is Goal.FADE:
                dependency.pursue(self.goal_at_stop(name), "the site is stopping", step)

    def release(self, group: Supervisor, step: Step) -> None:
        """Start a group whose dependencies hold, or say that they cannot come true any more; one without what it
        requires goes down.
        """
        down = [name for name in group.plan.requires if not _is_up(self._groups[name])]
        if down and group.goal is Goal.RUN and group.has_work:
            group.suspend(f"{down[0]} is down", step)
        if group.goal is not Goal.WAIT:
            return
        group.waits_for.update([(name, condition) for name, condition in group.plan.after if name in down])
        self._latch(group, down)
        if group.waits_for:
            group.block(self.hopeless(group), step)
        else:
            group.block(None, step)
            group.resume(step)

    def _latch(self, group: Supervisor, down: Sequence[str]) -> None:
        """Strike out what the group waits for and has now come true: once satisfied, it stays so.

        Nothing that it requires has come true while it is down.
        """
        for dependency, condition in list(group.waits_for.items()):
            if dependency not in down and holds(self._groups[dependency], condition):
                del group.waits_for[dependency]

    def hopeless(self, group: Supervisor) -> str | None:
        """Why the group's turn can never come, as `migrate failed`; None if it still may."""
        for name in group.waits_for:
            dependency = self._groups[name]
            if not dependency.can_act:
                return f"{name} {_why_never(dependency)}"
        return None


def _why_never(group: Supervisor) -> str:
    if group.blocked:
        return "is blocked"
    if group.failure:
        return "failed"
    return "has ended" if group.plan.workers else "is not enabled"
