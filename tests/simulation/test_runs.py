"""Random histories of jobs by schedule, by hand and on demand: the rules of `overlap`, `deadline` and calls hold."""

from __future__ import annotations

import pytest

from procman.policy import manager as shipped
from tests.simulation.mutants import Mutant, load
from tests.simulation.runs import play_runs

SEEDS = 800
FAULTS = {
    "a job that skips overlaps": (
        "        if not self.on:\n            self.begin(group, reason",
        "        if True:\n            self.begin(group, reason",
    ),
    "a queued run is forgotten": ("self._turn_at = now if self.queued else None", "self._turn_at = None"),
    "all that are due wait": ('if overlap == "queue" and not self.queued:', 'if overlap != "kill":'),
    "nothing is replaced": ('if overlap == "kill" and', "if False and"),
    "a skipped run is not told": (
        'if self.call(group, "due by its schedule", step) == "skipped":',
        "if self.call(group, '', step) == '':",
    ),
    "a run without end": ("        if self._over_at is not None and self._over_at <= now:", "        if False:"),
    "a job is run once too often": ("(self.runs.on or not self.plan.rests)", "True"),
    "a run never ends": (
        "self.on, self._began_at, self._over_at = False, None, None",
        "self._began_at, self._over_at = None, None",
    ),
    "a job by hand is never over": ("        self.finished += 1\n", ""),
    "nobody watches the door": ("self._rest_until is not None and self._rest_until <= step.now", "False"),
    "a site without a running job ends": (" or (group.plan.rests and not group.blocked)", ""),
    "given up and called": ("given_up = group.failure is not None and", "given_up = False and"),
    "nobody follows the calendar": ('helpers.want("scheduler", calendar_of(plan), step)', "calendar_of(plan)"),
    "missed runs are run": ("if not (now and _may_go_on", "if not (_may_go_on"),
}


def test_every_situation_is_met_and_no_rule_is_broken() -> None:
    met: set[str] = set()
    for seed in range(SEEDS):
        met |= play_runs(seed)
    assert met == {"begun", "skipped", "queued", "killed", "rests", "pauses"}


@pytest.mark.parametrize("name", FAULTS, ids=lambda name: name.replace(" ", "-"))
def test_a_fault_of_the_policy_is_caught(name: str) -> None:
    broken = load(Mutant(name, *FAULTS[name]))
    assert broken is not shipped.Manager
    for seed in range(SEEDS):
        try:
            play_runs(seed, broken)
        except AssertionError:
            play_runs(seed)  # the shipped policy passes: it is the fault that was caught
            return
    pytest.fail(f"{name}: not caught in {SEEDS} histories")
