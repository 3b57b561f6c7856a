"""Lines of workers that could not be written: the account that `status` shows, and what the log says of it.

The log is told once when a loss begins and once when it is over, however long that takes.
"""

from __future__ import annotations

from procman.policy.events import OutputLost
from procman.policy.step import Step


class Losses:
    """By file or stream."""

    __slots__ = ("_before", "_going_on", "_last")

    def __init__(self) -> None:
        self._before: dict[str, OutputLost] = {}
        """What former pumps have lost."""
        self._last: dict[str, OutputLost] = {}
        """What the pump has said last."""
        self._going_on: set[str] = set()

    def hear(self, fact: OutputLost, step: Step) -> None:
        """There is a loss, or it goes on, or it is over."""
        last = self._last.get(fact.outlet)
        if last is not None and fact.lines < last.lines:  # another pump counts from the beginning
            self._before[fact.outlet] = self._total(fact.outlet)
        self._last[fact.outlet] = fact
        began = fact.outlet not in self._going_on
        if began and not fact.over:
            self._going_on.add(fact.outlet)
            self._begin(fact, step)
        elif fact.over:
            if began:
                self._begin(fact, step)
            self._going_on.discard(fact.outlet)
            total = self._total(fact.outlet)
            reason = f"{fact.outlet} takes lines again"
            step.notice("output.resumed", "info", reason, outlet=fact.outlet, lines=total.lines, bytes=total.bytes)

    @property
    def lines(self) -> int:
        """How many lines have been lost, in all."""
        return sum(self._total(outlet).lines for outlet in self._last)

    @property
    def bytes(self) -> int:
        """How many bytes that were."""
        return sum(self._total(outlet).bytes for outlet in self._last)

    def _total(self, outlet: str) -> OutputLost:
        last, before = self._last[outlet], self._before.get(outlet)
        if before is None:
            return last
        return last._replace(lines=last.lines + before.lines, bytes=last.bytes + before.bytes)

    def _begin(self, fact: OutputLost, step: Step) -> None:
        total, reason = self._total(fact.outlet), f"{fact.outlet}: {fact.reason}"
        step.notice("output.lost", "warning", reason, outlet=fact.outlet, lines=total.lines, bytes=total.bytes)
