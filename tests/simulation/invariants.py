"""What must be true after every step, and what a settled site looks like. Reads the books and changes only waits."""

from __future__ import annotations

from collections.abc import Mapping
from signal import SIGKILL
from typing import Any, Protocol

from procman.policy.events import Event, State, TimePassed, WorkerId
from tests.simulation.books import GroupBook, Run, goes_on
from tests.simulation.pulse_book import must_run, ready_due
from tests.simulation.site import SLACK, SiteBook
from tests.simulation.violation import need


class Leader(Protocol):
    """What the invariants may see of a process."""

    @property
    def worker(self) -> WorkerId: ...


class Manager(Protocol):
    """What the invariants may see of the manager."""

    exit_code: int | None
    groups: Mapping[str, Any]
    census: Any

    def deadline(self) -> float | None: ...


def check_step(site: SiteBook, manager: Manager, event: Event, live: Mapping[int, Leader]) -> None:
    """Everything that must hold between two turns of the loop."""
    _check_owners(site, manager, live)
    for name, group in site.groups.items():
        _check_group(site, name, group)
        for slot in group.all_slots():
            unsaid = slot.run is not None and must_run(slot, slot.run, event, site.now)
            need(not unsaid, f"{slot.run and slot.run.worker} is ready, and no record says so")
    wrong = site.zygotes.check(site.groups, site.ending.down_at is not None)
    need(wrong is None, str(wrong))
    for name, group in list(site.groups.items()):
        _update(site, group)
        _check_turns(site, name, group, event)
        if group.gone and not group.slots:
            del site.groups[name]
    need(manager.census.strays == site.strays, f"{manager.census.strays} strays, there are {site.strays}")
    _check_end(site, manager)
    _check_deadline(site, manager, event)


def check_settled(site: SiteBook, manager: Manager) -> None:
    """Faults have stopped and nothing is due: is everything as wanted?"""
    assert site.plan is not None, "a site without a plan never settles"
    planned = {group.name: list(range(site.groups[group.name].plan.workers)) for group in site.plan.groups}
    owned = {name: [slot.worker.id.task for slot in group.slots] for name, group in manager.groups.items()}
    need(owned == planned, f"settled with {owned}, wanted {planned}")
    for name, group in site.groups.items():
        need(not group.beside, f"{name}: {list(group.beside)} have two for ever")
        for task, slot in group.slots.items():
            state = slot.state
            fine = state in (State.RUNNING, State.EXITED, State.FAILED) or (
                state is State.STOPPED and (group.unmet or group.gave_up or task in group.held)
            )
            need(fine, f"{name}:{task} is {state} for ever")
            stale = slot.run is not None and slot.run.launch != group.plan.launch and not site.turns[name].halted
            need(not stale, f"{name}:{task} runs with an old plan for ever")


def _check_owners(site: SiteBook, manager: Manager, live: Mapping[int, Leader]) -> None:
    """Live pids are exactly what the manager owns, each by the right worker; only waiting has a deadline."""
    told = {pid: run.worker for pid, run in site.by_pid.items()}
    workers = [worker for group in manager.groups.values() for slot in group.slots for worker in slot.workers]
    owned = {worker.pid: worker.id for worker in workers if worker.pid is not None}
    for worker in workers:
        idle = worker.deadline is None or worker.state in (State.STARTING, State.BACKOFF, State.STOPPING)
        need(idle, f"{worker.id} is {worker.state} and has a deadline")
    need(owned == told, f"the manager owns {owned}, but there are {told}")
    need(all(live[pid].worker == worker for pid, worker in told.items()), f"the world has other pids than {told}")


