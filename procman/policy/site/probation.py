"""Probation: whether a new plan proves itself, and the last good plans to go back to.

A plan that was loaded for a running site is on trial for as long as it says itself. It fails as soon as a worker of a
group that it changed fails too often, or for good, or does not run at its end. Nothing is started or stopped here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from procman import words
from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan import Plan, moves
from procman.plan.codec import from_answer
from procman.policy.events import GoodPlan, State

if TYPE_CHECKING:
    from procman.policy.group.supervisor import Supervisor

KEPT = 5
"""So many good plans are remembered, and kept for after procman's next start."""


class Version(NamedTuple):
    """A plan with its identity."""

    plan: Plan
    digest: str
    text: str = ""
    """As the loader has written it, to be kept."""

    def is_same(self, other: Version) -> bool:
        """Whether it is the same configuration, whichever commits and files they come from."""
        return self.plan == other.plan._replace(origin=self.plan.origin, sources=self.plan.sources)


def read(kept: GoodPlan) -> Version:
    """The plan that was kept. Raises ValueError, KeyError or TypeError if it means nothing to this procman."""
    return Version(from_answer(kept.text), *kept)


class Trial:
    """A plan that is to prove itself."""

    __slots__ = ("_counts", "failure", "groups", "overtaken", "until", "version")

    def __init__(self, version: Version, groups: frozenset[str], until: float) -> None:
        self.version = version
        self.groups = groups
        """Those that differ from the last good plan's."""
        self.until = until
        self.failure: str | None = None
        """Why it has failed; empty once it has proved itself, None until then."""
        self.overtaken = ""
        """What has ended it before it could do either."""
        self._counts: Counter[tuple[str, int]] = Counter()

    @property
    def is_lost(self) -> bool:
        """Whether it has failed, and the last good plan is to come back."""
        return bool(self.failure) and self.version.plan.reload.rollback

    def fails(self, group: str, task: int, reason: str, *, at_once: bool) -> bool:
        """A worker has failed, perhaps so that it fails the plan at once: whether the last good one comes back."""
        if self.failure is not None or group not in self.groups:
            return self.is_lost and group in self.groups
        self._counts[group, task] += 1
        failures, most = self._counts[group, task], self.version.plan.reload.probation_failures
        if at_once:
            self.failure = f"{group}:{task} failed: {reason}"
        elif failures >= most:
            times = "once" if failures == 1 else f"{failures} times"
            self.failure = f"{group}:{task} failed {times}, at last: {reason}"
        return self.is_lost

    def look_for_refused(self, groups: Mapping[str, Supervisor]) -> None:
        """Whether new code could not be imported."""
        for name in sorted(self.groups & groups.keys()):
            if groups[name].refused and self.failure is None:
                self.failure = f"{name}: {groups[name].refused}"

    def judge(self, groups: Mapping[str, Supervisor]) -> None:
        """Its time is over: all that is to run must run, or have ended normally."""
        if self.failure is not None:
            return
        self.failure = ""
        for name in sorted(self.groups & groups.keys()):
            group = groups[name]
            if why := _not_up(group):
                after = words.duration(self.version.plan.reload.probation or 0.0)
                self.failure = f"{why} after {after}"
                return


def _not_up(group: Supervisor) -> str:
    """Why not all of a group is up; one that waits for others is not judged, they are."""
    name = group.plan.name
    if group.blocked:
        return f"{name} is blocked still"
    if group.gave_up:
        return f"{name} has given up still"
    if group.coming is not None:
        return f"{name} has not imported its new code"
    if group.waits_for:
        return ""
    for slot in group.slots:
        worker = slot.worker
        if group.wants(worker) and worker.state not in (State.RUNNING, State.EXITED):
            return f"{worker.id} is {worker.state}"
    return ""


class Probation:
    """The plan on trial, and the good ones."""

    __slots__ = ("good", "older", "trial")

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self.good: list[Version] = []
        """Since procman was started, the last one first. Never changed, always replaced."""
        self.older: tuple[GoodPlan, ...] = ()
        """Those of before, the last one first."""

    @property
    def deadline(self) -> float | None:
        """When the trial is over; None if there is none."""
        return self.trial.until if self.trial else None

    def begin(self, version: Version, now: float) -> Trial | None:
        """A plan has been loaded and applied: the trial that it is on now, None if it needs none."""
        if self.trial and self.trial.version.is_same(version):
            self.trial.version = version
            return self.trial  # the same once more: its time goes on
        self.close("overtaken by another change")
        groups = self._changed_by(version.plan)
        probation = version.plan.reload.probation
        if not groups or probation is None:
            self._keep(version)
            return None
        self.trial = Trial(version, groups, now + probation)
        return self.trial

    def end(self) -> Trial | None:
        """The trial that has come to its end, which it is no longer; None if there is none."""
        trial = self.trial
        if trial is None or trial.failure is None:
            return None
        self.trial = None
        if not trial.is_lost:
            self._keep(trial.version)
        return trial

    def close(self, reason: str) -> None:
        """No more of this trial, for this reason."""
        if self.trial:
            self.trial.overtaken, self.trial = reason, None

    def recall(self, kept: tuple[GoodPlan, ...]) -> None:
        """With the first plan: those that were good before procman was started."""
        again = bool(kept) and kept[0].digest == self.good[0].digest
        self.older = (kept[1:] if again else kept)[: KEPT - 1]

    @property
    def all_good(self) -> tuple[list[Version], tuple[GoodPlan, ...]]:
        """Those since the start and those of before: other lists as soon as they have changed."""
        return self.good, self.older

    def kept(self) -> tuple[GoodPlan, ...]:
        """All that are to be kept, the last one first."""
        return (*(GoodPlan(version.digest, version.text) for version in self.good), *self.older)

    def before(self) -> Version | GoodPlan | None:
        """Where a rollback by hand leads: from a trial to the last good plan, else to the one before it."""
        earlier: list[Version | GoodPlan] = [*self._earlier, *self.older]
        return earlier[0] if earlier else None

    @property
    def _earlier(self) -> list[Version]:
        """Those since the start that come before what is in force."""
        return self.good if self.trial else self.good[1:]

    def forget(self, kept: GoodPlan) -> None:
        """Nobody can go back to this one."""
        self.older = tuple(one for one in self.older if one is not kept)

    def return_to(self, version: Version) -> None:
        """A rollback by hand: what came after this one was not good."""
        earlier = self._earlier
        self.close("rolled back by hand")
        if earlier:
            self.good = earlier
        else:
            self.good, self.older = [version], self.older[1:]

    def _changed_by(self, plan: Plan) -> frozenset[str]:
        if not self.good:
            return frozenset()
        effects = moves(self.good[0].plan, plan)
        return frozenset(name for effect, names in effects.items() if effect != "stopped" for name in names)

    def _keep(self, version: Version) -> None:
        before = self.good[1:] if self.good and self.good[0].is_same(version) else self.good
        self.good = [version, *before][:KEPT]
        self.older = self.older[: KEPT - len(self.good)]
