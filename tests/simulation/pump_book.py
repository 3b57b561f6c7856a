"""The recount for the pump: whether there is to be one, by which order, and when it is started again."""

from __future__ import annotations

from procman.plan import Plan
from procman.policy.events import PumpRules
from tests.simulation.zygote_book import Falls


class PumpBook:
    """The pump. Once there is one it stays: workers of an old plan may still be read by it."""

    def __init__(self) -> None:
        self.wanted: PumpRules | None = None
        self.running: PumpRules | None = None
        """The order that it has been given, though it may have fallen since."""
        self.falls = Falls()

    def follow(self, plan: Plan) -> None:
        """A plan is applied."""
        sinks = [sink for group in plan.groups for sink in (group.launch.output.stdout, group.launch.output.stderr)]
        looked_at = any(group.ready is not None and group.ready.by == "log" for group in plan.groups)
        if looked_at or any(sink.kind not in ("inherit", "null") for sink in sinks):
            groups = [group for group in plan.groups if "prefix" in repr(group.launch.output)]
            names = ["", *(f"{group.name}.{max(group.workers - 1, 0)}" for group in groups)]
            self.wanted = PumpRules(plan.name, plan.output_ring, len(max(names, key=len)))

    def run(self, order: PumpRules, now: float, slack: float) -> str | None:
        """It is started or told; what is wrong with that."""
        again = self.falls.due is not None and now >= self.falls.due - slack
        if order != self.wanted:
            return f"it is to be {self.wanted}"
        if order == self.running and not again:
            return "it runs"
        self.running = order
        self.falls.due, self.falls.began = None, now
        return None