def _check_group(site: SiteBook, name: str, group: GroupBook) -> None:
    ordered = [other for other in site.groups.values() if not other.gone and name in dict(other.plan.after)]
    held_up = site.ending.down_at is not None and any(other.runs() for other in ordered)
    for task, slot in group.beside.items():
        need(slot.next is None, f"{name}:{task} got a successor and no record says so")
        if slot.run is not None:
            _check_run(site, slot.run, False)
    for task, slot in group.slots.items():
        need(slot.next is None, f"{name}:{task} was spawned and no record says so")
        if slot.run is not None:
            _check_run(site, slot.run, held_up)
            rule, by = group.plan.recycle, slot.run.weighed
            need(not slot.run.aged_again, f"{name}:{task} is old, and never will be again")
            right = slot.state is not State.RUNNING or (by.max_age, by.max_rss) == (rule.max_age, rule.max_rss)
            need(right, f"{name}:{task} is weighed by {by}")
        elif slot.state is State.BACKOFF:
            wanted = site.ending.down_at is None and not group.gone and not group.gave_up and task not in group.held
            need(wanted, f"{name}:{task} waits in vain")
            need(slot.due is not None or group.regroup is not None, f"{name}:{task} waits for nothing")


def _check_run(site: SiteBook, run: Run, held_up: bool) -> None:
    who = run.worker
    need(run.final is None, f"{who} has ended, and no record says so")
    if run.pid is None:
        return
    need(run.end is None or run.hears or run.killed, f"{who} is gone, and what it left was not told to end")
    if site.ending.kill_now and site.ending.down_at is not None:
        need(run.killed, f"{who} is to be killed now and is not")
    elif run.asked_at is None and run.end is None and not held_up:
        need(site.keeps(run), f"{who} should have been told to stop")
    elif held_up and run in site.told:
        group = site.groups[who.group]
        by_hand = who.task in group.held or who.task >= group.plan.workers
        unwanted = by_hand or group.gave_up or group.gone or run.fault or site.turns[who.group].is_due(run)
        need(unwanted, f"{who} is told to stop before its dependents are down")


def _update(site: SiteBook, group: GroupBook) -> None:
    """Whatever a group waits for, and has come true; then nothing of it may stay down that is wanted."""
    resumed = _look_at_dependencies(site, group)
    name = group.plan.name
    for task in sorted(group.slots, reverse=True):
        if (group.gone or task >= group.plan.workers) and group.slots[task].run is None and task not in group.beside:
            del group.slots[task]
        else:
            break
    if group.regroup is not None and not group.runs():
        if all(slot.state is not State.BACKOFF for slot in group.slots.values()):
            group.regroup = None  # whoever waited was scaled away
        elif group.regroup.due is None:
            group.regroup.due = site.now + group.regroup.delay
    if site.ending.down_at is not None or group.gone or group.gave_up:
        return
    begun = [task for task, slot in group.slots.items() if slot.state is not State.STOPPED]
    ended = [task for task, slot in group.slots.items() if slot.state in (State.EXITED, State.FAILED)]
    need(not resumed or not set(ended) - group.held, f"{name} begins anew without {ended}")
    if group.unmet:
        on = [task for task, slot in group.slots.items() if slot.run and slot.run.pid and goes_on(slot.run)]
        need(not on, f"{name}:{on} runs, and still waits for {group.unmet}")
        need(group.suspended or not begun, f"{name} has begun, and still waits for {group.unmet}")
    elif group.regroup is None:
        missing = set(range(group.plan.workers)) - set(begun) - group.held
        need(not missing, f"{name}: nobody starts {missing}")


def _look_at_dependencies(site: SiteBook, group: GroupBook) -> bool:
    """Note what holds now, and what is required and down; whether the group begins anew after it was down for that."""
    down = [name for name in group.plan.requires if name not in site.groups or not site.groups[name].is_up]
    ended = (State.EXITED, State.FAILED)
    has_work = any(
        site.wants(WorkerId(group.plan.name, task, 0)) and slot.state not in ended for task, slot in group.slots.items()
    )
    if not group.unmet and down and has_work:
        group.suspended, group.regroup = True, None
    if group.unmet or group.suspended:
        group.unmet.update([(name, condition) for name, condition in group.plan.after if name in down])
    for name, condition in list(group.unmet.items()):
        if name not in down and name in site.groups and site.groups[name].meets(condition):
            del group.unmet[name]
    if group.unmet or not group.suspended or site.ending.down_at is not None:
        return False
    group.suspended = False
    site.renew(group)
    return True


