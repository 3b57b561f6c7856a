"""The recount of replacements: whose turn it is, who waits for his, and what stops them. Told without the policy."""

from __future__ import annotations

from collections.abc import Callable

from procman.policy.events import State
from tests.simulation.books import GroupBook, Run

SLACK = 1e-9
Wants = Callable[[int], bool]


class Turns:
    """The replacement of one group that is under way."""

    def __init__(self) -> None:
        self.old: dict[int, int] = {}
        """By task: the last generation that is to go."""
        self.busy: set[int] = set()
        self.taken: list[Run] = []
        """Those whose turn began in this step, and who were told to end, or got a successor."""
        self.rest_until = 0.0
        self.halted = False

    def want(self, runs: list[Run]) -> None:
        """These are to be replaced."""
        if runs:
            self.halted = False
        for run in runs:
            self.old[run.worker.task] = run.worker.generation
            self.busy.discard(run.worker.task)

    def is_due(self, run: Run) -> bool:
        """Whether this run is to go, at its turn."""
        return self.old.get(run.worker.task) == run.worker.generation

    def look(self, group: GroupBook, wants: Wants, now: float) -> None:
        """After a step: who is done?"""
        for task, generation in list(self.old.items()):
            slot = group.slots.get(task)
            if slot is None or not wants(task):
                self._done(task, now)
            elif task in group.beside:
                self._look_beside(group, task)
            elif slot.run is not None and slot.run.worker.generation > generation:
                if slot.state is State.RUNNING:
                    self._done(task, now + group.plan.update.pause)
            elif slot.last > generation and slot.state is State.EXITED:
                self._done(task, now + group.plan.update.pause)
            elif slot.last > generation and slot.state is State.FAILED:
                self.halted = True
        if not self.old:
            self.rest_until = 0.0

    def _look_beside(self, group: GroupBook, task: int) -> None:
        """A successor with an old command has lost its turn."""
        old, new = group.slots[task].run, group.beside[task].run
        follows = old is not None and new is not None and new.worker.generation > old.worker.generation
        if follows and new is not None and new.launch != group.plan.launch:
            self.busy.discard(task)

    def _done(self, task: int, rest_until: float) -> None:
        del self.old[task]
        if task in self.busy:
            self.busy.remove(task)
            self.rest_until = max(self.rest_until, rest_until)

    def take(self, group: GroupBook, now: float) -> None:
        """Those that were told to end in this step: whether it was their turn."""
        for run in self.taken:
            assert not self.may_wait(group, now), f"{run.worker} is replaced before its turn"
            self.busy.add(run.worker.task)
        self.taken.clear()

    def waiting(self, group: GroupBook) -> list[Run]:
        """Those that could be told to end, and are not."""
        runs = [slot.run for slot in group.slots.values() if slot.run is not None and slot.run.asked_at is None]
        there = [run for run in runs if run.pid is not None and run.end is None and run.error is None]
        return [run for run in there if self.is_due(run) and run.worker.task not in group.beside]

    def may_wait(self, group: GroupBook, now: float) -> bool:
        """Whether those that wait do so with reason."""
        full = len(self.busy) >= group.plan.update.parallel
        return full or self.halted or now < self.rest_until - SLACK or group.regroup is not None

    def due(self, group: GroupBook) -> float | None:
        """When the pause is over for which somebody waits; None if nobody does."""
        full = len(self.busy) >= group.plan.update.parallel
        idle = self.halted or full or group.regroup is not None or not self.waiting(group)
        return None if idle or self.rest_until == 0.0 else self.rest_until
