"""The recount of the whole site: what each event means for the books. It trusts nobody but the kernel's facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from signal import SIGKILL
from typing import assert_never

from procman.plan import Launch, Plan, Recycle
from procman.policy.events import (
    Checked,
    Demanded,
    Due,
    Event,
    Execed,
    Exited,
    Extended,
    Forked,
    GuardRules,
    HelperEnded,
    HelperFailed,
    HelperReady,
    Left,
    Load,
    Loaded,
    LoadFailed,
    MainPid,
    Outgrown,
    OutputLost,
    Ready,
    ReopenLog,
    Said,
    ShutDown,
    StartFailed,
    State,
    Strays,
    TimePassed,
    Touched,
    TreeEnded,
    Unready,
    WorkerId,
)
from procman.policy.events.requests import Asked, Departed, Down, Reload, Request, Rollback, ShowPlan, ShowStatus
from tests.simulation.books import GroupBook, Run, SlotBook, Verdict
from tests.simulation.operator_book import OperatorBook, start
from tests.simulation.pulse_book import Felt, feel, look
from tests.simulation.pump_book import PumpBook
from tests.simulation.trial_book import TrialBook
from tests.simulation.turn_book import Turns
from tests.simulation.zygote_book import Falls, ZygoteBook

SLACK = 1e-9
TERM_TO_KILL_S, KILL_TO_END_S = 2.0, 1.0
"""The waits of the drain."""


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
        self.down_at: float | None = None
        """When the site began to end."""
        self.owed: int | None = None
        """The exit code, from the moment at which it is known."""
        self.said: int | None = None
        """The exit code that the last line of the log gave."""
        self.wished_at: float | None = None
        """When somebody first asked for the end."""
        self.limit_at: float | None = None
        self.kill_now = False
        self.drained_from: float | None = None
        """When the last worker was gone, and nothing could start by itself."""
        self.drains: list[tuple[float, int]] = []
        """What those who are left were sent, and when."""
        self.drained = False
        """Whether nobody is left, or they were waited for long enough."""
        self.strays = 0
        self.more_strays = False
        """Whether this step has told of more of them, which is worth a line."""
        self.guard_falls = Falls()
        self.pump = PumpBook()

    @property
    def drain_until(self) -> float | None:
        """When the present wait of the drain is over; None if there is none."""
        if not self.drains or self.drained:
            return None
        since, number = self.drains[-1]
        return since + (KILL_TO_END_S if number == SIGKILL else TERM_TO_KILL_S)

    @property
    def guard(self) -> GuardRules | None:
        """What the guard is to be; None before the first plan, or where there is to be none."""
        if self.plan is None or self.plan.orphans == "keep":
            return None
        adopting = tuple(one.name for one in self.plan.groups if one.launch.adopt)
        return GuardRules(self.plan.name, tuple((one.name, one.stop) for one in self.plan.groups), adopting)

    def _failed_or_exited(self, fact: StartFailed | Exited) -> None:
        if isinstance(fact, Exited):
            self._exited(fact)
            return
        run = self._run(fact.worker)
        run.error = fact
        if run.pid is None:
            run.verdict = self._judge(run, fact)
            self._over(run)

    def _felt(self, fact: Forked | MainPid | Felt | Outgrown) -> None:
        if isinstance(fact, MainPid):
            run = self._run(fact.worker)
            assert run.pid is not None, "who has a leader has a pid"
            run.pid, self.by_pid[fact.pid] = fact.pid, self.by_pid.pop(run.pid)
            if run.weighed != Recycle():
                run.weighed = Recycle(0.0)  # by its old pid, which is wrong
            return
        if isinstance(fact, Forked):
            run = self.by_pid[fact.pid] = self._run(fact.worker)
            run.pid, run.spawned_at = fact.pid, self.now
            return
        group = self.groups.get(fact.worker.group)
        slot = group.find(fact.worker) if group and fact.worker.task in group.slots else None
        if slot is None or slot.run is None or slot.run.worker != fact.worker:
            return
        if not isinstance(fact, Outgrown):
            feel(slot, slot.run, fact, self.now)
        elif slot.state is State.RUNNING:
            self._outgrown(fact, slot.run)

    def _outgrown(self, fact: Outgrown, run: Run) -> None:
        """Its turn to be replaced comes, unless a replacement has halted."""
        if fact.rss is None:
            run.aged_at, run.aged_again = self.now, True
        turns = self.turns[fact.worker.group]
        if not turns.is_due(run) and not (turns.halted and turns.old):
            turns.want([run])

    def _counted(self, fact: Strays | Left) -> None:
        if isinstance(fact, Left):
            self.drained = self.drained or fact.processes == 0
        else:
            self.more_strays, self.strays = fact.processes > self.strays, fact.processes

    def _time_passed(self) -> None:
        for group in self.groups.values():
            for slot in group.all_slots():
                look(slot, self.now)
        if self.limit_at is not None and self.now >= self.limit_at:
            self.limit_at, self.kill_now = None, True
        if (until := self.drain_until) is not None and self.now >= until:
            self.drained = self.drains[-1][1] == SIGKILL

    @property
    def helpers_due(self) -> list[float]:
        """When helpers are to be started again."""
        falls = [self.guard_falls, self.pump.falls, *(wanted.falls for wanted in self.zygotes.wanted.values())]
        return [one.due for one in falls if one.due is not None]

    def _told_of_helper(self, fact: HelperEnded | HelperReady | HelperFailed) -> None:
        match fact:
            case HelperEnded():
                self._fell(fact)
            case HelperReady():
                self._imported(fact)
            case HelperFailed():
                self.zygotes.failed(fact)
                self.trial.refused(self.zygotes.refused & self.groups.keys())

    def _fell(self, fact: HelperEnded) -> None:
        if self.drained_from is not None:
            return
        if fact.name == "guard" and self.guard is not None:
            self.guard_falls.fell(self.now, fact.draw)
        elif fact.name == "pump":
            self.pump.falls.fell(self.now, fact.draw)
        self.zygotes.fell(fact, self.groups, self.now)

    def _imported(self, fact: HelperReady) -> None:
        name = self.zygotes.ready(fact, self.groups)
        if name is not None:
            self.changed.add(name)
            self.failures.pop(name, None)
            self._replace_stale(self.groups[name])

    def wants(self, worker: WorkerId) -> bool:
        """Whether this slot should have a worker, dependencies apart."""
        group = self.groups[worker.group]
        planned = not group.gone and worker.task < group.plan.workers and worker.task not in group.held
        return self.down_at is None and planned and not group.gave_up

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

    def find(self, worker: WorkerId) -> tuple[GroupBook, SlotBook]:
        """The books of a worker's group and slot."""
        group = self.groups[worker.group]
        return group, group.find(worker)

    def hear(self, event: Event, now: float) -> None:
        """Note what an event means."""
        self.now = now
        self.changed, self.told, self.replanned, self.dismissed = set(), [], False, []
        self.passed_launches, self.passed_guard = {}, None
        self.more_strays = False
        self.operator.begin()
        self.trial.verdict = ""
        if self.down_at is None and self.drained_from is None:
            self.trial.due(
                now,
                self.groups,
                {name: self._wanted(group) for name, group in self.groups.items()},
                self.zygotes.coming,
            )
        self._note(event)
        self._go_back()

    def _go_back(self) -> None:
        """The plan on trial is lost: the last good one is in force again."""
        if self.trial.lost:
            plan, fresh = self.trial.take_back()
            self._apply(plan, fresh)
            self.passed_guard = self.guard
            self.passed_launches = {name: group.plan.launch for name, group in self.groups.items()}
            self.dismissed = [run for run in self.by_pid.values() if not self.keeps(run)]

    def _wanted(self, group: GroupBook) -> set[int]:
        return set() if group.gone or group.gave_up else set(range(group.plan.workers)) - group.held

    def _note(self, event: Event) -> None:
        """Note what it means for the groups."""
        match event:
            case StartFailed() | Exited():
                self._failed_or_exited(event)
            case TreeEnded(pid):
                self._over(self.by_pid.pop(pid))
            case Load():
                self.load_again = self.loading
                self.loading = True
            case Loaded() | LoadFailed():
                self._loaded(event)
            case ShutDown(_, at_once):
                self._wished(at_once)
            case Asked(client, request):
                self._asked(client, request)
            case TimePassed():
                self._time_passed()
            case Strays() | Left():
                self._counted(event)
            case HelperEnded() | HelperReady() | HelperFailed():
                self._told_of_helper(event)
            case Forked() | Execed() | Ready() | Unready() | Checked() | Said() | Extended() | MainPid() | Outgrown():
                self._felt(event)
            case OutputLost() | ReopenLog() | Departed() | Due() | Demanded() | Touched():
                pass  # the last two are `runs.py`'s to check
            case _:
                assert_never(event)

    def end(self, code: int) -> None:
        """The site begins to end, and this will be its code; a later reason changes nothing."""
        if self.down_at is not None or self.plan is None:
            return
        self.down_at, self.owed = self.now, code
        limit = self.default_timeout if self.plan.stop_timeout is None else self.plan.stop_timeout
        self.limit_at = None if limit is None else self.now + limit
        for group in self.groups.values():
            group.regroup = None

    def _run(self, worker: WorkerId) -> Run:
        run = self.find(worker)[1].run
        assert run is not None, f"the kernel speaks of {worker}, which nobody has started"
        assert run.worker == worker, f"the kernel speaks of {worker}, but {run.worker} is there"
        return run

    def _exited(self, fact: Exited) -> None:
        run = self.by_pid.get(fact.pid)
        if run is None:
            return
        run.end, run.lived = fact, self.now - run.spawned_at
        if run.asked_at is None or run.fault is not None:
            if fact.leftover and run.asked_at is None:
                run.asked_at, run.kill_at = self.now, self.now + run.stop.grace
            run.verdict = self._judge(run, fact)
        if fact.leftover and run.drained_at is not None:
            run.drained_at, run.kill_at = None, self.now + run.stop.grace
        if not fact.leftover:
            del self.by_pid[fact.pid]
            self._over(run)

    def _judge(self, run: Run, fact: Exited | StartFailed) -> Verdict:
        group, slot = self.find(run.worker)
        if group.is_beside(run):
            return self._judge_successor(run)
        if not self.wants(run.worker) or group.unmet or run.launch != group.plan.launch or self.successor(run):
            return Verdict(State.STOPPED)
        if group.regroup is not None:
            run.joins = True
            return Verdict(State.BACKOFF)
        verdict = group.judge(slot, run, fact, self.now)
        for_good = verdict.to is State.FAILED or (run.fault is not None and verdict.code == 12)
        if verdict.code and self.trial.failed(*run.worker[:2], for_good=for_good):
            return Verdict(State.STOPPED)
        if verdict.to is State.FAILED:
            exhausted = group.plan.restart.on_exhausted
            self.failures.setdefault(run.worker.group, verdict.code)
            group.gave_up = exhausted == "stop"
            if self.plan is not None and self.plan.exit_code_from == run.worker.group:
                self.end(status(run))
            if exhausted == "shutdown":
                self.end(verdict.code)
        return verdict

    def _judge_successor(self, run: Run) -> Verdict:
        """It was never ready: the replacement halts, and the old one stays."""
        if not self.has_turn(run):
            return Verdict(State.STOPPED)
        self.trial.failed(*run.worker[:2], for_good=True)
        turns = self.turns[run.worker.group]
        turns.busy.discard(run.worker.task)
        turns.halted = True
        return Verdict(State.FAILED)

    def _over(self, run: Run) -> None:
        """Nothing is left of it: what must become of its slot, given what has happened since the verdict."""
        group, verdict = self.groups[run.worker.group], run.verdict
        wanted = self.wants(run.worker) and not group.unmet
        fresh = run.launch == group.plan.launch
        stopped = Verdict(State.STOPPED)
        if group.is_beside(run):
            run.final = verdict or stopped
            if group.owes is not None and group.slots[run.worker.task].state is State.EXITED:
                self.end(group.owes)
            return
        if verdict is None or verdict == Verdict(State.BACKOFF):
            joins = run.joins and wanted and fresh and group.regroup is not None
            run.final = Verdict(State.BACKOFF) if joins else stopped
        elif verdict.to is State.BACKOFF:
            run.final = verdict if wanted and fresh else stopped
        else:
            run.final = verdict
        name, held = run.worker.group, run.worker.task in group.held or run.worker.task >= group.plan.workers
        if run.final.to is State.EXITED and not held and self.plan is not None and self.plan.exit_code_from == name:
            if run.worker.task in group.beside:
                group.owes = status(run)
            else:
                self.end(status(run))

    def _loaded(self, answer: Loaded | LoadFailed) -> None:
        self.loading, self.load_again = self.load_again, False
        reset = self.operator.loaded(isinstance(answer, Loaded))
        if self.down_at is not None or self.drained_from is not None:
            self.loading = False
            return
        if isinstance(answer, Loaded):
            self.trial.lost = False  # if it is, this plan comes in its place
            for group in self.groups.values() if reset else ():
                group.forget_hand()
            self._apply(answer.plan)
            self.trial.begin(answer, self.now)
        elif self.plan is None and not self.loading:
            self.owed = 78

    def _apply(self, plan: Plan, fresh: Collection[str] = ()) -> None:
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
                self._replace_stale(group)
        kept = {planned.name for planned in plan.groups}
        for name, group in self.groups.items():
            if name not in kept:
                group.gone, group.regroup = True, None
                group.forget_hand()
                group.file_workers = 0
                self.failures.pop(name, None)

    def _replace_stale(self, group: GroupBook) -> None:
        runs = [slot.run for slot in group.slots.values() if slot.run is not None]
        self._replace(group.plan.name, [run for run in runs if run.launch != group.plan.launch])

    def _replace(self, name: str, runs: list[Run]) -> None:
        """These runs are to be replaced, those of them that are not on their way out."""
        up = [run for run in runs if run.asked_at is None and run.end is None and run.error is None]
        self.turns[name].want(up)

    def _reload(self, client: int, reset: bool) -> None:
        self.operator.refused = self.down_at is not None or self.drained_from is not None
        if not self.operator.refused:
            self.operator.reload(client, reset, again=self.loading)
            self.load_again = self.loading
            self.loading = True

    def _asked(self, client: int, request: Request) -> None:
        if isinstance(request, Reload):
            self._reload(client, request.reset)
        elif isinstance(request, Down):
            if request.now or self.down_at is None:
                self._wished(request.now)
        elif isinstance(request, ShowPlan):
            self.operator.refused = self.plan is None
        elif not isinstance(request, ShowStatus):
            running = self.plan is not None and self.down_at is self.drained_from is None
            named = {group.name for group in self.plan.groups} if self.plan is not None and running else set()
            if isinstance(request, Rollback):
                self._go_back()
                plan = self.trial.by_hand() if running else None
                self.operator.refused = plan is None
                if plan is not None:
                    self._apply(plan)
                return
            groups = {name: self.groups[name] for name in named}
            alone = None if self.plan is None else self.plan.exit_code_from
            for name in self.operator.hear(request, groups, alone, self._renews):
                self.failures.pop(name, None)
            for name, task in self.operator.restarted:
                slot = self.groups[name].slots.get(task)
                if slot is not None and slot.run is not None and slot.run.pid is not None:
                    self._replace(name, [slot.run])

    def renew(self, group: GroupBook) -> None:
        """It begins anew, as one that an operator starts whole."""
        start(group, set(range(group.plan.workers)) - group.held, whole=True)
        self.failures.pop(group.plan.name, None)

    def _renews(self, name: str) -> bool:
        assert self.plan is not None, "only a site that runs has groups"
        planned = next(group for group in self.plan.groups if group.name == name)
        return self.zygotes.renews(planned, self.groups[name], self.down_at is not None)

    def _wished(self, at_once: bool) -> None:
        again = self.wished_at is not None and self.now - self.wished_at >= 0.5
        if self.wished_at is None:
            self.wished_at = self.now
        self.trial.close()
        if self.drained_from is None:
            if self.plan is None:
                self.owed = 0
            self.end(0)
        self.kill_now = self.kill_now or at_once or again


def status(run: Run) -> int:
    """What a shell would say of the run; 12 where there was none."""
    if run.error is not None or run.end is None:
        return 12
    if run.end.signal is not None:
        return 128 + run.end.signal
    assert run.end.exit_code is not None, "a process ends by a code or by a signal"
    return run.end.exit_code
