"""Who was seen that is no worker: the orphans that were reaped, and the strays. It counts, and ends nobody."""

from __future__ import annotations

from procman.policy.events import Strays
from procman.policy.step import Step


class Census:
    """The numbers."""

    __slots__ = ("_most", "orphans", "strays")

    def __init__(self) -> None:
        self.orphans = 0
        """Children reaped that no worker was the leader of."""
        self.strays = 0
        """Processes that have left their workers' trees without a trace, and are there now."""
        self._most = 0

    def hear(self, fact: Strays, step: Step) -> None:
        """There are so many strays now; that there are more than ever is worth a line."""
        self.strays = fact.processes
        if fact.processes > self._most:
            self._most = fact.processes
            reason = (
                f"left their worker without a trace: {fact.names}; they end with the site (cgroup = true keeps all)"
            )
            step.notice("site.strays", "warning", reason, processes=fact.processes)
