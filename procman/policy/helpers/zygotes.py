"""The zygotes of Python groups: which editions of their code are wanted, and when a group goes over to a new one.

New code, by a reload or a restart of the whole group, is imported first, by a zygote of its own. Only when that is
ready the group follows, and replaces its workers by its rules; the old zygote ends with the last of them. If it fails,
the group stays as it is. A zygote runs while its group may need it to start a worker: one that is down has none, so
that it finds new code when it starts. Which worker a zygote has forked is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Mapping

from procman.lean import TYPE_CHECKING
from procman.plan import GroupPlan, Launch
from procman.policy.events import HelperFailed, HelperReady, Spawn, State, ZygoteOrder
from procman.policy.group.edition import configured
from procman.policy.group.follow import follow
from procman.policy.group.order import Goal
from procman.policy.helpers.helpers import Helpers
from procman.policy.step import Step
from procman.policy.worker.worker import LIVE

if TYPE_CHECKING:
    from procman.policy.group.supervisor import Supervisor


class Zygotes:
    """Which are wanted, by group: the launches that they have imported, or are to import."""

    __slots__ = ("_editions", "_helpers", "_wanted")

    def __init__(self, helpers: Helpers) -> None:
        self._helpers = helpers
        self._editions: dict[str, int] = {}
        """The last edition of each group that the site ever had: none is used twice."""
        self._wanted: dict[str, dict[str, Launch]] = {}
        """By group, and by the helper's name."""

    def admit(self, plan: GroupPlan, group: Supervisor | None, step: Step) -> GroupPlan:
        """The plan that a group is to follow now: with the code that it has, until the new one is imported."""
        if group is None:
            return plan._replace(launch=self._new(plan.name, plan.launch))
        running = group.plan.launch
        same = configured(running) == plan.launch
        if same or plan.launch.python is None or not group.live:
            self._give_up(group, step)
            return plan._replace(launch=running if same else self._new(plan.name, plan.launch))
        if group.coming is None or configured(group.coming) != plan.launch:
            self._import(plan.launch, group, step)
        return plan._replace(launch=running)

    def renew(self, plan: GroupPlan, group: Supervisor, step: Step) -> bool:
        """Have the group's code imported anew, as its plan has it; False where there is none, or nobody runs it."""
        if plan.launch.python is None or not _runs(group):
            return False
        self._import(plan.launch, group, step)
        return True

    def ready(self, fact: HelperReady, groups: Mapping[str, Supervisor], step: Step) -> None:
        """A zygote has imported its code: if its group waits for that, it goes over to it."""
        name, launch = self._find(fact.name)
        if launch is None or launch.python is None:
            return
        reason = f"the zygote of {name} has imported {launch.python.callable}"
        reason += f", but {fact.warning}" if fact.warning else ""
        step.notice("helper.ready", "warning" if fact.warning else "info", reason, helper=fact.name)
        group = groups[name]
        if group.coming == launch:
            group.coming = None
            self._retire(group, fact.name, step)
            follow(group, group.plan._replace(launch=launch, workers=group.hand.file_workers), step)

    def failed(self, fact: HelperFailed, groups: Mapping[str, Supervisor], step: Step) -> None:
        """A zygote cannot be one. It is tried again when a worker is to start from it."""
        name, launch = self._find(fact.name)
        if launch is None:
            return
        reason, group = f"the zygote of {name} failed: {fact.reason}", groups[name]
        if group.coming == launch:
            group.coming, group.refused = None, fact.reason
            reason += "; the workers that run are left alone"
        step.notice("helper.failed", "error", reason, helper=fact.name)
        self._drop(name, fact.name, step)

    def _retire(self, group: Supervisor, new: str, step: Step) -> None:
        """The others are started no more; one that still lets workers wait is of no use to them."""
        name = group.plan.name
        workers = [worker for slot in group.slots for worker in slot.workers]
        waiting = [one.launch for one in workers if one.state is State.STARTING and one.pid is None]
        for old, launch in tuple(self._wanted[name].items()):
            if old != new and launch in waiting:
                self._drop(name, old, step)
            elif old != new:
                self._helpers.retire(old)

    def start(self, step: Step) -> None:
        """Have the zygotes from which this step starts workers."""
        for action in step.actions[:]:
            if isinstance(action, Spawn) and action.launch.python is not None:
                self._want(action.worker.group, action.launch, step)

    def look(self, group: Supervisor, step: Step) -> None:
        """Something has changed in this group: let go of the zygotes that it needs no more."""
        name = group.plan.name
        wanted = self._wanted.get(name)
        if not wanted:
            return
        if not _runs(group):
            group.coming = None
        needed = {ZygoteOrder(name, launch).name for launch in self._needed(group, len(wanted))}
        for helper in [one for one in wanted if one not in needed]:
            self._drop(name, helper, step)

    def _needed(self, group: Supervisor, wanted: int) -> list[Launch]:
        if not _runs(group):
            return []
        launches = [group.plan.launch, *([group.coming] if group.coming else [])]
        if wanted > len(launches):  # rare: while workers are replaced
            launches += [one.launch for slot in group.slots for one in slot.workers if one.state in LIVE]
        return [launch for launch in launches if launch.python is not None]

    def _import(self, launch: Launch, group: Supervisor, step: Step) -> None:
        self._give_up(group, step)
        group.coming = self._new(group.plan.name, launch)
        self._want(group.plan.name, group.coming, step)

    def _new(self, name: str, launch: Launch) -> Launch:
        """The next edition of a launch; a command has none."""
        if launch.python is None:
            return launch
        self._editions[name] = edition = self._editions.get(name, 0) + 1
        return launch._replace(python=launch.python._replace(edition=edition))

    def _give_up(self, group: Supervisor, step: Step) -> None:
        if group.coming is not None:
            self._drop(group.plan.name, ZygoteOrder(group.plan.name, group.coming).name, step)
        group.coming, group.refused = None, ""

    def _want(self, name: str, launch: Launch, step: Step) -> None:
        order = ZygoteOrder(name, launch)
        self._wanted.setdefault(name, {})[order.name] = launch
        self._helpers.want(order.name, order, step)

    def _drop(self, name: str, helper: str, step: Step) -> None:
        del self._wanted[name][helper]
        self._helpers.drop(helper, step)

    def _find(self, helper: str) -> tuple[str, Launch | None]:
        """The group and the code of a zygote, if it is wanted."""
        for name, wanted in self._wanted.items():
            if helper in wanted:
                return name, wanted[helper]
        return "", None


def _runs(group: Supervisor) -> bool:
    """Whether a worker of this group lives, or waits to start again, and the group is not on its way down."""
    if group.goal not in (Goal.WAIT, Goal.RUN) or group.gave_up or group.plan.workers <= len(group.hand.held):
        return False
    return group.live or group.tally[State.BACKOFF] > 0
