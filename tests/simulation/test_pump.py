"""Random histories of a site whose output is captured: the pump is there, stays, and is started again when it falls."""

from __future__ import annotations

import pytest

from procman.plan import GroupPlan, Launch, Output, Plan, Ready, Restart, Sink
from procman.policy import manager as shipped
from tests.simulation.mutants import Mutant, load
from tests.simulation.play import play

SEEDS = 300
FAULTS = {
    "nobody pumps": ('helpers.want("pump", pump, step)', "pass"),
    "the pump goes while it is needed": (
        "    if pump := pump_of(plan):",
        '    helpers.drop("pump", step)\n    if pump := pump_of(plan):',
    ),
    "nobody looks for a line": ("if not looks and not set()", "if not set()"),
    "a fallen pump is not replaced": ("helper.deadline = step.now + delay", "helper.deadline = None"),
    "an old ring for ever": ("elif order != helper.order:", "elif False:"),
}


def site(seed: int) -> Plan:
    """Of two groups one's lines go to the pump, or both's; now and then it only looks for a line of theirs."""
    looks = seed % 4 == 0
    captured = Output(Sink("null"), Sink("null")) if looks else Output(Sink("json"), Sink("prefix"))
    web = Launch(("serve",), "/", output=captured)
    db = Launch(("store",), "/", output=captured if seed % 2 else Output())
    ready = Ready("log", "up") if looks else None
    groups = (GroupPlan("db", db, restart=Restart(max_restarts=3)), GroupPlan("web", web, workers=2, ready=ready))
    return Plan("shop", groups, output_ring=1 << 16 + seed % 3)


def test_the_pump_is_there_and_stays_whatever_happens() -> None:
    for seed in range(SEEDS):
        play(seed, plan=site(seed))


@pytest.mark.parametrize("name", FAULTS, ids=lambda name: name.replace(" ", "-"))
def test_a_fault_of_the_policy_is_caught(name: str) -> None:
    broken = load(Mutant(name, *FAULTS[name]))
    assert broken is not shipped.Manager
    for seed in range(SEEDS):
        try:
            play(seed, broken, plan=site(seed))
        except AssertionError:
            play(seed, plan=site(seed))  # the shipped policy passes: it is the fault that was caught
            return
    pytest.fail(f"{name}: not caught in {SEEDS} histories")
