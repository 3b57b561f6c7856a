"""Which listening sockets are open: those of the plan, of what an operator has scaled, of code that waits for newer."""

from __future__ import annotations

from collections.abc import Iterable

from procman.plan import GroupPlan, Listen, Plan
from procman.policy.events import OpenSockets
from procman.policy.step import Step


class Sockets:
    """What was asked of the kernel last."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: tuple[Listen, ...] = ()

    def follow(self, plan: Plan, groups: Iterable[GroupPlan], step: Step) -> None:
        """Have those of the plan open, and those of what its groups follow now, before anything is started."""
        used = [group for group in groups if group.workers]
        wanted = dict.fromkeys([*plan.sockets, *(one for group in used for one in group.launch.listen)])
        if tuple(wanted) != self._open:
            self._open = tuple(wanted)
            step.actions.insert(0, OpenSockets(self._open))
