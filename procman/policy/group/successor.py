"""Start-first: the successor of a worker starts beside it, and takes its place once it is ready.

The old one runs on until then. It stays if the successor fails, which halts the replacement; if the old one ends by
itself meanwhile, the successor has the place at once, and no third is started. A successor is wanted for as long as
its task has its turn in the replacement; one that has lost it is told to end as soon as it has a process.
"""

from __future__ import annotations

from procman.lean import TYPE_CHECKING
from procman.policy.events import State
from procman.policy.group.order import Goal
from procman.policy.step import Step
from procman.policy.worker.restart import Ending, Fate, describe
from procman.policy.worker.worker import Worker, is_up

if TYPE_CHECKING:
    from procman.policy.group.slot import Slot
    from procman.policy.group.supervisor import Supervisor


def begin(group: Supervisor, slot: Slot, reason: str, step: Step) -> None:
    """The turn of this slot has come: start the successor."""
    old = slot.worker
    assert slot.other is None, f"{old.id}: there is a second one already"
    slot.other = Worker(group.plan, old.id.task, group.tally, group.generations)
    slot.other.start(group.plan, f"{reason}: beside generation {old.id.generation} until it is ready", step)


def comes(group: Supervisor, slot: Slot) -> bool:
    """Whether there is a successor, and it is wanted."""
    new = slot.other
    return new is not None and is_up(new) and _is_wanted(group, new)


def take_over(slot: Slot, reason: str, step: Step) -> None:
    """The successor is ready: it has the place, and the old one ends, never to be started again."""
    slot.swap()
    new, old = slot.workers
    if old.state in (State.STARTING, State.RUNNING):
        old.ask(Fate(State.STOPPED, ""), f"{reason}: generation {new.id.generation} is ready", step)
    else:
        old.fate, old.pulse.fault = Fate(State.STOPPED, ""), None


def promote(slot: Slot, step: Step) -> None:
    """Nothing of the old one is left: the successor has the place as it is."""
    slot.swap()
    slot.drop()
    step.moved[slot.worker.id.group] = None


def tend(group: Supervisor, slot: Slot, reason: str, step: Step) -> None:
    """Whoever is there beside the worker: told to end if nobody wants it any more."""
    other = slot.other
    if other is None:
        return
    runs = other.state in (State.STARTING, State.RUNNING) and other.pid is not None
    if runs and not _is_wanted(group, other):
        end = other.end if group.goal is Goal.KILL else other.ask
        end(Fate(State.STOPPED, ""), reason, step)
    if other.state is State.STOPPING and group.goal is Goal.KILL:
        other.kill(reason, step)


def judge(group: Supervisor, other: Worker, ending: Ending, step: Step) -> Fate:
    """The successor has ended before it was ready: the replacement halts, unless it was not wanted any more."""
    rollout = group.rollout
    if rollout is None or not _is_wanted(group, other):
        return Fate(State.STOPPED, "")
    how = f"{describe(ending)}; generation {group.slots[other.id.task].worker.id.generation} stays"
    if step.trial:
        step.trial.fails(*other.id[:2], how, at_once=True)
    rollout.lose_turn(other.id.task)
    rollout.halt(f"the successor of {other.id} failed: {describe(ending)}", step)
    return Fate(State.FAILED, how)


def _is_wanted(group: Supervisor, other: Worker) -> bool:
    turn = group.rollout is not None and group.rollout.has_turn(other.id.task)
    return turn and group.wants(other) and not group.regroup