def _check_turns(site: SiteBook, name: str, group: GroupBook, event: Event) -> None:
    """No more are replaced at once than may be, and nobody waits without a reason; before the first plan none is."""
    turns = site.turns[name]
    if site.ending.down_at is not None or group.gone:
        turns.old.clear()
        turns.busy.clear()
    turns.look(group, lambda task: site.wants(WorkerId(name, task, 0)), site.now)
    turns.take(group, site.now)
    pauses = turns.rest_until > 0.0 and not isinstance(event, TimePassed)
    for run in turns.waiting(group) if not pauses else ():
        need(turns.may_wait(group, site.now), f"{run.worker} is not replaced, and nobody else is")


def _check_deadline(site: SiteBook, manager: Manager, event: Event) -> None:
    """The manager's deadline is the least of all that are known; after it was told of one, it names no past one."""
    known: list[float] = [] if site.ending.limit_at is None else [site.ending.limit_at]
    for group in site.groups.values():
        for slot in group.all_slots():
            if slot.run is not None and slot.run.kill_at is not None and not slot.run.killed:
                known.append(slot.run.drained_at or slot.run.kill_at)
            elif slot.state is State.BACKOFF and slot.due is not None:
                known.append(slot.due)
            elif (due := ready_due(slot)) is not None:
                known.append(due)
        if group.regroup is not None and group.regroup.due is not None:
            known.append(group.regroup.due)
        if (due := site.turns[group.plan.name].due(group)) is not None:
            known.append(due)
    known += site.helpers_due + ([] if site.ending.until is None else [site.ending.until])
    if site.trial.plan is not None and not site.ending.begun:
        known.append(site.trial.until)
    named, expected = manager.deadline(), min(known, default=None)
    if manager.exit_code is not None:
        return
    if named is None or expected is None:
        need(named == expected, f"the manager's deadline is {named}, the least known one {expected}")
        return
    need(abs(named - expected) < SLACK, f"the manager's deadline is {named}, the least known one {expected}")
    need(not isinstance(event, TimePassed) or named > site.now, f"the deadline {named} was told, and is named again")


def _check_end(site: SiteBook, manager: Manager) -> None:
    """The site ends when nothing runs, or waits, or can start; and with the right code."""
    slots = [slot for group in site.groups.values() for slot in group.all_slots()]
    if any(slot.run is not None or slot.state is State.BACKOFF for slot in slots):
        code = manager.exit_code
        need(code is site.ending.said is None, f"the site ends with {code}, and not all is down")
        need(not site.ending.drains, "the drain has begun, and not all is down")
        return
    if site.plan is None:
        over = site.ending.owed is not None
    else:
        kept = any(group.kept for group in site.groups.values())
        over = site.ending.begun or not (site.loading or kept)
        if over and site.ending.owed is None:
            blocked = any(group.unmet for group in site.groups.values())
            site.ending.owed = next(iter(site.failures.values()), 10 if blocked else 0)
    if over and site.ending.drained_from is None:
        site.ending.drained_from, site.guard_falls.due, site.pump.falls.due = site.now, None, None
    sent = site.ending.drains
    need(over == bool(sent), f"the drain has sent {sent}, and the site is {'' if over else 'not '}over")
    if over and site.ending.kill_now and not site.ending.drained:
        need(sent[-1][1] == SIGKILL, "who is left is to be killed now and is not")
    expected = site.ending.owed if over and site.ending.drained else None
    need(manager.exit_code == expected, f"exit code {manager.exit_code}, the recount says {expected}")
    need(site.ending.said == expected, f"the log's last line says {site.ending.said}, the recount {expected}")
