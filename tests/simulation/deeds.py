"""What is done: whether it may be started, checked, weighed or drained now, and helpers are what the plan says."""

from __future__ import annotations

from signal import SIGKILL, SIGTERM

from procman.plan import Recycle
from procman.policy.events import (
    Action,
    Check,
    Drain,
    EndHelper,
    GuardRules,
    Identify,
    KeepPlans,
    Print,
    PumpRules,
    Report,
    RunHelper,
    RunLoader,
    Spawn,
    Weigh,
    WorkerId,
    ZygoteOrder,
)
from procman.policy.events.requests import Answer, RunningPlan
from tests.simulation.books import Run, SlotBook
from tests.simulation.history import digest_of
from tests.simulation.site import SLACK, SiteBook
from tests.simulation.upward_book import UpwardBook
from tests.simulation.violation import Violation, need


class Deeds:
    """Holds every action but signals against the recount."""

    def __init__(self, site: SiteBook) -> None:
        self.site = site
        self.upward = UpwardBook()
        self.identity = ""
        """What workers are told of the configuration."""
        self._guard: GuardRules | None = None
        """What the guard was told last."""

    def acted(self, action: Action) -> None:
        """Anything but a signal to a worker."""
        match action:
            case Spawn():
                self._spawned(action)
            case Check() | Weigh():
                self._watched(action)
            case Drain(number):
                self._drained(number)
            case RunHelper():
                self._helped(action)
            case EndHelper():
                self._ended_helper(action)
            case Report():
                self.upward.hear(action)
            case Identify(digest):
                self.identity = digest
            case Answer(_, RunningPlan(digest, plan)):
                need(plan == self.site.plan and digest == digest_of(plan), f"{digest} is not the plan in force")
            case KeepPlans():
                self.site.trial.keeps(action)
            case RunLoader():
                need(self.site.loading, "the loader is started and nobody wants it")
            case Print():
                need(self.site.ending.owed == 78, "text for people, although the site lives")

    def _spawned(self, action: Spawn) -> None:
        worker = action.worker
        need(worker.group in self.site.groups, f"{worker} is of no group")
        group, slot = self.site.find(worker)
        need(self.site.ending.down_at is None, f"{worker} is started while the site ends")
        need(self.site.wants(worker), f"{worker} is started and not wanted")
        stale = action.launch != group.plan.launch
        need(
            not stale or self.site.passed_launches.get(worker.group) == action.launch,
            f"{worker} is started by an old plan",
        )
        if slot.run is not None and slot.run.final is None:
            slot = self._succeeds(slot.run, worker)
        elif slot.run is not None:
            need(self.site.successor(slot.run) is None, f"{worker} is a third one")
        need(slot.next is None, f"{worker} is started twice in one step")
        fresh = (action.ready, action.health) == (group.plan.ready, group.plan.health)
        need(fresh, f"{worker} is started with old rules for readiness and health")
        slot.next = Run(worker, group.plan, self.site.now)
        slot.next.launch = action.launch
        if stale:  # it is to go as soon as it may
            self.site.turns[worker.group].want([slot.next])

    def _succeeds(self, old: Run, new: WorkerId) -> SlotBook:
        """It starts beside another one: the place of a successor, if it may be one."""
        group, turns = self.site.groups[new.group], self.site.turns[new.group]
        beside = group.beside.get(new.task)
        if beside is not None:
            need(beside.run and beside.run.final and beside.next is None, f"{new} is a third one")
        need(group.plan.update.order == "start-first", f"{new} is started beside {old.worker}")
        need(turns.is_due(old) and old.asked_at is None, f"{new} is to follow {old.worker}, which need not go")
        turns.taken.append(old)
        return group.beside.setdefault(new.task, SlotBook())

    def _watched(self, action: Check | Weigh) -> None:
        if isinstance(action, Weigh):
            self._weighed(action)
            return
        run = self.site.find(action.worker)[1].run
        need(run and run.health == action.health, f"{action} is not what {action.worker} was started with")
        if run is not None:
            need(not run.checked, f"{action} twice")
            run.checked = True

    def _weighed(self, action: Weigh) -> None:
        """By the rule of its group, from its start on, or from when it was last told that it is old."""
        group, slot = self.site.find(action.worker)
        run, rule = slot.run, group.plan.recycle
        if run is None or run.pid != action.pid:
            raise Violation(f"{action} of a worker that is not there")
        share = 1 - rule.jitter * (action.pid * (5**0.5 - 1) / 2 % 1)
        age = 0.0 if run.aged_at == self.site.now else self.site.now - run.spawned_at
        after = None if rule.max_age is None else max(0.0, rule.max_age * share - age)
        rss = None if rule.max_rss is None else rule.max_rss * share
        right = _near(action.after, after, SLACK) and _near(action.rss, rss, 1.0)
        need(right or self.site.replanned, f"{action}: it should be weighed after {after} for {rss}")
        run.weighed, run.aged_again = rule if right else Recycle(0.0), False

    def _drained(self, number: int) -> None:
        """TERM and then KILL, each once, and KILL no sooner than it may."""
        before = [sent for _, sent in self.site.ending.drains]
        need(number in (SIGTERM, SIGKILL), f"those who are left are sent {number}")
        need(number not in before and SIGKILL not in before, f"those who are left are sent {number} after {before}")
        if number == SIGKILL and not self.site.ending.kill_now:
            until = self.site.ending.until
            need(until is not None and self.site.now >= until - SLACK, f"they are killed too early, due at {until}")
        self.site.ending.drains.append((self.site.now, number))

    def _helped(self, action: RunHelper) -> None:
        need(self.site.ending.drained_from is None, f"{action.name} is started in the drain")
        if isinstance(action.order, GuardRules):
            self._guarded(action.order)
        elif isinstance(action.order, PumpRules):
            wrong = self.site.pump.run(action.order, self.site.now, SLACK)
            need(wrong is None, f"the pump is started: {wrong}")
        elif isinstance(action.order, ZygoteOrder):
            wrong = self.site.zygotes.run(action, self.site.groups, self.site.now)
            need(wrong is None, f"{action.name} is started: {wrong}")

    def _ended_helper(self, action: EndHelper) -> None:
        need(action.name != "pump", "the pump is ended")
        if action.name == "guard":
            need(self.site.guard is None, "the guard is ended, although the plan wants one")
            self.site.guard_falls.due = None
        elif action.name.startswith("zygote:"):
            wrong = self.site.zygotes.end(action, self.site.groups)
            need(wrong is None, f"{action.name} is ended: {wrong}")

    def _guarded(self, action: GuardRules) -> None:
        """The guard is what the plan says, and is started for a reason."""
        if self.site.replanned and action != self.site.guard and action in (self._guard, self.site.passed_guard):
            return  # it fell in the step in which its rules changed, or they changed twice: the right ones follow
        self._guard = action
        need(action == self.site.guard, f"the guard is to be {action} instead of {self.site.guard}")
        due = self.site.guard_falls.due
        need(self.site.replanned or (due is not None and self.site.now >= due - SLACK), "a guard too many")
        self.site.guard_falls.due, self.site.guard_falls.began = None, self.site.now


def _near(one: float | None, other: float | None, slack: float) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) <= slack)
