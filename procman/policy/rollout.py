"""Replacing the workers of a group one after the other, by its rule: so many at once, with a pause between.

It has the tasks whose workers are to go. A task is done when a later generation of it runs; one that has failed for
good on the way stops the rollout, and those whose turn has not come stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from procman.policy.events import State
from procman.policy.order import Goal
from procman.policy.restart import Fate
from procman.policy.step import Step
from procman.policy.worker import Worker

if TYPE_CHECKING:
    from procman.policy.supervisor import Supervisor


class Rollout:
    """One replacement of a group that is under way."""

    __slots__ = ("_rest_until", "_targets", "_turns", "deadline", "group", "halted", "reason")

    def __init__(self, group: str, reason: str) -> None:
        self.group = group
        self.reason = reason
        self.halted = ""
        """Why it has stopped before its end; empty if it has not."""
        self.deadline: float | None = None
        """When the pause is over for which somebody's turn waits."""
        self._targets: dict[int, int] = {}
        """By task: the last generation that is to go."""
        self._turns: set[int] = set()
        """Those of the tasks whose turn it is."""
        self._rest_until = 0.0

    def want(self, worker: Worker) -> None:
        """Have this worker replaced; if it is itself what came with its task's turn, it waits for another."""
        self._targets[worker.id.task] = worker.id.generation
        self._turns.discard(worker.id.task)

    def awaits(self, task: int) -> int:
        """The first generation of a task that will do; 0 if any will."""
        return self._targets.get(task, -1) + 1

    def advance(self, group: Supervisor, step: Step) -> bool:
        """Note who is done, and give those their turn whose time has come. False once all is done."""
        self.deadline = None
        for task in list(self._targets):
            self._look(group, task, step)
        waiting = [task for task in self._targets if task not in self._turns and self._can_go(group, task)]
        if self.halted or group.regroup:
            return True
        for task in waiting[: max(0, group.plan.update.parallel - len(self._turns))]:
            if step.now < self._rest_until:
                self.deadline = self._rest_until
                step.deadlines.append((self.deadline, self))
                break
            self._turns.add(task)
            worker = group.slots[task].worker
            worker.end(Fate(State.STOPPED, ""), self.reason, step)
            worker.signal(worker.stop.signal, worker.stop.scope, step)
        return bool(self._targets)

    def due(self, group: Supervisor, step: Step) -> None:
        """The pause is over."""
        if group.rollout is self:
            step.moved[self.group] = None

    def _can_go(self, group: Supervisor, task: int) -> bool:
        """Whether its worker is one that can be told to end; else it is on its way already, or has no process yet."""
        worker = group.slots[task].worker
        old = worker.id.generation == self._targets[task]
        return old and worker.state in (State.STARTING, State.RUNNING) and worker.pid is not None

    def _look(self, group: Supervisor, task: int, step: Step) -> None:
        worker = group.slots[task].worker if task < len(group.slots) else None
        if worker is None or not group.wants(worker):
            self._done(task, 0.0, step)
        elif worker.id.generation > self._targets[task]:
            if worker.state in (State.RUNNING, State.EXITED):
                self._done(task, group.plan.update.pause, step)
            elif worker.state is State.FAILED and not self.halted:
                self.halted = f"{worker.id} failed"
                rest = f"; {self.reason}: the others stay as they are"
                step.notice("group.halted", "error", self.halted + rest, group=group.plan.name)

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
