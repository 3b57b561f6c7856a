"""The operator's requests: what is done, what cannot be done, and when what was wanted has come true.

It answers with values, as all of the policy does; who is meant is in `selection.py`, what happens to a group in
`hand.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from procman import words
from procman.lean import Protocol, assert_never
from procman.plan import Plan
from procman.policy.events import Event, ShutDown, Transition
from procman.policy.events.requests import (
    Accepted,
    Answer,
    Asked,
    Departed,
    Done,
    Down,
    Operate,
    Reload,
    Reply,
    Rollback,
    RunJob,
    RunningPlan,
    Scale,
    SendSignal,
    ShowPlan,
    ShowStatus,
)
from procman.policy.group import hand
from procman.policy.group.supervisor import Supervisor
from procman.policy.helpers.losses import Losses
from procman.policy.helpers.zygotes import Zygotes
from procman.policy.site.census import Census
from procman.policy.site.ending import Phase
from procman.policy.site.selection import Meant, RefusedError, counted, group_named, meant_by
from procman.policy.site.snapshot import snapshot
from procman.policy.site.waits import Wait
from procman.policy.step import Step

MOST_WORKERS = 100_000
"""Of a group; more is a slip of the finger."""


class Site(Protocol):
    """What the operator may see of the manager."""

    phase: Phase
    plan: Plan | None
    digest: str
    groups: dict[str, Supervisor]
    census: Census
    zygotes: Zygotes
    losses: Losses

    def reload(self, asked: Asked, step: Step) -> None: ...
    def roll_back(self, wait: Wait, step: Step) -> Accepted: ...


class Operator:
    """The clients that ask, and those that still wait."""

    __slots__ = ("_waits",)

    def __init__(self) -> None:
        self._waits: list[Wait] = []

    def hear(self, event: Asked | Departed, site: Site, step: Step) -> ShutDown | None:
        """Do what is asked and answer; the end of the site, if that is asked for, is the manager's to begin."""
        if isinstance(event, Departed):
            self._waits = [wait for wait in self._waits if wait.client != event.client]
            return None
        client, request, _ = event
        wait = Wait(client)
        try:
            reply = self._do(event, site, wait, step)
        except RefusedError as error:
            reply = error.refused
        if not isinstance(reply, Accepted):
            step.actions += [Answer(client, reply)] if reply else []
            return None
        self.promise(event, reply, wait, step)
        ends = isinstance(request, Down) and (request.now or site.phase in (Phase.LOADING, Phase.RUNNING))
        return ShutDown("procman down", now=request.now) if isinstance(request, Down) and ends else None

    def promise(self, asked: Asked, accepted: Accepted, wait: Wait, step: Step) -> None:
        """Tell a client that it is under way and, when it has come true, that it is done."""
        step.actions.append(Answer(asked.client, accepted))
        if asked.wait:
            self._waits.append(wait)
        else:
            step.actions.append(Answer(asked.client, Done()))

    def tell(self, event: Event, site: Site, step: Step) -> None:
        """Answer those whose wish has come true, or cannot any more."""
        if not self._waits:
            return
        touched = {record.worker[:2] for record in step.records if isinstance(record, Transition)}
        quiet = all(isinstance(record, Transition) for record in step.records) and not isinstance(event, Asked)
        for wait in self._waits:
            wait.look(site.phase, site.groups, touched if quiet else None)
            if wait.is_over:
                step.actions.append(Answer(wait.client, Done(tuple(wait.failures))))
        self._waits = [wait for wait in self._waits if not wait.is_over]

    def _do(self, asked: Asked, site: Site, wait: Wait, step: Step) -> Reply | None:
        """The answer, None if it comes later; what is to be waited for is noted in `wait`.

        Raises RefusedError, and then nothing is done.
        """
        request = asked.request
        match request:
            case Reload():
                site.reload(asked, step)
                return None
            case ShowStatus():
                return snapshot(site, step.now)
            case ShowPlan():
                if site.plan is None:
                    raise RefusedError("the site is starting")
                return RunningPlan(site.digest, site.plan)
            case Down():
                wait.for_end = True
                return Accepted(())
        groups = _groups(site)
        match request:
            case Rollback():
                return site.roll_back(wait, step)
            case Operate(verb, targets):
                return _operate(site, verb, meant_by(groups, targets, verb), wait, step)
            case RunJob(name):
                return _run(group_named(groups, name), wait, step)
            case Scale(name, workers):
                return _scale(site, groups, name, workers, wait, step)
            case SendSignal():
                return _send(groups, request, step)
            case _:
                assert_never(request)


