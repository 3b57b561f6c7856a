"""The recount of what an operator wants: what it means for the groups' books, and whether everybody is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from procman.policy.events import Action, Event, Signal, State
from procman.policy.events.requests import (
    Accepted,
    Answer,
    Asked,
    Departed,
    Done,
    Operate,
    Refused,
    Rejected,
    Reload,
    Request,
    RunningPlan,
    Scale,
    Selector,
    SendSignal,
    ShowPlan,
    ShowStatus,
    SiteStatus,
)
from tests.simulation.books import GroupBook, Verdict

MOST_WORKERS = 100_000

Key = tuple[str, int]

_SHOWN: dict[type, type] = {ShowStatus: SiteStatus, ShowPlan: RunningPlan}
"""What is answered to who only wants to see something."""


class OperatorBook:
    """What was asked for in this step, and who waits."""

    def __init__(self) -> None:
        self.waiting: set[int] = set()
        """Clients to whom `Done` is owed."""
        self._loads: list[dict[int, bool]] = []
        """For each load that is to come, the clients that are answered by it, and whether they want a reset."""
        self.begin()

    def begin(self) -> None:
        """A new step."""
        self.started: set[Key] = set()
        """Tasks that were started by hand."""
        self.restarted: set[Key] = set()
        self.refused = False
        self._answered: dict[int, type] = {}
        """The clients that wait for a load that has come now, and what they are told."""
        self._sending: tuple[SendSignal, set[Key]] | None = None

    def reload(self, client: int, reset: bool, *, again: bool) -> None:
        """A client waits for the next load that begins."""
        while len(self._loads) < 1 + again:
            self._loads.append({})
        self._loads[-1][client] = reset

    def loaded(self, good: bool) -> bool:
        """A load has come: whether hands are to be forgotten."""
        asked = self._loads.pop(0) if self._loads else {}
        self._answered = dict.fromkeys(asked, Accepted if good else Rejected)
        return good and any(asked.values())

    def hear(
        self, request: Request, groups: Mapping[str, GroupBook], alone: str | None, renews: Callable[[str], bool]
    ) -> list[str]:
        """Note what it means for these groups, of which one may be `alone`; those that are well again by it.

        `renews` says of a group that is restarted whole whether it waits for new code.
        """
        match request:
            case Scale(name, workers):
                many = name == alone and workers > 1
                self.refused = name not in groups or not 0 <= workers <= MOST_WORKERS or many
                if not self.refused:
                    _scale(groups[name], workers)
            case Operate(verb, targets):
                single = verb != "stop"
                self.refused = not all(_can_be_meant(groups, target, single) for target in targets)
                if not self.refused:
                    return self._operate(verb, _meant(groups, targets), groups, renews)
            case SendSignal(_, targets):
                meant = [_tasks(groups, target) for target in targets if _can_be_meant(groups, target, False)]
                self.refused = len(meant) < len(targets) or not all(map(_hears(groups), meant))
                if not self.refused:
                    self._sending = request, set().union(*meant)
        return []

    def sends(self, action: Signal) -> bool:
        """Whether this signal is what an operator sends."""
        if self._sending is None:
            return False
        request, keys = self._sending
        same = (action.signal, action.scope) == (request.signal, request.scope)
        return same and action.worker[:2] in keys

    def check(self, event: Event, actions: Sequence[Action]) -> None:
        """Who asks is answered at once, and who waits gets one last answer."""
        replies = [action for action in actions if isinstance(action, Answer)]
        if isinstance(event, Departed):
            self.waiting.discard(event.client)
            for load in self._loads:
                load.pop(event.client, None)
        for client, kind in self._answered.items():
            reply = next((action.reply for action in replies if action.client == client), None)
            assert isinstance(reply, kind | Refused), f"{reply} to {client}, who waits for a load"
            if isinstance(reply, Accepted):
                self.waiting.add(client)
        if isinstance(event, Asked) and isinstance(event.request, Reload) and not self.refused:
            assert not [reply for client, reply in replies if client == event.client], "answered before it is read"
        elif isinstance(event, Asked):
            first = next((action.reply for action in replies if action.client == event.client), None)
            expected = Refused if self.refused else _SHOWN.get(type(event.request), Accepted)
            assert isinstance(first, expected), f"{event} is answered {first}"
            if isinstance(first, Accepted):
                self.waiting.add(event.client)
        for action in replies:
            if isinstance(action.reply, Refused):
                for load in self._loads:
                    load.pop(action.client, None)
            if isinstance(action.reply, Done):
                assert action.client in self.waiting, f"{action}, and nobody waits"
                self.waiting.remove(action.client)
        waits = isinstance(event, Asked) and (event.wait or event.client not in self.waiting)
        assert waits or not isinstance(event, Asked), f"{event} is to be answered at once"

    def _operate(
        self,
        verb: str,
        meant: dict[str, tuple[set[int], bool]],
        groups: Mapping[str, GroupBook],
        renews: Callable[[str], bool],
    ) -> list[str]:
        well = []
        for name, (tasks, whole) in meant.items():
            group, keys = groups[name], {(name, task) for task in tasks}
            if verb == "stop":
                group.held |= tasks
                continue
            self.started |= keys
            if verb == "restart" and not (whole and renews(name)):
                self.restarted |= keys
            if start(group, tasks, whole):
                well.append(name)
        return well


def start(group: GroupBook, tasks: set[int], whole: bool) -> bool:
    """Whether no failure for good is left of the group."""
    group.held -= tasks
    if whole:
        group.restarts.clear()
        group.gave_up, group.failed_with, group.regroup = False, None, None
    failed = False
    for task, slot in group.slots.items():
        if task in tasks:
            slot.streak = 0 if whole else slot.streak
            if slot.run is not None:
                slot.run.joins = False
                if slot.run.verdict is not None or slot.run.fault is not None:
                    slot.run.verdict, slot.run.fault = Verdict(State.STOPPED), None
        else:
            verdict = None if slot.run is None else slot.run.verdict
            failed = failed or slot.state is State.FAILED or (verdict is not None and verdict.to is State.FAILED)
    return whole or not failed


def _scale(group: GroupBook, workers: int) -> None:
    group.scaled = None if workers == group.file_workers else workers
    group.held &= set(range(workers))
    group.plan = group.plan._replace(workers=workers)


def _can_be_meant(groups: Mapping[str, GroupBook], target: Selector, alone: bool) -> bool:
    """Whether there is such a group, or worker; and whether it can be started alone, if that is asked."""
    group = groups.get(target.group)
    if group is None or target.task is None:
        return group is not None
    busy = group.gave_up or group.regroup is not None
    return target.task < group.plan.workers and not (alone and busy)


def _tasks(groups: Mapping[str, GroupBook], target: Selector) -> set[Key]:
    tasks = range(groups[target.group].plan.workers) if target.task is None else [target.task]
    return {(target.group, task) for task in tasks}


def _meant(groups: Mapping[str, GroupBook], targets: Sequence[Selector]) -> dict[str, tuple[set[int], bool]]:
    meant: dict[str, tuple[set[int], bool]] = {}
    for target in targets:
        tasks, whole = meant.get(target.group, (set(), False))
        new = {task for _, task in _tasks(groups, target)}
        meant[target.group] = tasks | new, whole or target.task is None
    return meant


class _hears:  # noqa: N801 - a function with a memory
    """Whether one of these tasks has a leader that can hear a signal."""

    def __init__(self, groups: Mapping[str, GroupBook]) -> None:
        self._groups = groups

    def __call__(self, keys: set[Key]) -> bool:
        slots = [self._groups[name].slots.get(task) for name, task in keys]
        runs = [slot.run for slot in slots if slot is not None and slot.run is not None]
        return any(run.pid is not None and run.end is None and run.error is None for run in runs)
