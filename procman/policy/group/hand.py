"""By hand: what an operator changes about one group, and how its workers follow.

What was changed outlives a reload, unless that changes how many workers the group is to have. Who may ask for what is
`operator.py`'s business; here it is done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from procman.lean import TYPE_CHECKING
from procman.plan import GroupPlan
from procman.policy.events import Signal, State
from procman.policy.group.order import Goal
from procman.policy.group.rollout import begin
from procman.policy.step import Step
from procman.policy.worker.restart import Fate
from procman.policy.worker.worker import LIVE, Worker, is_up

if TYPE_CHECKING:
    from procman.choices import Scope
    from procman.policy.group.supervisor import Supervisor


class Hand:
    """What an operator wants of a group, beside its plan."""

    __slots__ = ("_auto", "file_workers", "held", "scaled")

    def __init__(self, plan: GroupPlan) -> None:
        self.file_workers, self._auto = plan.workers, plan.auto
        """How many the configuration says."""
        self.scaled: int | None = None
        """How many an operator says; None: the configuration's."""
        self.held: set[int] = set()
        """The tasks that were stopped by hand."""

    def follow(self, plan: GroupPlan) -> GroupPlan:
        """The plan as the operator's wishes leave it; a plan with another number of workers ends them."""
        if (plan.workers, plan.auto) != (self.file_workers, self._auto):
            self.forget()
        self.file_workers, self._auto = plan.workers, plan.auto
        return plan if self.scaled is None else plan._replace(workers=self.scaled)

    def forget(self) -> None:
        """Want no more than the plan does."""
        self.scaled = None
        self.held.clear()


def keeps_up(group: Supervisor) -> bool:
    """Whether the site lives on for this group although nothing of it can start by itself: it may still be called."""
    if group.goal not in (Goal.WAIT, Goal.RUN) or group.gave_up:
        return False
    return group.hand.scaled == 0 or bool(group.hand.held) or (group.plan.rests and not group.blocked)


def start(
    group: Supervisor, tasks: Collection[int], step: Step, *, whole: bool, reason: str = "started by hand"
) -> None:
    """Have these tasks run. A whole group begins with a fresh budget and no backoff."""
    group.hand.held.difference_update(tasks)
    group.runs.on, group.runs.expired = True, False
    if whole:
        group.start_over()
    for worker in _workers(group, tasks):
        if whole:
            group.slots[worker.id.task].ladder.reset()
        if worker.fate or worker.pulse.fault:
            worker.fate, worker.pulse.fault = Fate(State.STOPPED, ""), None  # what was to become of it is overruled
        if worker.state in (State.BACKOFF, State.EXITED, State.FAILED) and group.wants(worker):
            worker.start(group.plan, reason, step)
    if group.failure and not any(_has_failed(slot.worker) for slot in group.slots):
        group.failure = None
    group.pursue(group.goal, reason, step)


def restart(
    group: Supervisor, tasks: Collection[int], step: Step, *, whole: bool, reason: str = "restarted by hand"
) -> None:
    """Have these tasks run anew: those that run are replaced by the group's rule; one without a pid is new as it is."""
    begin(group, [worker for worker in _workers(group, tasks) if is_up(worker) and worker.pid is not None], reason)
    start(group, tasks, step, whole=whole, reason=reason)


def refresh(group: Supervisor, step: Step) -> None:
    """Have all run anew but those that an operator has stopped: the files that they were made of have changed."""
    if group.runs.on or not group.plan.rests:
        tasks = frozenset(range(group.plan.workers)) - group.hand.held
        restart(group, tasks, step, whole=True, reason="its files changed")


def stop(group: Supervisor, tasks: Collection[int], step: Step) -> None:
    """Have these tasks down, and keep them there until an operator starts them."""
    group.hand.held.update(tasks)
    group.pursue(group.goal, "stopped by hand", step)


def scale(group: Supervisor, workers: int, step: Step) -> None:
    """Run so many; those kept are not touched, and the budget is what it was."""
    hand = group.hand
    hand.scaled = None if workers == hand.file_workers else workers
    hand.held.intersection_update(range(workers))
    group.plan = group.plan._replace(workers=workers)
    group.fill()
    group.pursue(group.goal, "scaled by hand", step)


def send(group: Supervisor, tasks: Collection[int], number: int, scope: Scope, step: Step) -> list[Worker]:
    """Send a signal to those of these tasks that have a process: whom it was sent to."""
    hearing = [worker for worker in _workers(group, tasks) if has_leader(worker)]
    for worker in hearing:
        assert worker.pid is not None, f"{worker.id} has a leader without a pid"
        step.actions.append(Signal(worker.id, worker.pid, number, scope))
    return hearing


def has_leader(worker: Worker) -> bool:
    """Whether its leader can hear a signal: there is one, and it is not reaped."""
    return worker.pid is not None and worker.state in LIVE and worker.result is None and worker.error is None


def _workers(group: Supervisor, tasks: Collection[int]) -> Iterator[Worker]:
    return (slot.worker for slot in group.slots if slot.worker.id.task in tasks)


def _has_failed(worker: Worker) -> bool:
    return worker.state is State.FAILED or (worker.fate is not None and worker.fate.to is State.FAILED)
