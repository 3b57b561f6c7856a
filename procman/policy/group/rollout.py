"""Replacing the workers of a group one after the other, by its rule: so many at once, with a pause between.

It has the tasks whose workers are to go. A task is done when a later generation of it runs, and nothing else; one that
has failed for good on the way stops the rollout, and those whose turn has not come stay as they are. Stop-first, the
worker whose turn it is ends and another one starts; start-first, the other way round: see `successor.py`.
"""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple
from procman.policy.events import State
from procman.policy.group import successor
from procman.policy.group.order import Goal
from procman.policy.step import Step
from procman.policy.worker.restart import Fate
from procman.policy.worker.worker import Worker

if TYPE_CHECKING:
    from procman.policy.group.slot import Slot
    from procman.policy.group.supervisor import Supervisor


class Target(NamedTuple):
    """Who is to go, of one task."""

    generation: int
    """The last one that is to."""
    reason: str


class Rollout:
    """One replacement of a group that is under way."""

    __slots__ = ("_rest_until", "_targets", "_turns", "deadline", "group", "halted", "reason")

    def __init__(self, group: str, reason: str) -> None:
        self.group = group
        self.reason = reason
        """The latest one."""
        self.halted = ""
        """Why it has stopped before its end; empty if it has not."""
        self.deadline: float | None = None
        """When the pause is over for which somebody's turn waits."""
        self._targets: dict[int, Target] = {}
        """By task."""
        self._turns: set[int] = set()
        """Those of the tasks whose turn it is."""
        self._rest_until = 0.0

    def want(self, worker: Worker) -> None:
        """Have this worker replaced; what has come, or is coming, with its task's turn waits for another."""
        self._targets[worker.id.task] = Target(worker.id.generation, self.reason)
        self._turns.discard(worker.id.task)

    def awaits(self, task: int) -> int:
        """The first generation of a task that will do; 0 if any will."""
        return self._targets[task].generation + 1 if task in self._targets else 0

    def why(self, task: int) -> str:
        """Why a task's worker starts that has just ended."""
        return self._targets[task].reason if task in self._targets else "wanted again"

    def has_turn(self, task: int) -> bool:
        return task in self._turns

    def lose_turn(self, task: int) -> None:
        """Its turn is over, and it is not done: it needs another one."""
        self._turns.discard(task)

    def halt(self, why: str, step: Step) -> None:
        """Give nobody a turn any more; once it is said, it is said."""
        if not self.halted:
            self.halted = why
            rest = f"{why}; {self.reason}: the others stay as they are"
            step.notice("group.halted", "error", rest, group=self.group)

    def advance(self, group: Supervisor, step: Step) -> bool:
        """Note who is done, and give those their turn whose time has come. False once all is done."""
        self.deadline = None
        for task in list(self._targets):
            self._look(group, task, step)
        waiting = [task for task in self._targets if task not in self._turns and self._can_go(group, task)]
        if self.halted or group.regroup:
            return bool(self._targets)
        for task in waiting[: max(0, group.plan.update.parallel - len(self._turns))]:
            if step.now < self._rest_until:
                self.deadline = self._rest_until
                step.deadlines.append((self.deadline, self))
                break
            self._turns.add(task)
            worker = group.slots[task].worker
            if group.plan.update.order == "start-first":
                successor.begin(group, group.slots[task], self._targets[task].reason, step)
                continue
            worker.ask(Fate(State.STOPPED, ""), self._targets[task].reason, step)
        return bool(self._targets)

    def due(self, group: Supervisor, step: Step) -> None:
        """The pause is over."""
        if group.rollout is self:
            step.moved[self.group] = None

    def _can_go(self, group: Supervisor, task: int) -> bool:
        """Whether its worker is one that can be told to end; else it is on its way already, or has no process yet."""
        worker = group.slots[task].worker
        old = worker.id.generation == self._targets[task].generation and group.slots[task].other is None
        return old and worker.state in (State.STARTING, State.RUNNING) and worker.pid is not None

    def _look(self, group: Supervisor, task: int, step: Step) -> None:
        slot = group.slots[task] if task < len(group.slots) else None
        if slot is not None and slot.other is not None:
            self._look_beside(group, slot, step)
        if slot is None or not group.wants(slot.worker):
            self._done(task, 0.0, step)
        elif slot.worker.id.generation > self._targets[task].generation and slot.other is None:
            if slot.worker.state in (State.RUNNING, State.EXITED):
                self._done(task, group.plan.update.pause, step)
            elif slot.worker.state is State.FAILED:
                self.halt(f"{slot.worker.id} failed", step)

    def _look_beside(self, group: Supervisor, slot: Slot, step: Step) -> None:
        """Perhaps a successor is ready, or is not what is wanted any more."""
        assert slot.other is not None, "looked at only if there is one"
        task = slot.worker.id.task
        if slot.other.id.generation > slot.worker.id.generation and slot.other.launch != group.plan.launch:
            self.lose_turn(task)
        if slot.other.state is State.RUNNING and successor.comes(group, slot):
            successor.take_over(slot, self._targets[task].reason, step)
        else:
            successor.tend(group, slot, "overtaken by another replacement", step)

    def _done(self, task: int, pause: float, step: Step) -> None:
        del self._targets[task]
        if task in self._turns:
            self._turns.remove(task)
            self._rest_until = max(self._rest_until, step.now + pause)


def begin(group: Supervisor, workers: list[Worker], reason: str) -> None:
    """Have these workers replaced, besides those that are being replaced already; not those whose start has failed."""
    workers = [worker for worker in workers if worker.error is None]
    if workers:
        rollout = group.rollout or Rollout(group.plan.name, reason)
        rollout.reason, rollout.halted = reason, ""
        for worker in workers:
            rollout.want(worker)
        group.rollout = rollout


def roll(group: Supervisor, step: Step) -> None:
    """Something has changed in the group, or time has passed."""
    rollout = group.rollout
    if rollout is not None and (group.goal is not Goal.RUN or not rollout.advance(group, step)):
        rollout.deadline = group.rollout = None
