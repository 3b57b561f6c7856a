"""Lines of workers that could not be written: the account that `status` shows, and what the log says of it.

The log is told once when a loss begins and once when it is over, however long that takes. Every line that a pump has
dropped is in the account exactly once, but for a pump that is killed: what it had in hand, what waited there to be
written, and what it had dropped within its last second, nobody can count; the streams are marked where that is missing.
"""

from __future__ import annotations

from procman.policy.events import OutputLost
from procman.policy.step import Step


class Losses:
    """By file or stream: so many lines, and so many bytes, since the site was started."""

    __slots__ = ("_going_on", "_totals")

    def __init__(self) -> None:
        self._totals: dict[str, tuple[int, int]] = {}
        self._going_on: set[str] = set()

    def hear(self, fact: OutputLost, step: Step) -> None:
        """There is a loss, or it goes on, or it is over; or all is well, says one that follows a killed one."""
        if not fact.lines and fact.outlet not in self._going_on:
            return
        lines, size = self._totals.get(fact.outlet, (0, 0))
        lines, size = self._totals[fact.outlet] = lines + fact.lines, size + fact.bytes
        if fact.outlet not in self._going_on:
            self._going_on.add(fact.outlet)
            reason = f"{fact.outlet}: {fact.reason}"
            step.notice("output.lost", "warning", reason, outlet=fact.outlet, lines=lines, bytes=size)
        if fact.over:
            self._going_on.remove(fact.outlet)
            reason = f"{fact.outlet} takes lines again"
            step.notice("output.resumed", "info", reason, outlet=fact.outlet, lines=lines, bytes=size)

    @property
    def lines(self) -> int:
        """How many lines have been lost, in all."""
        return sum(lines for lines, _ in self._totals.values())

    @property
    def bytes(self) -> int:
        """How many bytes that were."""
        return sum(size for _, size in self._totals.values())
