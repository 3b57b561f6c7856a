"""Which plan is in force and how it came to be: loads, the plan on probation, the way back to the last good one.

It decides what is to be applied; applying it is the manager's.
"""

from __future__ import annotations

from collections.abc import Mapping

from procman import words
from procman.lean import TYPE_CHECKING, Protocol
from procman.plan import Plan
from procman.policy.events import GoodPlan, KeepPlans, Loaded, LoadFailed
from procman.policy.events.requests import Accepted, Asked
from procman.policy.site.adopt import Effects
from procman.policy.site.ending import Phase
from procman.policy.site.loads import Loads
from procman.policy.site.operator import Operator
from procman.policy.site.probation import Probation, Trial, Version, read
from procman.policy.site.selection import RefusedError
from procman.policy.site.waits import Wait
from procman.policy.step import Step

if TYPE_CHECKING:
    from procman.policy.group.supervisor import Supervisor

LIVE = (Phase.LOADING, Phase.RUNNING)


class Site(Protocol):
    """What the configuration may see of the manager, and do to it."""

    phase: Phase
    plan: Plan | None
    groups: dict[str, Supervisor]

    def apply(self, version: Version, step: Step, back: str = "", fresh: frozenset[str] = frozenset()) -> Effects: ...


class Configuration:
    """What was loaded, what is on trial, what was good."""

    __slots__ = ("_probation", "_read", "_told", "loads")

    def __init__(self) -> None:
        self.loads = Loads()
        self._read = ""
        """The digest of what was read last, whatever is in force."""
        self._probation = Probation()
        self._told = self._probation.all_good
        """The good plans of which the kernel knows."""

    @property
    def deadline(self) -> float | None:
        """When the plan on probation has proved itself; None if none is on probation."""
        return self._probation.deadline

    @property
    def trial(self) -> Trial | None:
        return self._probation.trial

    def want(self, phase: Phase, step: Step, asked: Asked | None = None) -> None:
        """Have the configuration read, and applied; for a client, or for nobody in particular."""
        if phase in LIVE:
            self.loads.want(step, asked)
        elif asked is not None:
            raise RefusedError("the site is stopping")

    def look(self, phase: Phase, step: Step) -> None:
        """Have the configuration read, and applied if it is another one than was read last: what has failed its
        probation, or was gone back from by hand, is not tried again.
        """
        if phase in LIVE:
            self.loads.look(step)

    def loaded(self, result: Loaded | LoadFailed, site: Site, operator: Operator, step: Step) -> bool:
        """Apply what was read, or say why not, to all who wait for it; False if the site can never start."""
        load = self.loads.done(step, go_on=site.phase in LIVE)
        if site.phase not in LIVE:
            return True
        if isinstance(result, LoadFailed):
            load.reject(result, step)
            return site.phase is Phase.RUNNING or self.loads.busy
        before, self._read = self._read, result.digest
        if not load.wanted and before == result.digest:
            return True
        self.conclude(site, step, overtaken=True)
        if load.resets:
            for group in site.groups.values():
                group.hand.forget()
        version, old = Version(result.plan, result.digest, result.text), site.plan
        effects = site.apply(version, step)
        trial = self._probation.begin(version, step.now)
        if old is None:
            self._probation.recall(result.good)
        for one in load.asked:
            self._promise(one, effects if old else {}, trial, site.groups, operator, step)
        return True

    def roll_back(self, wait: Wait, site: Site, step: Step) -> Accepted:
        """Go back by hand. Raises RefusedError where there is no good plan before this one."""
        self.conclude(site, step)
        version = self._before(step)
        if version is None:
            raise RefusedError("there is no plan to go back to", "the site runs what it was started with")
        self._probation.return_to(version)
        effects = site.apply(version, step, "by hand")
        return Accepted(_wait_for(wait, effects, site.groups), _described(effects))

    def _before(self, step: Step) -> Version | None:
        """Where a rollback by hand leads. What was kept by a procman that wrote plans differently is left out."""
        while isinstance(found := self._probation.before(), GoodPlan):
            try:
                return read(found)
            except (ValueError, KeyError, TypeError):
                self._probation.forget(found)
                step.notice("plans.ignored", "warning", f"the plan {found.digest} means nothing to this procman")
        return found

    def keep(self, step: Step) -> None:
        """Last of all: have those plans kept that are good now."""
        if self._probation.all_good != self._told:
            self._told = self._probation.all_good
            step.actions.append(KeepPlans(self._probation.kept()))

    def judge(self, site: Site, step: Step) -> None:
        """Before anything else is done: whether the plan on probation has proved itself, if its time is over."""
        if step.trial and step.now >= step.trial.until:
            step.trial.judge(site.groups)

    def refused(self, groups: Mapping[str, Supervisor]) -> None:
        """New code could not be imported: a plan on probation that came with it has failed."""
        if self.trial:
            self.trial.look_for_refused(groups)

    def conclude(self, site: Site, step: Step, *, overtaken: bool = False) -> None:
        """After all else: a plan that has failed makes room for the last good one, unless another one comes just now.
        (Acting on what is only heard now could hit a process that is gone.)
        """
        trial = self._probation.end()
        if trial is None:
            return
        digest = trial.version.digest
        if not trial.failure:
            lasted = words.duration(trial.version.plan.reload.probation or 0.0)
            step.notice("config.proved", "info", f"its probation of {lasted} is over", digest=digest)
            return
        step.notice("config.failed", "error", trial.failure, digest=digest)
        if trial.is_lost:
            step.trial = None
        if trial.is_lost and not overtaken:
            site.apply(self._probation.good[0], step, trial.failure, trial.groups)

    def close(self, step: Step) -> None:
        """The site is ending: nothing is applied any more."""
        self._probation.close("the site is stopping")
        self.loads.refuse("the site is stopping", step)

    def _promise(
        self,
        asked: Asked,
        effects: Effects,
        trial: Trial | None,
        groups: Mapping[str, Supervisor],
        operator: Operator,
        step: Step,
    ) -> None:
        wait = Wait(asked.client)
        wait.trial = trial
        operator.promise(asked, Accepted(_wait_for(wait, effects, groups), _described(effects)), wait, step)


def _wait_for(wait: Wait, effects: Effects, groups: Mapping[str, Supervisor]) -> tuple[str, ...]:
    """Until what changed is up, and what is gone is down: whom that concerns."""
    for name in dict.fromkeys([*effects.get("started", ()), *effects.get("restarted", ()), *effects.get("scaled", ())]):
        group = groups[name]
        tasks = frozenset(range(group.plan.workers)) - group.hand.held
        wait.for_up(group, tasks)
        wait.for_down(group, frozenset(range(group.plan.workers, len(group.slots))))
    for name in effects.get("stopped", ()):
        if name in groups:
            wait.for_down(groups[name], frozenset(range(len(groups[name].slots))))
    return wait.workers


def _described(effects: Effects) -> str:
    """In words: `restarted: api, web; scaled: db`."""
    parts = [f"{effect}: {', '.join(names)}" for effect, names in effects.items() if names]
    return "; ".join(parts) or "no group changed"
