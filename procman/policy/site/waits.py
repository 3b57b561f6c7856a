"""What one client waits for: workers to be up, workers to be down, or the end of the site. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from procman.policy.events import State
from procman.policy.group.supervisor import Supervisor
from procman.policy.site.ending import Phase
from procman.policy.site.probation import Trial
from procman.policy.worker.worker import is_up

Key = tuple[str, int]


class Wait:
    """Which workers, by group and task, are still to come up or to go down."""

    __slots__ = ("_down", "_runs", "_up", "client", "failures", "for_end", "trial")

    def __init__(self, client: int) -> None:
        self.client = client
        self.for_end = False
        """Whether it is the end of the site."""
        self.trial: Trial | None = None
        """The plan that is to prove itself, if one is."""
        self.failures: list[str] = []
        self._up: dict[Key, int] = {}
        """With the first generation that will do: it has run, however briefly."""
        self._down: dict[Key, int] = {}
        """With the last generation that is to be down: one that came after it will do."""
        self._runs: dict[str, int] = {}
        """By group: how many of its runs are to be over."""

    @property
    def is_over(self) -> bool:
        return not (self._up or self._down or self._runs or self.for_end or self.trial)

    @property
    def workers(self) -> tuple[str, ...]:
        """Whom it waits for: `api:0`."""
        return tuple([f"{group}:{task}" for group, task in sorted({*self._up, *self._down})])

    def for_up(self, group: Supervisor, tasks: Collection[int]) -> None:
        """Wait for these to run; called after they were told to."""
        for slot in group.slots:
            worker = slot.worker
            if worker.id.task in tasks:
                first = group.rollout.awaits(worker.id.task) if group.rollout else 0
                self._up[worker.id[:2]] = max(first, worker.id.generation + (not is_up(worker)))

    def for_new(self, group: Supervisor, tasks: Collection[int]) -> None:
        """Wait for these to run the code that is being imported."""
        for slot in group.slots:
            if slot.worker.id.task in tasks:
                self._up[slot.worker.id[:2]] = slot.worker.id.generation + 1

    def for_down(self, group: Supervisor, tasks: Collection[int]) -> None:
        """Wait for these to be down; called after they were told to."""
        for slot in group.slots:
            if slot.worker.id.task in tasks:
                self._down[slot.worker.id[:2]] = slot.worker.id.generation

    def for_runs(self, group: Supervisor, finished: int) -> None:
        """Wait until so many runs of a job are over."""
        self._runs[group.plan.name] = finished

    def look(self, phase: Phase, groups: Mapping[str, Supervisor], touched: set[Key] | None) -> None:
        """Strike out what has come true or cannot any more; only these have changed (None: perhaps all)."""
        if phase is Phase.ENDED:
            self.for_end = False
        if self.trial and (self.trial.overtaken or self.trial.failure is not None):
            back = "; the last good configuration is back" if self.trial.is_lost else ""
            text = self.trial.overtaken or self.trial.failure or ""
            self.failures = [f"{text}{back}"] if text else []
            self.trial = None
            self._up.clear()
            self._down.clear()
        for key in [*self._up] if touched is None else touched & self._up.keys():
            failure = self._why_never_up(key, phase, groups)
            if failure:
                self.failures.append(f"{key[0]}:{key[1]}: {failure}")
            if failure is not None:
                del self._up[key]
        for key in [*self._down] if touched is None else touched & self._down.keys():
            if self._is_down(key, groups):
                del self._down[key]

        for name, finished in [*self._runs.items()]:
            failure = _why_not_run(groups.get(name), finished, phase)
            if failure:
                self.failures.append(f"{name}: {failure}")
            if failure is not None:
                del self._runs[name]

    def _why_never_up(self, key: Key, phase: Phase, groups: Mapping[str, Supervisor]) -> str | None:
        """Why it cannot come up any more; empty if it has, None if it still may."""
        group, task = groups.get(key[0]), key[1]
        if phase is not Phase.RUNNING:
            return "the site is stopping"
        if group is None or task >= group.plan.workers:
            return "no longer wanted"
        worker = group.slots[task].worker
        due = worker.id.generation >= self._up[key]
        if due and worker.state in (State.RUNNING, State.EXITED):
            return ""
        if task in group.hand.held:
            return "stopped by hand meanwhile"
        if due and worker.state is State.FAILED:
            return f"failed: {worker.last.how}" if worker.last else "failed"
        if group.rollout and group.rollout.halted and group.rollout.awaits(task) > worker.id.generation:
            return f"the replacement has stopped: {group.rollout.halted}"
        if group.gave_up and group.failure:
            return f"its group has given up: {group.failure.text}"
        if not due and group.refused and worker.state is State.RUNNING and worker.launch == group.plan.launch:
            return f"runs on with the old code: {group.refused}"
        return f"blocked: {group.blocked}" if group.blocked else None

    def _is_down(self, key: Key, groups: Mapping[str, Supervisor]) -> bool:
        group = groups.get(key[0])
        if group is None or key[1] >= len(group.slots):
            return True
        slot = group.slots[key[1]]
        return not slot.is_live or slot.worker.id.generation > self._down[key]


def _why_not_run(group: Supervisor | None, finished: int, phase: Phase) -> str | None:
    """What became of a run: how it failed, or why it never ends; empty if all is well, None if it goes on."""
    if group is None:
        return "no longer wanted"
    if group.runs.finished >= finished:
        last = next((slot.worker.last for slot in group.slots if slot.worker.state is not State.EXITED), None)
        return group.failure.text if group.failure else f"stopped: {last.how}" if last else ""
    if phase is not Phase.RUNNING:
        return "the site is stopping"
    return f"blocked: {group.blocked}" if group.blocked else None
