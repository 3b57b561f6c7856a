"""The checker's own recount of a site: what is known of every run, slot and group from facts and actions alone.

Written against the design, not against the policy: it imports nothing of it, decides nothing, and says nothing.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

from procman.choices import Condition
from procman.plan import GroupPlan, Recycle, Restart
from procman.policy.events import Exited, StartFailed, State, WorkerId

HOPELESS = {errno.ENOENT, errno.EACCES}
"""Of what `history.FAILURES` can bring: what is never retried, at the exec."""

MET: dict[Condition, set[State]] = {
    "started": {State.RUNNING, State.EXITED},
    "ready": {State.RUNNING, State.EXITED},
    "completed": {State.EXITED},
    "ended": {State.EXITED, State.FAILED},
}


class Verdict(NamedTuple):
    """What must become of a slot once nothing of its run is left."""

    to: State
    retry: tuple[int, int, float] | None = None
    """Restarts on the budget, what is left of it, and the delay in seconds."""
    code: int = 0
    """For a failure: procman's own exit code if this was the last word."""


class Run:
    """One process, from its spawn until nothing of its tree is left."""

    __slots__ = (
        "aged_again",
        "aged_at",
        "asked_at",
        "begun",
        "checked",
        "drained_at",
        "dumped",
        "end",
        "error",
        "fault",
        "final",
        "health",
        "hears",
        "joins",
        "kill_at",
        "killed",
        "launch",
        "leaving",
        "lived",
        "pid",
        "ready",
        "said",
        "sick",
        "spawned_at",
        "stop",
        "until",
        "verdict",
        "weighed",
        "worker",
    )

    def __init__(self, worker: WorkerId, plan: GroupPlan, now: float) -> None:
        self.worker = worker
        self.launch = plan.launch
        self.stop = plan.stop
        self.ready, self.health = plan.ready, plan.health
        self.begun = False
        self.leaving = False
        """It says that it is stopping."""
        self.until = 0.0
        """Up to when it wants to be waited for until it is ready."""
        self.sick = 0
        """Bad health checks in a row."""
        self.checked = self.dumped = False
        self.fault: int | None = None
        """It is ended as one that has failed: procman's own exit code if that is the last word."""
        self.spawned_at = now
        self.weighed = Recycle()
        """The rule by which it is weighed."""
        self.aged_again = False
        """It was told that it is old, and nobody has it weighed again."""
        self.aged_at: float | None = None
        """When it was last told that it is old; from then on its age counts anew, once it is weighed again."""
        self.pid: int | None = None
        self.error: StartFailed | None = None
        self.end: Exited | None = None
        """The leader's."""
        self.lived = 0.0
        self.final: Verdict | None = None
        """Set once nothing is left of it."""
        self.said = False
        """Whether a record has told the leader's end."""
        self.asked_at: float | None = None
        """When it was first wanted to end; from its leader's end on, the rest of it."""
        self.drained_at: float | None = None
        """When it is to hear the signal, while it serves on until then."""
        self.kill_at: float | None = None
        self.hears = False
        """Its whole tree was sent SIGTERM."""
        self.joins = False
        """It was told to end for one-for-all, and is to come back with the others."""
        self.killed = False
        self.verdict: Verdict | None = None


class SlotBook:
    """A task id of a group."""

    __slots__ = ("due", "last", "next", "run", "state", "streak", "unready")

    def __init__(self) -> None:
        self.next: Run | None = None
        """Spawned in this step, and no record has said so yet."""
        self.state = State.STOPPED
        self.unready = False
        """Running, and marked as not ready."""
        self.run: Run | None = None
        self.last = 0
        """The generation of its last run."""
        self.streak = 0
        """Automatic restarts in a row, without a stable run."""
        self.due: float | None = None
        """Backoff: when the next start must come."""


class Regroup:
    """One-for-all under way."""

    __slots__ = ("delay", "due")

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.due: float | None = None
        """None until all are down."""


