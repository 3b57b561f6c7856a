"""What whoever started procman is told of the site: that it starts, is ready, reads its configuration again, or stops.

It is ready once, when every group is ready, or rests, or can no longer become it: a group that has failed for good must
not keep the rest of the site from counting as started.
"""

from __future__ import annotations

from procman.lean import TYPE_CHECKING
from procman.policy.events import Report, State
from procman.policy.site.ending import Phase
from procman.policy.step import Step

if TYPE_CHECKING:
    from procman.choices import SiteState
    from procman.policy.group.supervisor import Supervisor


class Upward:
    """What was told last, and which groups are not ready."""

    __slots__ = ("_began", "_groups", "_said", "_unready")

    def __init__(self) -> None:
        self._unready: set[str] = set()
        self._groups: set[str] = set()
        self._began = False
        """Whether all were ready once."""
        self._said: Report | None = None

    def take(self, group: Supervisor, planned: bool) -> None:
        """Something has changed in this group."""
        name = group.plan.name
        if not planned:
            self._groups.discard(name)
            self._unready.discard(name)
            return
        self._groups.add(name)
        if _is_settled(group):
            self._unready.discard(name)
        else:
            self._unready.add(name)

    def look(self, phase: Phase, loading: bool, step: Step) -> None:
        """Tell, if there is something new."""
        state: SiteState
        self._began = self._began or (phase is Phase.RUNNING and not self._unready)
        if phase not in (Phase.LOADING, Phase.RUNNING):
            state, status = "stopping", "stopping"
        elif phase is Phase.LOADING:
            state, status = "starting", "reading the configuration"
        else:
            state = "starting" if not self._began else "reloading" if loading else "ready"
            status = f"{len(self._groups) - len(self._unready)} of {len(self._groups)} groups ready"
        if (state, status) != self._said:
            self._said = Report(state, status)
            step.actions.append(self._said)


def _is_settled(group: Supervisor) -> bool:
    """Whether nobody need wait for it."""
    settled = (State.RUNNING, State.EXITED, State.FAILED)
    held = [task for task in group.hand.held if group.slots[task].worker.state is State.STOPPED]
    surplus = [slot for slot in group.slots[group.plan.workers :] if slot.worker.state in settled]
    over = sum(map(group.tally.__getitem__, settled)) + len(held) - len(surplus)
    return over >= group.plan.workers or group.plan.rests or not group.can_act
