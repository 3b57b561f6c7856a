"""The deadlines of workers, runs and replacements, least first. An entry counts while it is its owner's deadline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

from procman.policy.group.rollout import Rollout
from procman.policy.group.runs import Runs
from procman.policy.group.supervisor import Supervisor
from procman.policy.step import Step
from procman.policy.worker.worker import Worker

Owner = Worker | Runs | Rollout


class Deadlines:
    """A heap in which deadlines that were overtaken stay until they come to the top."""

    __slots__ = ("_heap", "_pushed")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Owner]] = []
        self._pushed = 0

    def push(self, deadline: float, owner: Owner) -> None:
        """Add the deadline that was just set for an owner, in seconds of the manager's clock."""
        self._pushed += 1  # breaks ties, since owners have no order
        heappush(self._heap, (deadline, self._pushed, owner))

    def least(self) -> float | None:
        """The next deadline; None if nobody has one."""
        heap = self._heap
        while heap and heap[0][2].deadline != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now: float) -> Iterator[Owner]:
        """Those whose deadline has come, each taken out before it is given."""
        while self._heap and self._heap[0][0] <= now:
            deadline, _, owner = heappop(self._heap)
            if owner.deadline == deadline:
                yield owner


def tell_due(deadlines: Deadlines, groups: Mapping[str, Supervisor], step: Step) -> None:
    """Tell all whose deadline has come; what is of a group that is gone is nobody's."""
    for owner in deadlines.pop_due(step.now):
        if isinstance(owner, Worker):
            groups[owner.id.group].due(owner, step)
        elif (group := groups.get(owner.group)) and owner in (group.runs, group.rollout):
            owner.due(group, step)
