"""What whoever started procman was told, held against the books: ready once all is, stopping from there to the end."""

from __future__ import annotations

from procman.choices import SiteState
from procman.policy.events import Report, State
from tests.simulation.site import SiteBook


class UpwardBook:
    """The states that were told, one after the other."""

    def __init__(self) -> None:
        self.told: list[SiteState] = ["starting"]

    def hear(self, report: Report) -> None:
        """One more was told."""
        if report.state != self.told[-1]:
            self.told.append(report.state)

    def fault(self, site: SiteBook) -> str:
        """What is wrong with it, at the end of a turn; empty if nothing is."""
        last, stops = self.told[-1], site.ending.down_at is not None
        if stops != (last == "stopping") and site.plan is not None and not site.ending.drains:
            return f"the site {'stops' if stops else 'does not stop'}, and it is told {last}"
        if last == "starting" and len(self.told) > 1:
            return f"it starts for a second time: {self.told}"
        if self.told == ["starting", "ready"]:
            self.told.append("ready")  # looked at once, when it was said
            planned = [group for group in site.groups.values() if not group.gone]
            slots = [slot for group in planned for task, slot in group.slots.items() if task < group.plan.workers]
            waiting = [slot.state for slot in slots if slot.state in (State.STARTING, State.BACKOFF)]
            return f"it is told ready, and there are {waiting}" if waiting else ""
        return ""
