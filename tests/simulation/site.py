"""The recount of the whole site: its books, and what follows from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from procman.plan import Launch, Plan
from procman.policy.events import Event, GuardRules, WorkerId
from tests.simulation.books import GroupBook, Run, SlotBook
from tests.simulation.end_book import EndBook
from tests.simulation.operator_book import OperatorBook, start
from tests.simulation.pulse_book import may_run
from tests.simulation.pump_book import PumpBook
from tests.simulation.trial_book import TrialBook
from tests.simulation.turn_book import Turns
from tests.simulation.zygote_book import Falls, ZygoteBook

SLACK = 1e-9


class SiteBook:
    """The whole site."""

    def __init__(self, stop_timeout: float | None) -> None:
        self.default_timeout = stop_timeout
        self.plan: Plan | None = None
        self.groups: dict[str, GroupBook] = {}
        self.turns: defaultdict[str, Turns] = defaultdict(Turns)
        """The replacements that are under way, by group."""
        self.by_pid: dict[int, Run] = {}
        self.operator = OperatorBook()
        self.zygotes = ZygoteBook()
        self.trial = TrialBook()
        self.now = 0.0
        self.event: Event | None = None
        """The one that is handled."""
        self.changed: set[str] = set()
        """Groups that a reload has changed in this step."""
        self.told: list[Run] = []
        """Runs that were told to end in this step."""
        self.replanned = False
        """Whether another plan came in force in this step."""
        self.passed_launches: dict[str, Launch] = {}
        """By group: what workers were started with by a plan that was in force only within this step."""
        self.passed_guard: GuardRules | None = None
        self.dismissed: list[Run] = []
        """Whom a plan that was in force only within this step has not kept."""
        self.loading = False
        self.load_again = False
        self.failures: dict[str, int] = {}
        """Procman's own exit code for each group that has a failure for good, the first first."""
        self.ending = EndBook()
        self.strays = 0
        self.more_strays = False
        """Whether this step has told of more of them, which is worth a line."""
        self.guard_falls = Falls()
        self.pump = PumpBook()

    @property
    def guard(self) -> GuardRules | None:
        """What the guard is to be; None before the first plan, or where there is to be none."""
        if self.plan is None or self.plan.orphans == "keep":
            return None
        adopting = tuple(one.name for one in self.plan.groups if one.launch.adopt)
        return GuardRules(self.plan.name, tuple((one.name, one.stop) for one in self.plan.groups), adopting)

    @property
    def helpers_due(self) -> list[float]:
        """When helpers are to be started again."""
        falls = [self.guard_falls, self.pump.falls, *(wanted.falls for wanted in self.zygotes.wanted.values())]
        return [one.due for one in falls if one.due is not None]

    def wants(self, worker: WorkerId) -> bool:
        """Whether this slot should have a worker, dependencies apart."""
        group = self.groups[worker.group]
        planned = not group.gone and worker.task < group.plan.workers and worker.task not in group.held
        return self.ending.down_at is None and planned and not group.gave_up

    def keeps(self, run: Run) -> bool:
        """Whether this very run should go on, as far as it is not to be replaced."""
        group = self.groups[run.worker.group]
        kept = self.stands(group) and not group.unmet and self.wants(run.worker)
        kept = kept and run.fault is None and group.regroup is None
        return kept and (self.has_turn(run) or not group.is_beside(run))

    def has_turn(self, run: Run) -> bool:
        """Whether the successor of this run, or this successor, is wanted."""
        task, turns, group = run.worker.task, self.turns[run.worker.group], self.groups[run.worker.group]
        wanted = self.stands(group) and self.wants(run.worker) and group.regroup is None
        wanted = wanted and (run.launch == group.plan.launch or not group.is_beside(run))
        return wanted and task in turns.busy and task in turns.old

    def successor(self, run: Run) -> Run | None:
        """Who starts beside this run, to follow it, and is wanted; None if nobody does."""
        beside = self.groups[run.worker.group].beside.get(run.worker.task)
        new = beside and beside.run
        if not new or new is run or new.asked_at is not None or new.end is not None or new.error is not None:
            return None
        return new if self.has_turn(new) else None

    def stands(self, group: GroupBook) -> bool:
        """Whether all that it requires is up."""
        return all(name in self.groups and self.groups[name].is_up for name in group.plan.requires)

    def may_run(self, run: Run) -> bool:
        """Whether the event that is handled makes it ready, or has it run without."""
        return may_run(run, self.event, self.now)

    def find(self, worker: WorkerId) -> tuple[GroupBook, SlotBook]:
        """The books of a worker's group and slot."""
        group = self.groups[worker.group]
        return group, group.find(worker)

    def go_back(self) -> None:
        """The plan on trial is lost: the last good one is in force again."""
        if self.trial.lost:
            plan, fresh = self.trial.take_back()
            self.apply(plan, fresh)
            self.passed_guard = self.guard
            self.passed_launches = {name: group.plan.launch for name, group in self.groups.items()}
            self.dismissed = [run for run in self.by_pid.values() if not self.keeps(run)]

    def wanted(self, group: GroupBook) -> set[int]:
        """The tasks that this group should have."""
        return set() if group.gone or group.gave_up else set(range(group.plan.workers)) - group.held

    def renew(self, group: GroupBook) -> None:
        """It begins anew, as one that an operator starts whole."""
        start(group, set(range(group.plan.workers)) - group.held, whole=True)
        self.failures.pop(group.plan.name, None)

    def renews(self, name: str) -> bool:
        """Whether its code is imported anew before its workers are restarted."""
        assert self.plan is not None, "only a site that runs has groups"
        planned = next(group for group in self.plan.groups if group.name == name)
        return self.zygotes.renews(planned, self.groups[name], self.ending.down_at is not None)

    def apply(self, plan: Plan, fresh: Collection[str] = ()) -> None:
        """From now on the plan in force is this one."""
        self.plan, self.replanned = plan, True
        self.pump.follow(plan)
        for raw in plan.groups:
            group = self.groups.get(raw.name)
            planned = self.zygotes.admit(raw, group)
            if group is None:
                self.groups[planned.name] = GroupBook(planned)
            elif group.follow(planned, fresh=planned.name in fresh):
                self.changed.add(planned.name)
                self.failures.pop(planned.name, None)
                self.replace_stale(group)
        kept = {planned.name for planned in plan.groups}
        for name, group in self.groups.items():
            if name not in kept:
                group.gone, group.regroup = True, None
                group.forget_hand()
                group.file_workers = 0
                self.failures.pop(name, None)

    def replace_stale(self, group: GroupBook) -> None:
        """Those that were started with another launch are to be replaced."""
        runs = [slot.run for slot in group.slots.values() if slot.run is not None]
        self.replace(group.plan.name, [run for run in runs if run.launch != group.plan.launch])

    def replace(self, name: str, runs: list[Run]) -> None:
        """These runs are to be replaced, those of them that are not on their way out."""
        up = [run for run in runs if run.asked_at is None and run.end is None and run.error is None]
        self.turns[name].want(up)

    def end(self, code: int) -> None:
        """The site begins to end, and this will be its code; a later reason changes nothing."""
        if self.plan is not None and self.ending.down_at is None:
            timeout = self.default_timeout if self.plan.stop_timeout is None else self.plan.stop_timeout
            self.ending.begin(code, self.now, timeout)
            for group in self.groups.values():
                group.regroup = None
