"""Watches every step of a history and holds its actions and records against the recount.

It sees what the loop sees: the event, the actions, the records. Any disagreement raises `Violation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from signal import SIGKILL, SIGTERM

from procman.log.jsonl import JsonLines
from procman.plan import Recycle
from procman.policy.events import (
    Action,
    Check,
    Drain,
    EndHelper,
    Event,
    Exit,
    GuardRules,
    Identify,
    KeepPlans,
    Notice,
    Print,
    PumpRules,
    Record,
    ReopenLog,
    Report,
    RunHelper,
    RunLoader,
    Signal,
    Spawn,
    State,
    Transition,
    Weigh,
    WorkerId,
    ZygoteOrder,
)
from procman.policy.events.requests import Answer, RunningPlan
from tests.log.lines import parsed
from tests.simulation.books import GroupBook, Run, SlotBook
from tests.simulation.history import digest_of
from tests.simulation.pulse_book import UNHEALTHY, may_run
from tests.simulation.site import SLACK, SiteBook
from tests.simulation.upward_book import UpwardBook


class Violation(AssertionError):  # noqa: N818 - it is no error of the program, but a finding
    """What was seen is not what the design says."""


def need(holds: object, complaint: str) -> None:
    """Raise `Violation` unless it holds."""
    if not holds:
        raise Violation(complaint)


_rendered: set[object] = set()
"""The shapes of records that have been held against the schema: validating each record would take all the time."""


def _hold_to_the_schema(record: Record) -> None:
    """The log's JSON line of this record is one that `event.schema.json` allows."""
    if isinstance(record, Transition):
        shape: object = (
            record.from_,
            record.to,
            record.level,
            record.pid is None,
            record.exit is None,
            record.retry is None,
        )
    else:
        shape = (record.event, record.level, *(f"{name} {type(value)}" for name, value in record.fields.items()))
    if shape not in _rendered:
        _rendered.add(shape)
        (line,) = JsonLines("site").lines(0, [record])
        parsed(line)


def _lasting(actions: Sequence[Action]) -> Iterator[Action]:
    """All but the zygotes that are started and ended in one step: two plans came in force, one after the other."""
    ended = {action.name for action in actions if isinstance(action, EndHelper)}
    brief = {action.name for action in actions if isinstance(action, RunHelper) and action.name in ended}
    for action in actions:
        if not (isinstance(action, RunHelper | EndHelper) and action.name in brief):
            yield action


def _drains(run: Run, state: State) -> bool:
    """Whether one in this state serves on before it hears the signal: it was ready, and has not failed."""
    return run.stop.drain > 0 and state is State.RUNNING and run.fault is None


def _near(one: float | None, other: float | None, slack: float) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) <= slack)


