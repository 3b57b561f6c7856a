"""The recount of probation: which plan is on trial, whether it has failed, and where the way back leads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache

from procman.plan import Plan, from_json
from procman.policy.events import GoodPlan, KeepPlans, Loaded, State
from tests.simulation.books import GroupBook


@cache
def plan_of(text: str) -> Plan | None:
    """The plan of a text that is kept; None if it means nothing."""
    said = json.loads(text)
    return from_json(json.dumps(said["plan"])) if "plan" in said else None


def _plans_of(kept: Sequence[GoodPlan]) -> list[Plan | None]:
    """The last one last."""
    return [plan_of(one.text) for one in reversed(kept)]


class TrialBook:
    """The good plans, and the one that is to prove itself."""

    def __init__(self) -> None:
        self.good: list[Plan | None] = []
        """The last one last; None for what was kept from before and means nothing."""
        self._before: list[Plan | None] = []
        """What was good before the last one was proved."""
        self._kept: list[Plan | None] = []
        """What the kernel was told to keep, the last time."""
        self.plan: Plan | None = None
        """The one on trial."""
        self.until = 0.0
        self.lost = False
        self.verdict = ""
        """What the log must say in this step: `proved`, `failed`, or nothing."""
        self._groups: set[str] = set()
        self._failures: Counter[tuple[str, int]] = Counter()

    def begin(self, loaded: Loaded, now: float) -> None:
        """A plan was loaded and applied."""
        plan = loaded.plan
        if plan == self.plan:
            return
        self.plan = None
        if not self.good:
            again = loaded.good[:1] and loaded.good[0].digest == loaded.digest
            self.good = [*_plans_of(loaded.good[1:] if again else loaded.good), plan][-5:]
            return
        before = {group.name: group for group in self._last.groups}
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
        self._before = self.good
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
        return self._last, self._groups

    def by_hand(self) -> Plan | None:
        """A rollback by hand: the plan that is in force again; None if there is none."""
        last = self._last
        if self.plan is None:
            self.good.pop()
            while self.good and self.good[-1] is None:
                self.good.pop()
            if not self.good:
                self.good = [last]
                return None
        self.plan = None
        return self._last

    def keeps(self, action: KeepPlans) -> None:
        """The kernel is told what to keep."""
        self._kept = _plans_of(action.plans)

    @property
    def fault(self) -> str:
        """What is kept and should not be, or the other way round; empty if all is well."""
        if self._kept == self.good:
            return ""
        digests = "of before" if None in self.good else "since the start"
        return f"of {len(self.good)} good plans ({digests}) {len(self._kept)} others are kept"

    @property
    def _last(self) -> Plan:
        last = self.good[-1]
        assert last is not None, "what is in force can be read"
        return last

    def close(self) -> None:
        """The site is told to end: nothing is judged any more, not even what was due at this instant."""
        if self.verdict:
            self.good = self._before
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
