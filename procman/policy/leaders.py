"""Whose process is whose: facts that the kernel tells by pid, or by worker, on their way to the right group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from procman.policy import pulse
from procman.policy.census import Census
from procman.policy.events import Checked, Execed, Exited, Forked, Ready, StartFailed, Strays, TreeEnded, Unready
from procman.policy.step import Step
from procman.policy.worker import Slot

if TYPE_CHECKING:
    from procman.policy.supervisor import Supervisor


class Leaders:
    """The slots by the pid of the leader, until nothing of its tree is left."""

    __slots__ = ("_census", "_slots")

    def __init__(self, census: Census) -> None:
        self._census = census
        self._slots: dict[int, Slot] = {}

    def started(self, fact: Forked | Execed | StartFailed, groups: Mapping[str, Supervisor], step: Step) -> None:
        """A spawn goes on, or has failed."""
        group = groups[fact.worker.group]
        slot = group.slots[fact.worker.task]
        assert slot.worker.id == fact.worker, f"{fact} comes too late"
        match fact:
            case Forked():
                self._slots[fact.pid] = slot
                group.forked(slot, fact.pid, step)
            case Execed():
                pulse.begin(slot.worker, step)
            case StartFailed():
                group.start_failed(slot, fact, step)

    def felt(self, fact: Ready | Unready | Checked, groups: Mapping[str, Supervisor], step: Step) -> None:
        """What a check has found; it may come too late, of a worker that is another's predecessor."""
        group, task = groups.get(fact.worker.group), fact.worker.task
        if group and task < len(group.slots) and group.slots[task].worker.id == fact.worker:
            pulse.hear(group.slots[task].worker, fact, step)

    def ended(self, fact: Exited | TreeEnded | Strays, groups: Mapping[str, Supervisor], step: Step) -> None:
        """A leader was reaped, or what it left is gone; or it was nobody that we know."""
        if isinstance(fact, Strays):
            self._census.hear(fact, step)
            return
        slot = self._slots.get(fact.pid)
        if slot is None:
            self._census.orphans += 1
            return
        group = groups[slot.worker.id.group]
        if isinstance(fact, TreeEnded):
            del self._slots[fact.pid]
            group.tree_ended(slot, step)
        else:
            if not fact.leftover:
                del self._slots[fact.pid]
            group.exited(slot, fact, step)