class Checker:
    """Reads along."""

    def __init__(self, edges: Mapping[State, frozenset[State]], site: SiteBook) -> None:
        self.edges = edges
        self.site = site
        self.seen: Counter[tuple[State, State]] = Counter()
        """How often each edge was taken."""
        self.notices: Counter[str] = Counter()
        self.upward = UpwardBook()
        self._event: Event | None = None
        self._identity = ""
        """What workers are told of the configuration, from the last step on."""
        self._guard: GuardRules | None = None
        """What the guard was told last."""

    def step(self, event: Event, now: float, actions: Sequence[Action], records: Sequence[Record]) -> None:
        """Check one turn of the loop."""
        self._event = event
        for group in self.site.groups.values():
            group.regrouped = False
        self.site.hear(event, now)
        draining = self._begin_to_drain(records)
        for action in _lasting(actions):
            if isinstance(action, Signal):
                self._signalled(action)
            else:
                self._acted(action)
        for run in draining:  # not before: what it requires may have been told to stop just now
            self._has_cause(run)
        need(self.site.pump.running == self.site.pump.wanted, "there is no pump, or an old one")
        self.site.operator.check(event, actions)
        reopened = any(isinstance(action, ReopenLog) for action in actions)
        need(reopened == isinstance(event, ReopenLog), f"the log is opened anew, or not, at {event}")
        told = any(isinstance(record, Notice) and record.event == "site.strays" for record in records)
        need(told == self.site.more_strays, f"strays are told, or not, at {event}")
        for record in records:
            _hold_to_the_schema(record)
            if isinstance(record, Transition):
                self._moved(record)
            else:
                self._noticed(record)
        need(not self.site.trial.verdict, f"nobody says that the plan on trial has {self.site.trial.verdict}")
        plan = self.site.plan
        need(plan is None or self._identity == digest_of(plan), "workers are told of another configuration")
        for fault in (self.upward.fault(self.site), self.site.trial.fault):
            need(not fault, fault)

    def _acted(self, action: Action) -> None:
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
                self._identity = digest
            case Answer(_, RunningPlan(digest, plan)):
                need(plan == self.site.plan and digest == digest_of(plan), f"{digest} is not the plan in force")
            case KeepPlans():
                self.site.trial.keeps(action)
            case RunLoader():
                need(self.site.loading, "the loader is started and nobody wants it")
            case Print():
                need(self.site.owed == 78, "text for people, although the site lives")

    # --- actions -----------------------------------------------------------------------------------------

    def _spawned(self, action: Spawn) -> None:
        worker = action.worker
        need(worker.group in self.site.groups, f"{worker} is of no group")
        group, slot = self.site.find(worker)
        need(self.site.down_at is None, f"{worker} is started while the site ends")
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

    def _signalled(self, action: Signal) -> None:
        now = self.site.now
        run = self.site.by_pid.get(action.pid)
        if run is None or run.worker != action.worker:
            raise Violation(f"signal {action.signal} to {action.pid}, which is not {action.worker}")
        if self.site.operator.sends(action):
            need(run.end is None and run.error is None, f"{action} by hand to a leader that has ended")
            need(not action.wakes, f"{action} by hand is more than was asked for")
            return
        need(action.wakes == (action.signal != SIGKILL), f"no SIGCONT follows {action}")
        if self._dumps(run, action):
            return
        if action.signal == SIGKILL:
            late = run.kill_at is not None and now >= run.kill_at - SLACK
            need(late or self.site.kill_now, f"{action.worker} is killed before its grace is over ({run.kill_at})")
            need(action.scope == "tree", f"{action.worker} is killed and its tree is not")
            need(not run.killed, f"{action.worker} is killed twice")
            run.killed = True
            return
        if run.end is not None:
            need((action.signal, action.scope) == (SIGTERM, "tree"), f"what {action.worker} left gets {action}")
        else:
            need((action.signal, action.scope) == (run.stop.signal, run.stop.scope), f"{action.worker} gets {action}")
            self._told(run)
        run.hears = run.hears or (action.signal, action.scope) == (SIGTERM, "tree")

    def _told(self, run: Run) -> None:
        """It hears the signal that asks it to end: at the end of its drain, or at once if it has none."""
        if run.drained_at is not None:
            need(self.site.now >= run.drained_at - SLACK, f"{run.worker} is told to stop before it has drained")
            run.drained_at, run.kill_at = None, self.site.now + run.stop.grace
            return
        need(run.asked_at is None, f"{run.worker} is told to stop twice")
        serves = _drains(run, self.site.find(run.worker)[1].state)
        need(not serves, f"{run.worker} is told to stop, and has not drained")
        self._has_cause(run)
        self._asked(run)

    def _begin_to_drain(self, records: Sequence[Record]) -> list[Run]:
        """Those that are wanted to end, and hear of it later: a record is all there is of it yet."""
        moves = [record for record in records if isinstance(record, Transition) and record.to is State.STOPPING]
        runs = [(self.site.find(move.worker)[1].run, move.from_) for move in moves]
        draining = [run for run, state in runs if run and run.asked_at is None and _drains(run, state)]
        for run in draining:
            self._asked(run)
            run.drained_at = self.site.now + run.stop.drain
        return draining

    def _has_cause(self, run: Run) -> None:
        """It is wanted to end; without another cause it must be its turn to be replaced."""
        if self.site.keeps(run) and run not in self.site.dismissed:
            self._takes_its_turn(run)

    def _takes_its_turn(self, run: Run) -> None:
        """Nothing but a replacement can be the cause."""
        turns = self.site.turns[run.worker.group]
        need(turns.is_due(run), f"{run.worker} is told to stop without a cause")
        new = self.site.successor(run)
        if new is not None:
            need(may_run(new, self._event, self.site.now), f"{run.worker} is told to stop before {new.worker} is ready")
            return
        need(self.site.groups[run.worker.group].plan.update.order == "stop-first", f"{run.worker} has no successor")
        turns.taken.append(run)

    def _dumps(self, run: Run, action: Signal) -> bool:
        """Whether this signal is the one for a trace, before an unhealthy worker is told to stop."""
        dump = run.health.dump if run.health and run.fault == UNHEALTHY else None
        if dump is None or run.asked_at is not None or run.dumped:
            return False
        need((action.signal, action.scope) == (dump, "leader"), f"{action} to {run.worker}, which is to leave a trace")
        run.dumped = True
        return True

    def _asked(self, run: Run) -> None:
        group = self.site.groups[run.worker.group]
        run.asked_at, run.kill_at = self.site.now, self.site.now + run.stop.grace
        fresh = self.site.wants(run.worker) and run.launch == group.plan.launch
        run.joins = fresh and group.regroup is not None
        self.site.told.append(run)

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
        before = [sent for _, sent in self.site.drains]
        need(number in (SIGTERM, SIGKILL), f"those who are left are sent {number}")
        need(number not in before and SIGKILL not in before, f"those who are left are sent {number} after {before}")
        if number == SIGKILL and not self.site.kill_now:
            until = self.site.drain_until
            need(until is not None and self.site.now >= until - SLACK, f"they are killed too early, due at {until}")
        self.site.drains.append((self.site.now, number))

    def _helped(self, action: RunHelper) -> None:
        need(self.site.drained_from is None, f"{action.name} is started in the drain")
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

    # --- records -----------------------------------------------------------------------------------------

    def _noticed(self, notice: Notice) -> None:
        self.notices[notice.event] += 1
        need(notice.event != "site.internal_error", f"an exception: {notice.reason}")
        if notice.event == "site.stopped":
            self.site.said = notice.fields["exit_code"]
        elif notice.event in ("config.proved", "config.failed"):
            verdict, self.site.trial.verdict = self.site.trial.verdict, ""
            need(notice.event == f"config.{verdict}", f"the plan on trial has {verdict or 'its time still'}: {notice}")

    def _moved(self, move: Transition) -> None:
        worker = move.worker
        group, slot = self.site.find(worker)
        where = f"{worker} (generation {worker.generation}) {move.from_} → {move.to}"
        need(move.from_ is slot.state, f"{where}: it was {slot.state}")
        need(move.to in self.edges[move.from_], f"{where}: no such edge")
        self.seen[move.from_, move.to] += 1
        if move.to is State.STARTING:
            self._starting(group, slot, where)
        run = slot.run
        if run is not None:
            need(worker == run.worker, f"{where}: but {run.worker} is there")
            self._check_exit(move, run, where)
        need(move.pid == (run and run.pid), f"{where}: its pid is not {move.pid}")
        if move.to is State.RUNNING:
            need(run and may_run(run, self._event, self.site.now), f"{where}: {self._event} does not make it ready")
            need(run and (run.checked or not run.health), f"{where}: nobody asks whether it is well")
            if run is not None and group.is_beside(run) and run.asked_at is None:
                self._takes_over(group, worker.task, where)
        elif move.to is State.STOPPING:
            if run is not None and self.site.kill_now and run.asked_at is None:
                self._asked(run)
            need(run and run.asked_at == self.site.now, f"{where}: nobody told it to")
        elif move.to is State.KILLING:
            need(run and run.killed, f"{where}: no SIGKILL")
        elif move.to is not State.STARTING:
            self._ended(move, group, slot, where)
        slot.state = move.to

    def _takes_over(self, group: GroupBook, task: int, where: str) -> None:
        """A successor is ready: it has the slot, and the old one is on its way out."""
        group.swap(task)
        old = group.beside[task].run
        need(old is None or old.asked_at is not None, f"{where}: and nobody tells the old one to stop")

    def _check_exit(self, move: Transition, run: Run, where: str) -> None:
        """The first record after a leader's end says how it ended, and no other; the kill of the rest is not it."""
        expected = None
        if run.end is not None and run.error is None and not run.said and move.to is not State.KILLING:
            expected = Exit(run.end.exit_code, run.end.signal, run.lived, run.end.usage)
            run.said = True
        need(move.exit == expected, f"{where}: says {move.exit} instead of {expected}")

    def _starting(self, group: GroupBook, slot: SlotBook, where: str) -> None:
        run, now = slot.next, self.site.now
        need(run, f"{where}: nothing was spawned")
        if group.regroup is not None:
            self._regrouped(group, where)
        fresh = run is not None and run.worker.group in self.site.changed
        fresh = fresh or (run is not None and run.worker[:2] in self.site.operator.started)
        fresh = fresh or group.suspended
        if slot.state is State.BACKOFF:
            due = slot.due is not None and now >= slot.due - SLACK
            need(due or fresh or group.regrouped, f"{where}: too early, due at {slot.due}")
        elif slot.state is State.EXITED:
            need(fresh or group.regrouped, f"{where}: it had ended normally")
        elif slot.state is State.FAILED:
            need(fresh, f"{where}: it had failed for good")
        slot.run, slot.next, slot.due, slot.unready = run, None, None, False
        slot.last = run.worker.generation if run is not None else 0

    def _regrouped(self, group: GroupBook, where: str) -> None:
        """One-for-all comes to its end: all are down, and the delay is over."""
        assert group.regroup is not None, "asked only if there is one"
        due = group.regroup.due
        need(not group.runs(), f"{where}: its siblings are not all down")
        waits = any(slot.state is State.BACKOFF for slot in group.slots.values())
        if waits and group.regroup.delay > 0:
            need(due is not None and self.site.now >= due - SLACK, f"{where}: too early for one-for-all, due at {due}")
        group.regroup, group.regrouped = None, True

    def _ended(self, move: Transition, group: GroupBook, slot: SlotBook, where: str) -> None:
        """To stopped, backoff, exited or failed."""
        run = slot.run
        if run is None:
            unwanted = not self.site.wants(move.worker) or not self.site.stands(group)
            need(move.to is State.STOPPED and unwanted, f"{where}: it was waiting")
            slot.due = None
            return
        verdict = run.final
        if verdict is None:
            raise Violation(f"{where}: something of it is left")
        need(move.to is verdict.to, f"{where}: the verdict is {verdict}")
        got = None if move.retry is None else (move.retry.restarts, move.retry.budget_left)
        need(got == (verdict.retry and verdict.retry[:2]), f"{where}: says {move.retry}, but the recount {verdict}")
        new = self.site.successor(run)
        slot.run, slot.due = None, None
        if group.beside.get(move.worker.task) is slot:
            group.drop(move.worker.task)
        elif new is not None:
            group.swap(move.worker.task)
        if move.retry is not None and verdict.retry is not None:
            delay = verdict.retry[2]
            need(abs(move.retry.delay_s - delay) < SLACK, f"{where}: waits {move.retry.delay_s} instead of {delay}")
            if group.regroup is None:
                slot.due = self.site.now + delay