class GroupBook:
    """A group, its budget and its verdicts."""

    def __init__(self, plan: GroupPlan) -> None:
        self.plan = plan
        """As an operator's scaling leaves it."""
        self.file_workers = plan.workers
        self.scaled: int | None = None
        self.held: set[int] = set()
        """Tasks that an operator has stopped."""
        self.slots: dict[int, SlotBook] = {}
        self.beside: dict[int, SlotBook] = {}
        """Whoever is in a slot beside the worker that has it: its successor, or its predecessor."""
        self.regrouped = False
        """Whether one-for-all has come to its end in this step."""
        self.restarts: list[float] = []
        """When each restart that counts was decided, since the group was last changed."""
        self.gone = False
        self.gave_up = False
        self.failed_with: int | None = None
        """The code of the first failure for good since the group was last changed."""
        self.regroup: Regroup | None = None
        self.owes: int | None = None
        """The site's exit code, once the predecessor is gone: its one worker has ended normally."""
        self.unmet = dict(plan.after)
        """What it still waits for before it starts."""
        self.suspended = False
        """Whether it has gone down with what it requires."""

    def follow(self, plan: GroupPlan, *, fresh: bool = False) -> bool:
        """Take over a new plan; whether the group counts as changed, as it does if it is to be `fresh`."""
        changed = fresh or self.gone or plan != self.plan._replace(workers=plan.workers, auto=plan.auto)
        self.gone = False
        if plan.workers != self.file_workers:
            self.forget_hand()
        self.file_workers = plan.workers
        if self.scaled is not None:
            plan = plan._replace(workers=self.scaled)
        if self.unmet:
            met = {need for need in self.plan.after if need[0] not in self.unmet}
            self.unmet = dict([need for need in plan.after if need not in met])
        self.plan = plan
        if changed:
            self.restarts.clear()
            self.gave_up, self.failed_with, self.regroup = False, None, None
        for slot in self.slots.values():
            slot.streak = 0 if changed else slot.streak
            if slot.run is not None:
                _follow(slot.run, plan, changed)
        for slot in self.beside.values():
            if slot.run is not None:
                _follow(slot.run, plan, False)
        return changed

    def forget_hand(self) -> None:
        """Whatever an operator has wanted is void."""
        self.scaled = None
        self.held.clear()

    @property
    def kept(self) -> bool:
        """Whether an operator's stop keeps the site up."""
        return not self.gone and not self.gave_up and (self.scaled == 0 or bool(self.held))

    def runs(self) -> list[Run]:
        return [slot.run for slot in self.all_slots() if slot.run is not None]

    def all_slots(self) -> list[SlotBook]:
        return [*self.slots.values(), *self.beside.values()]

    def find(self, worker: WorkerId) -> SlotBook:
        """Where this run is, or is to be."""
        beside = self.beside.get(worker.task)
        if beside is not None and any(run and run.worker == worker for run in (beside.run, beside.next)):
            return beside
        return self.slots.setdefault(worker.task, SlotBook())

    def is_beside(self, run: Run) -> bool:
        beside = self.beside.get(run.worker.task)
        return beside is not None and beside.run is run

    def drop(self, task: int) -> None:
        """Whoever was beside is gone; perhaps another one comes in the same step."""
        coming = self.beside.pop(task).next
        if coming is not None:
            self.beside[task] = SlotBook()
            self.beside[task].next = coming

    def swap(self, task: int) -> None:
        """The one beside has the slot, and the streak of failures with it."""
        new, old = self.beside.pop(task), self.slots[task]
        self.slots[task], new.streak = new, old.streak
        if old.run is not None:
            self.beside[task] = old
            old.run.fault = None
            old.run.verdict = Verdict(State.STOPPED)

    @property
    def is_up(self) -> bool:
        """Whether anything of it runs that nobody has told to end: then who requires it may."""
        return any(slot.state is State.RUNNING and slot.run and goes_on(slot.run) for slot in self.slots.values())

    def meets(self, condition: Condition) -> bool:
        """Whether what a dependent waits for is true now."""
        if condition == "ended" and self.gave_up:
            return not self.runs()
        tasks = range(self.plan.workers)
        return all(task in self.slots and self._task_meets(self.slots[task], condition) for task in tasks)

    @staticmethod
    def _task_meets(slot: SlotBook, condition: Condition) -> bool:
        if condition == "started" and slot.state is State.STARTING:
            return slot.run is not None and slot.run.begun
        if condition == "ready" and slot.state is State.RUNNING and slot.unready:
            return False
        return slot.state in MET[condition]

    def judge(self, slot: SlotBook, run: Run, fact: Exited | StartFailed, now: float) -> Verdict:
        """The restart policy, told a second time: what must become of a run that nobody asked to end."""
        restart = self.plan.restart
        failed_start = run.error
        if failed_start is None and run.fault is None and isinstance(fact, Exited) and normal(restart, fact):
            if restart.when != "always":
                return Verdict(State.EXITED)
            used = self._used(restart, now)
            delay = self._delay(slot, restart, now - run.spawned_at, fact.draw)
            return Verdict(State.BACKOFF, (used, restart.max_restarts - used, delay))
        code = run.fault or (12 if failed_start else 10)
        hopeless = failed_start is not None and failed_start.stage == "exec" and failed_start.errno in HOPELESS
        if hopeless or restart.when == "never" or self._used(restart, now) >= restart.max_restarts:
            return Verdict(State.FAILED, code=code)
        self.restarts.append(now)
        used = self._used(restart, now)
        lived = 0.0 if failed_start else now - run.spawned_at
        delay = self._delay(slot, restart, lived, fact.draw)
        if restart.strategy == "one-for-all":
            self.regroup = Regroup(delay)
            for sibling in self.slots.values():
                sibling.due = None
        return Verdict(State.BACKOFF, (used, restart.max_restarts - used, delay), code)

    def _used(self, restart: Restart, now: float) -> int:
        if restart.window is None:
            return len(self.restarts)
        return sum(moment > now - restart.window for moment in self.restarts)

    @staticmethod
    def _delay(slot: SlotBook, restart: Restart, lived: float, draw: float) -> float:
        backoff = restart.backoff
        if backoff is None:
            return 0.0
        slot.streak = 1 if lived >= restart.reset_after else slot.streak + 1
        if slot.streak == 1:
            return 0.0
        bare: float = min(backoff.max, backoff.initial * backoff.factor ** (slot.streak - 2))
        return bare * (1 + backoff.jitter * draw)


def goes_on(run: Run) -> bool:
    """Whether it has not ended, and nobody has told it to."""
    return run.end is None and run.error is None and run.asked_at is None and run.fault is None


def _follow(run: Run, plan: GroupPlan, changed: bool) -> None:
    """What a new plan means for a run: other rules for its end, or its verdict, if it has one, is void."""
    stale = run.launch != plan.launch
    if not stale and run.fault is None and run.asked_at is None:
        run.stop = plan.stop
    if changed:
        run.joins = False
    if changed and run.verdict is not None and (stale or run.verdict.to is not State.EXITED):
        run.verdict = Verdict(State.STOPPED)


def normal(restart: Restart, fact: Exited) -> bool:
    """Whether an end counts as success."""
    if fact.signal is not None:
        return fact.signal in restart.success_signals
    return fact.exit_code in restart.success_codes
