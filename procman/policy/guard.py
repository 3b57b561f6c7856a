"""The guard, the helper that ends the workers if the core is gone, as the policy sees it: wanted or not, and when next.

It is started again whenever it has ended: at once after a stable run, else after a growing delay.
"""

from __future__ import annotations

from procman import words
from procman.plan import Plan, Restart
from procman.policy.events import Guard, GuardEnded
from procman.policy.restart import Ladder
from procman.policy.step import Step

_POLICY = Restart()
"""Its delays are a group's by default; it has no budget: a site without its guard is better than none."""


class Guarding:
    """What was asked of the kernel last, and when it is to be asked again."""

    __slots__ = ("_ladder", "_started_at", "_wanted", "deadline")

    def __init__(self) -> None:
        self.deadline: float | None = None
        """When to start it again; None while it runs, or need not."""
        self._wanted: Guard | None = None
        self._ladder = Ladder()
        self._started_at = 0.0

    def follow(self, plan: Plan, step: Step) -> None:
        """Have it as a plan says."""
        rules = tuple((group.name, group.stop) for group in plan.groups) if plan.orphans == "end" else None
        wanted = Guard(plan.name, rules)
        if wanted != self._wanted:
            self._wanted = wanted
            self._start(step)

    def ended(self, fact: GuardEnded, step: Step) -> None:
        """It has ended, or could not start."""
        if self._wanted is None or self._wanted.rules is None:
            return
        delay = self._ladder.climb(_POLICY, step.now - self._started_at, fact.draw)
        when = f"in {words.duration(delay)}" if delay else "at once"
        reason = f"{fact.reason}; it is started again {when}"
        step.notice("helper.ended", "warning", reason, helper="guard", delay_s=delay)
        self.deadline = step.now + delay
        self.due(step)

    def due(self, step: Step) -> None:
        """Start it if it is time."""
        if self.deadline is not None and self.deadline <= step.now:
            self._start(step)

    def stop(self) -> None:
        """The site is as good as over: it is not started any more."""
        self.deadline = None
        self._wanted = None

    def _start(self, step: Step) -> None:
        assert self._wanted is not None, "a plan comes first"
        self.deadline = None
        self._started_at = step.now
        step.actions.append(self._wanted)
