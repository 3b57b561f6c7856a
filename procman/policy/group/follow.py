"""A group follows another plan: only what changed moves. It never looks at other groups."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING
from procman.policy.events import State
from procman.policy.group import rollout
from procman.policy.group.edition import why_stale
from procman.policy.group.order import Goal
from procman.policy.step import Step
from procman.policy.worker import recycle
from procman.policy.worker.restart import Fate
from procman.policy.worker.worker import is_up

if TYPE_CHECKING:
    from procman.plan import GroupPlan
    from procman.policy.group.slot import Slot
    from procman.policy.group.supervisor import Supervisor


def follow(group: Supervisor, plan: GroupPlan, step: Step, *, fresh: bool = False) -> None:
    """Take it over, as the operator's wishes leave it. Anything but a new count, or `fresh`, gives a fresh budget."""
    old, group.plan = group.plan, (plan := group.hand.follow(plan))
    changed = fresh or plan != old._replace(workers=plan.workers, auto=plan.auto)
    if changed:
        group.start_over()
    group.runs.follow(old, group)
    if group.goal is Goal.WAIT:
        met = {need for need in old.after if need[0] not in group.waits_for}
        group.waits_for = dict([need for need in plan.after if need not in met])
    for slot in group.slots:
        _follow(group, slot, changed, step)
    group.fill()
    stale = [slot.worker for slot in group.slots if slot.worker.launch != plan.launch and is_up(slot.worker)]
    if changed:  # else a replacement that has halted stays so
        rollout.begin(group, stale, why_stale(stale[0].launch, plan.launch) if stale else "")
    group.pursue(group.goal, "the configuration changed", step)


def _follow(group: Supervisor, slot: Slot, changed: bool, step: Step) -> None:
    """Let a slot that rests, or waits, begin anew where the change gives it a reason to."""
    for worker in slot.workers:
        if worker.launch == group.plan.launch and worker.state is not State.STOPPING:
            worker.stop = group.plan.stop
        recycle.follow(worker, group.plan.recycle, step)
    worker = slot.worker
    stale = worker.launch != group.plan.launch
    if not changed:
        return
    slot.ladder.reset()
    if worker.fate and (worker.fate.to is not State.EXITED or stale):
        worker.fate = Fate(State.STOPPED, "")  # a verdict under the old plan is void
    rests = worker.state in (State.BACKOFF, State.FAILED) or (worker.state is State.EXITED and stale)
    if rests and group.wants(worker):
        worker.start(group.plan, "the configuration changed", step)
