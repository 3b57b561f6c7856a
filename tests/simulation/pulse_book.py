"""The recount of readiness and health: what a fact means for a run, told without the policy."""

from __future__ import annotations

from procman.policy.events import Checked, Execed, Extended, Ready, Said, State, TimePassed, Unready
from tests.simulation.books import Run, SlotBook

SLACK = 1e-9
NEVER_READY, UNHEALTHY = 12, 11
"""procman's own exit codes, if that was the last word."""


Felt = Execed | Ready | Unready | Checked | Said | Extended


def feel(slot: SlotBook, run: Run, fact: Felt, now: float) -> None:
    """A fact about this run, which fills the slot."""
    match fact:
        case Execed():
            run.begun = True
        case Ready():
            run.begun = True
            slot.unready = False
        case Unready():
            if slot.state is State.STARTING:
                run.fault = NEVER_READY
            slot.unready = slot.state is State.RUNNING
        case Checked(_, well):
            if slot.state is State.RUNNING and not run.leaving:
                _checked(slot, run, well)
        case Said():
            run.leaving = fact.doing == "stopping"
        case Extended():
            if slot.state is State.STARTING and run.ready is not None:
                run.until = max(run.until, now + fact.by)
            elif slot.state is State.STOPPING and run.kill_at is not None and run.drained_at is None:
                run.kill_at = max(run.kill_at, now + fact.by)


def _checked(slot: SlotBook, run: Run, well: bool) -> None:
    assert run.health is not None, f"{run.worker} is checked, and has no rule"
    run.sick = 0 if well else run.sick + 1
    too_often = run.sick >= run.health.failures
    if run.health.on_failure == "ignore":
        slot.unready = (slot.unready or too_often) and not well
    elif too_often:
        run.fault = UNHEALTHY


def look(slot: SlotBook, now: float) -> None:
    """Time has passed: perhaps this one is not ready in time."""
    run = slot.run
    if run is not None and run.ready is not None and run.ready.by != "delay":
        due = ready_due(slot)
        if due is not None and now >= due - SLACK:
            run.fault = NEVER_READY


def ready_due(slot: SlotBook) -> float | None:
    """When this slot's worker is to be ready, or is by then; None if nothing is due."""
    run = slot.run
    if run is None or run.ready is None or not run.begun or slot.state is not State.STARTING:
        return None
    if run.ready.by == "delay":
        return run.spawned_at + run.ready.delay
    return max(run.spawned_at + run.ready.timeout, run.until)


def may_run(run: Run, event: object, now: float) -> bool:
    """Whether what has just happened is what makes this run ready."""
    if run.ready is None:
        return isinstance(event, Execed) and event.worker == run.worker
    if run.ready.by == "delay":
        return isinstance(event, TimePassed) and now >= run.spawned_at + run.ready.delay - SLACK
    return isinstance(event, Ready) and event.worker == run.worker


def must_run(slot: SlotBook, run: Run, event: object, now: float) -> bool:
    """Whether this run is ready, and the slot should say so."""
    return slot.state is State.STARTING and run.begun and run.asked_at is None and may_run(run, event, now)
