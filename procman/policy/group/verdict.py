"""The end of a run: what becomes of its slot, once it has been judged and nothing of it is left.

The verdict is taken when the leader ends, and comes true when the rest of its tree is gone. What the policy of restarts
says is in `restart.py`; here it is brought together with what is wanted of the group.
"""

from __future__ import annotations

from procman.lean import TYPE_CHECKING
from procman.policy.events import State
from procman.policy.group import successor
from procman.policy.group.edition import why_stale
from procman.policy.group.order import Goal
from procman.policy.group.regroup import Regroup
from procman.policy.step import Step
from procman.policy.worker.restart import Ending, Fate, describe, farewell, judge
from procman.policy.worker.worker import Last, Worker

if TYPE_CHECKING:
    from procman.policy.group.slot import Slot
    from procman.policy.group.supervisor import Supervisor


def conclude(group: Supervisor, worker: Worker, ending: Ending, leftover: bool, step: Step) -> None:
    """A leader has ended, or never began."""
    slot, verdict = group.slots[worker.id.task], None
    beside = slot.other is worker
    ran = worker.state in (State.STARTING, State.RUNNING)
    if worker.pulse.fault:
        ending, worker.pulse.fault = ending._replace(fault=worker.pulse.fault), None
    how = describe(ending)
    worker.last = Last(how, step.now)
    if ran or ending.fault:
        worker.fate = verdict = _verdict(group, slot, worker, ending, step)
    if leftover and ran:
        worker.end(verdict, f"{how}; ending what it left behind", step)
    if leftover and worker.state is State.STOPPING:
        worker.sweep(step)  # whoever of it has heard none yet
    if not leftover:
        settle(group, worker, how, step)
    if verdict and not beside:
        _take_consequences(group, verdict, worker, step)


def settle(group: Supervisor, worker: Worker, how: str, step: Step) -> None:
    """Nothing of the worker is left: its fate comes true."""
    slot, fate = group.slots[worker.id.task], worker.fate
    assert fate is not None, f"{worker.id}: it ended without a verdict"
    to, retry, deadline = fate.to, fate.retry, None
    if to is State.BACKOFF:
        stays = group.wants(worker) and worker.launch == group.plan.launch
        if not stays or not (retry or group.regroup):
            to, retry = State.STOPPED, None
        elif retry and not group.regroup:
            deadline = step.now + retry.delay_s
    worker.advance(to, fate.reason or how, step, deadline=deadline, retry=retry)
    worker.fate = worker.pid = None
    if slot.other is worker:
        slot.drop()
    elif deadline is not None and deadline <= step.now:
        group.due(worker, step)
    else:
        stale = worker.launch != group.plan.launch
        again = group.rollout.why(worker.id.task) if group.rollout else "wanted again"
        group.move(slot, why_stale(worker.launch, group.plan.launch) if stale else again, step)
    group.tidy(step)


def _verdict(group: Supervisor, slot: Slot, worker: Worker, ending: Ending, step: Step) -> Fate:
    """What becomes of a worker that was not asked to end, or was because it had failed."""
    if slot.other is worker:
        return successor.judge(group, worker, ending, step)
    if not group.wants(worker) or worker.launch != group.plan.launch or successor.comes(group, slot):
        return Fate(State.STOPPED, "")
    if group.regroup:  # all failures until the group is down are one
        return Fate(State.BACKOFF, "")
    fate = judge(group.plan.restart, ending, group.budget, slot.ladder, step.now)
    if fate.failure and step.trial:
        at_once = fate.to is State.FAILED or (ending.fault is not None and fate.failure.kind == "start")
        if step.trial.fails(*worker.id[:2], fate.reason, at_once=at_once):
            return Fate(State.STOPPED, fate.reason)  # and started again by the plan that comes back
    if fate.retry and fate.failure and group.plan.restart.strategy == "one-for-all":
        group.regroup = Regroup(f"{worker.id} failed: all restart for one", fate.retry.delay_s)
        group.regroup.begin([slot.worker for slot in group.slots], step)
    return fate


def _take_consequences(group: Supervisor, verdict: Fate, worker: Worker, step: Step) -> None:
    """What one worker's verdict means for its siblings."""
    if verdict.to is State.FAILED:
        group.failure = group.failure or verdict.failure
        step.moved[worker.id.group] = None  # of itself it may not move any more: what is left of it may be ending
        step.records.append(farewell(worker.id, group.plan.restart, group.budget, verdict.reason))
    if group.gave_up or group.regroup or group.goal is Goal.KILL:
        group.pursue(group.goal, "its group has given up", step)
