"""One group of two workers, every interleaving of a handful of events: each step checked, each state settles.

`PROCMAN_DEPTH` sets how many choices a path has.
"""

from __future__ import annotations

import os

import pytest

from procman.plan import Backoff, GroupPlan, Health, Launch, Plan, Ready, ReloadPlan, Restart, Stop, Update
from tests.simulation.mutants import MUTANTS, load
from tests.simulation.small_world import LATE, explore

DEPTH = int(os.environ.get("PROCMAN_DEPTH", "7"))

ONE_FOR_ONE = Restart(max_restarts=2, backoff=Backoff(1.0, 2.0, 4.0, 0.2), reset_after=LATE / 2, on_exhausted="stop")
POLICIES = {
    "one-for-one": ONE_FOR_ONE,
    "one-for-all": ONE_FOR_ONE._replace(strategy="one-for-all"),
    "always-one-for-all": ONE_FOR_ONE._replace(when="always", strategy="one-for-all", max_restarts=1),
    "window": ONE_FOR_ONE._replace(max_restarts=1, window=3.0, on_exhausted="shutdown"),
}


def plans(restart: Restart) -> tuple[Plan, Plan]:
    """The site, and what a reload makes of it: another command, and one worker less."""
    group = GroupPlan("api", Launch(("serve", "1"), "/"), workers=2, restart=restart, stop=Stop(grace=2.0))
    changed = group._replace(launch=Launch(("serve", "2"), "/"), workers=1)
    return Plan("site", (group,)), Plan("site", (changed,))


def test_every_interleaving_of_readiness_and_health_is_as_designed_and_settles() -> None:
    before, after = plans(ONE_FOR_ONE)
    ready, health = Ready("notify", timeout=5.0), Health("http", failures=1)
    first = before._replace(groups=(before.groups[0]._replace(workers=1, ready=ready, health=health),))
    second = after._replace(groups=(after.groups[0]._replace(ready=ready, health=health),))
    explored = explore((first, second), DEPTH + 1)
    print(f"readiness: {explored.states} states, {explored.paths} paths, {len(explored.edges)} edges")  # noqa: T201
    assert explored.states > 10 * DEPTH


@pytest.mark.parametrize("name", POLICIES)
def test_every_interleaving_is_as_designed_and_settles(name: str) -> None:
    explored = explore(plans(POLICIES[name]), DEPTH)
    print(f"{name}: {explored.states} states, {explored.paths} paths, {len(explored.edges)} edges")  # noqa: T201
    assert explored.states > 10 * DEPTH


def test_every_interleaving_of_start_first_is_as_designed_and_settles() -> None:
    before, after = plans(ONE_FOR_ONE)
    ready, update = Ready("notify", timeout=5.0), Update("start-first")
    first, second = (
        site._replace(groups=(site.groups[0]._replace(workers=1, ready=ready, update=update),))
        for site in (before, after)
    )
    explored = explore((first, second), DEPTH + 1)
    print(f"start-first: {explored.states} states, {explored.paths} paths, {len(explored.edges)} edges")  # noqa: T201
    assert explored.notices["group.halted"] > 0


@pytest.mark.parametrize("rollback", [True, False])
def test_every_interleaving_with_probation_is_as_designed_and_settles(rollback: bool) -> None:
    before, after = plans(ONE_FOR_ONE._replace(on_exhausted="shutdown"))
    rules = ReloadPlan(probation=3.0, rollback=rollback, probation_failures=2)
    explored = explore((before, after._replace(reload=rules)), DEPTH)
    assert explored.notices["config.proved"] > 0
    assert explored.notices["config.failed"] > 0
    assert (explored.notices["config.rolled_back"] > 0) == rollback


@pytest.mark.parametrize(
    "fault", ["budget off by one", "kill never comes", "leftover ignored", "stale command left running"]
)
def test_a_fault_is_found_in_the_small_world_too(fault: str) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == fault]
    with pytest.raises(AssertionError, match="after "):
        explore(plans(ONE_FOR_ONE._replace(max_restarts=0)), 6, load(mutant))