def _operate(site: Site, verb: str, meant: Meant, wait: Wait, step: Step) -> Accepted:
    assert site.plan is not None, "there are groups"
    plans, groups = {plan.name: plan for plan in site.plan.groups}, site.groups
    for name, (tasks, whole) in meant.items():
        group = groups[name]
        match verb:
            case "start":
                hand.start(group, tasks, step, whole=whole)
            case "restart" if whole and site.zygotes.renew(plans[name], group, step):
                hand.start(group, tasks, step, whole=True, reason="restarted by hand")
                wait.for_new(group, tasks)
                continue
            case "restart":
                hand.restart(group, tasks, step, whole=whole)
            case _:
                hand.stop(group, tasks, step)
        (wait.for_down if verb == "stop" else wait.for_up)(group, tasks)
    return Accepted(_names(meant), "; ".join(filter(None, (_waiting(groups[name]) for name in meant))))


def _run(group: Supervisor, wait: Wait, step: Step) -> Accepted:
    name, runs = group.plan.name, group.runs
    if group.plan.kind != "job":
        raise RefusedError(f"{name} is no job but a service", f"start it: procman start {name}")
    if not group.plan.workers:
        raise RefusedError(f"{name} has no workers", "enable it, or scale it up")
    before = runs.finished
    fared = runs.call(group, "run by hand", step)
    if fared == "skipped":
        raise RefusedError(f"{name} is running", 'wait for it, or see `overlap` in its options: "queue", "kill"')
    wait.for_runs(group, before + (2 if fared == "queued" else 1))
    note = f"{name} is running: this run is next" if fared == "queued" else _waiting(group)
    return Accepted(tuple(f"{name}:{task}" for task in range(group.plan.workers)), note)


def _scale(site: Site, groups: Mapping[str, Supervisor], name: str, workers: int, wait: Wait, step: Step) -> Accepted:
    group = group_named(groups, name)
    if not 0 <= workers <= MOST_WORKERS:
        raise RefusedError(f"{name} cannot have {workers} workers", f"a number from 0 to {MOST_WORKERS}")
    if site.plan is not None and site.plan.exit_code_from == name and workers > 1:
        raise RefusedError(f"{name} cannot have {workers} workers", "the site's exit code comes from it: it has one")
    before = group.plan.workers
    hand.scale(group, workers, step)
    note = f"{name}: {counted(workers)} (file: {group.hand.file_workers})"
    if workers != before:
        step.notice("group.scaled", "info", note, group=name, workers=workers, file_workers=group.hand.file_workers)
    if group.runs.on or not group.plan.rests:  # what rests has them when its time comes
        wait.for_up(group, frozenset(range(before, workers)))
    wait.for_down(group, frozenset(range(workers, before)))
    moved = range(min(before, workers), max(before, workers))
    return Accepted(tuple(f"{name}:{task}" for task in moved), note if workers != group.hand.file_workers else "")


def _send(groups: Mapping[str, Supervisor], request: SendSignal, step: Step) -> Accepted:
    meant = meant_by(groups, request.targets, "signal")
    for target in request.targets:
        group, (tasks, _) = groups[target.group], meant[target.group]
        chosen = tasks if target.task is None else {target.task}
        if not any(hand.has_leader(slot.worker) for slot in group.slots if slot.worker.id.task in chosen):
            raise RefusedError(f"{target} is not running", "see `procman status`")
    told = [
        worker
        for name, (tasks, _) in meant.items()
        for worker in hand.send(groups[name], tasks, request.signal, request.scope, step)
    ]
    names = tuple(str(worker.id) for worker in told)
    signal = words.signal_name(request.signal)
    for name in meant:
        whom = [str(worker.id) for worker in told if worker.id.group == name]
        step.notice("group.signalled", "info", f"{signal} to {', '.join(whom)}", group=name, signal=signal)
    return Accepted(names)


def _groups(site: Site) -> dict[str, Supervisor]:
    """The groups that an operator may move: those of the plan, while it runs. Raises RefusedError where it does not."""
    if site.plan is None or site.phase is not Phase.RUNNING:
        raise RefusedError("the site is starting" if site.phase is Phase.LOADING else "the site is stopping")
    return {group.name: site.groups[group.name] for group in site.plan.groups}


def _names(meant: Meant) -> tuple[str, ...]:
    return tuple(f"{name}:{task}" for name, (tasks, _) in meant.items() for task in sorted(tasks))


def _waiting(group: Supervisor) -> str:
    return f"{group.plan.name} waits for {', '.join(group.waits_for)}" if group.waits_for else ""
