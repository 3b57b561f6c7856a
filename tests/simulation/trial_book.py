"""The recount of probation: which plan is on trial, whether it has failed, and where the way back leads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from procman.plan import Plan
from procman.policy.events import State
from tests.simulation.books import GroupBook


class TrialBook:
    """The good plans, and the one that is to prove itself."""

    def __init__(self) -> None:
        self.good: list[Plan] = []
        """The last one last."""
        self.plan: Plan | None = None
        """The one on trial."""
        self.until = 0.0
        self.lost = False
        self.verdict = ""
        """What the log must say in this step: `proved`, `failed`, or nothing."""
        self._groups: set[str] = set()
        self._failures: Counter[tuple[str, int]] = Counter()

    def begin(self, plan: Plan, now: float) -> None:
        """A plan was loaded and applied."""
        if plan == self.plan:
            return
        self.plan = None
        if not self.good:
            self.good.append(plan)
            return
        before = {group.name: group for group in self.good[-1].groups}
        self._groups = {group.name for group in plan.groups if group != before.get(group.name)}
        if plan.reload.probation is None or not self._groups:
            self._proved(plan)
            return
        self.plan, self.until, self.lost = plan, now + plan.reload.probation, False
        self._failures.clear()

    def failed(self, group: str, task: int, *, for_good: bool) -> bool:
        """A worker has failed: whether the last good plan comes back by it."""
        if self.lost and group in self._groups:
            return True
        if self.plan is None or group not in self._groups:
            return False
        self._failures[group, task] += 1
        if for_good or self._failures[group, task] == self.plan.reload.probation_failures:
            return self._failed()
        return False

    def refused(self, names: set[str]) -> None:
        """The new code of these groups could not be imported."""
        if self.plan is not None and names & self._groups:
            self._failed()

    def due(
        self, now: float, groups: Mapping[str, GroupBook], wants: Mapping[str, set[int]], coming: Collection[str]
    ) -> None:
        """Whether its time is over, and all that is wanted of its groups is up, with no code that is still coming."""
        if self.plan is None or now < self.until:
            return
        down = [
            name
            for name in self._groups & groups.keys()
            if groups[name].gave_up
            or name in coming
            or any(
                groups[name].slots[task].state not in (State.RUNNING, State.EXITED)
                for task in (() if groups[name].unmet else wants[name])
            )
            or self._is_blocked(groups, name)
        ]
        if down:
            self._failed()
        else:
            self.verdict = "proved"
            self._proved(self.plan)
            self.plan = None

    def take_back(self) -> tuple[Plan, set[str]]:
        """It is lost: the plan that is in force again, and the groups that get a fresh budget."""
        self.lost = False
        return self.good[-1], self._groups

    def by_hand(self) -> Plan | None:
        """A rollback by hand: the plan that is in force again; None if there is none."""
        if self.plan is None:
            if len(self.good) < 2:
                return None
            self.good.pop()
        self.plan = None
        return self.good[-1]

    def close(self) -> None:
        """The site is told to end: nothing is judged any more."""
        self.plan, self.lost, self.verdict = None, False, ""

    def _failed(self) -> bool:
        assert self.plan is not None, "asked only if there is one"
        self.verdict, plan, self.plan = "failed", self.plan, None
        self.lost = plan.reload.rollback
        if not self.lost:
            self._proved(plan)
        return self.lost

    def _proved(self, plan: Plan) -> None:
        if self.good[-1] != plan:
            self.good = [*self.good, plan][-5:]

    def _is_blocked(self, groups: Mapping[str, GroupBook], name: str) -> bool:
        """Whether what it waits for can never come, as far as the group's own dependencies tell."""
        return bool(groups[name].unmet) and any(_is_over(groups, other) for other in groups[name].unmet)


def _is_over(groups: Mapping[str, GroupBook], name: str) -> bool:
    """Whether nothing of a group runs, or will by itself."""
    group = groups[name]
    if group.runs() or group.kept:
        return False
    if any(slot.state is State.BACKOFF for slot in group.slots.values()):
        return False
    return not group.unmet or any(_is_over(groups, other) for other in group.unmet)
