"""The recount of zygotes: which code a group may run, and which zygotes there must be for it, told a second time."""

from __future__ import annotations

from typing import NamedTuple

from procman.plan import GroupPlan, Launch
from procman.policy.events import (
    EndHelper,
    HelperEnded,
    HelperFailed,
    HelperReady,
    RunHelper,
    State,
    WorkerId,
    ZygoteOrder,
)
from tests.simulation.books import GroupBook


class Falls:
    """How often a helper has ended, and when it is to be started again."""

    def __init__(self) -> None:
        self.due: float | None = None
        self.began = 0.0
        self._count = 0

    def fell(self, now: float, draw: float) -> None:
        """It has ended: at once after a stable minute, else after a growing delay, it is started again."""
        if now - self.began >= 60.0:
            self._count = 0
        delay = min(30.0, 0.5 * 2.0 ** (self._count - 1)) * (1 + 0.2 * draw) if self._count else 0.0
        self._count += 1
        self.due = now + delay


class Wanted(NamedTuple):
    """A zygote that is to run."""

    order: ZygoteOrder
    falls: Falls


class ZygoteBook:
    """All groups' zygotes."""

    def __init__(self) -> None:
        self.coming: dict[str, Launch] = {}
        """By group: the code that is being imported while other code runs."""
        self.refused: set[str] = set()
        """Groups whose new code could not be imported, until they are to have other code."""
        self.wanted: dict[str, Wanted] = {}
        """By name: those that were started, and not ended."""
        self._failing: set[WorkerId] = set()
        """Those that the kernel tells that they cannot start, since their zygote is no more."""
        self._editions: dict[str, int] = {}

    def admit(self, planned: GroupPlan, group: GroupBook | None) -> GroupPlan:
        """The plan that a group follows from now on."""
        name, launch = planned.name, planned.launch
        self.refused.discard(name)
        if group is not None and not group.gone and bare(group.plan.launch) == launch:
            self.coming.pop(name, None)
            return planned._replace(launch=group.plan.launch)
        if launch.python is None or group is None or all(run.final is not None for run in group.runs()):
            self.coming.pop(name, None)
            return planned._replace(launch=self._edition(name, launch))
        if bare(self.coming.get(name, group.plan.launch)) != launch:
            self.coming[name] = self._edition(name, launch)
        return planned._replace(launch=group.plan.launch)

    def renews(self, planned: GroupPlan, group: GroupBook, down: bool) -> bool:
        """A restart of the whole group by hand: whether it waits for its code to be imported anew."""
        if planned.launch.python is None or not needs(group, down):
            return False
        self.refused.discard(planned.name)
        self.coming[planned.name] = self._edition(planned.name, planned.launch)
        return True

    def ready(self, fact: HelperReady, groups: dict[str, GroupBook]) -> str | None:
        """The group that goes over to its new code by this."""
        for name, launch in self.coming.items():
            if ZygoteOrder(name, launch).name == fact.name:
                group = groups[name]
                group.follow(group.plan._replace(launch=launch, workers=group.file_workers))
                del self.coming[name]
                for order, falls in self.wanted.values():
                    falls.due = falls.due if self._is_for_now(order, groups) else None
                return name
        return None

    def failed(self, fact: HelperFailed) -> None:
        """It cannot import: nobody goes over to anything."""
        failed = {name for name, launch in self.coming.items() if ZygoteOrder(name, launch).name == fact.name}
        self.refused |= failed
        self.coming = {name: launch for name, launch in self.coming.items() if name not in failed}

    def fell(self, fact: HelperEnded, groups: dict[str, GroupBook], now: float) -> None:
        """Somebody has ended it; one whose code nobody is to run any more is not missed."""
        known = self.wanted.get(fact.name)
        if known is not None and self._is_for_now(known.order, groups):
            known.falls.fell(now, fact.draw)

    def _is_for_now(self, order: ZygoteOrder, groups: dict[str, GroupBook]) -> bool:
        return order.launch in (groups[order.group].plan.launch, self.coming.get(order.group))

    def run(self, action: RunHelper, groups: dict[str, GroupBook], now: float) -> str | None:
        """A zygote is started: what is wrong with that."""
        order = action.order
        assert isinstance(order, ZygoteOrder), f"{action} is no zygote"
        if not self._is_for_now(order, groups):
            return "nobody wants its code"
        known = self.wanted.setdefault(action.name, Wanted(order, Falls()))
        again = known.falls.due
        if known.falls.began and (again is None or now < again):
            return "it runs, or is not due"
        known.falls.due, known.falls.began = None, now + 1e-12
        return None

    def end(self, action: EndHelper, groups: dict[str, GroupBook]) -> str | None:
        """A zygote is ended: what is wrong with that. Whoever waits for it fails to start."""
        gone = self.wanted.pop(action.name, None)
        if gone is None:
            return "it is not there"
        runs = groups[gone.order.group].runs() if gone.order.group in groups else []
        self._failing |= {run.worker for run in runs if run.pid is None and run.launch == gone.order.launch}
        return None

    def check(self, groups: dict[str, GroupBook], down: bool) -> str | None:
        """What is wrong after a step."""
        for name, group in groups.items():
            for run in group.runs():
                waits = run.pid is None and run.error is None and run.launch.python is not None
                if waits and run.worker not in self._failing and ZygoteOrder(name, run.launch).name not in self.wanted:
                    return f"{run.worker} waits for a zygote that nobody starts"
            if down or not needs(group, down):
                self.coming.pop(name, None)
        for name, (order, _) in self.wanted.items():
            book = groups.get(order.group)
            if book is None or not needs(book, down):
                return f"{name} runs, and nobody needs it"
            launches = [book.plan.launch, self.coming.get(order.group), *(run.launch for run in book.runs())]
            if order.launch not in launches:
                return f"{name} runs, and its code is gone"
        missing = [name for name, launch in self.coming.items() if ZygoteOrder(name, launch).name not in self.wanted]
        return f"the new code of {missing} is not imported" if missing else None

    def _edition(self, name: str, launch: Launch) -> Launch:
        if launch.python is None:
            return launch
        self._editions[name] = edition = self._editions.get(name, 0) + 1
        return launch._replace(python=launch.python._replace(edition=edition))


def needs(group: GroupBook, down: bool) -> bool:
    """Whether a worker of it lives or waits to start again, and may."""
    if down or group.gave_up or group.plan.workers <= len(group.held) or group.gone:
        return False
    return bool(group.runs()) or any(slot.state is State.BACKOFF for slot in group.slots.values())


def bare(launch: Launch) -> Launch:
    """As the configuration has it."""
    return launch if launch.python is None else launch._replace(python=launch.python._replace(edition=0))
