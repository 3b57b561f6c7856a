"""Thousands of random histories through the shipped manager and loop; every step is checked.

`PROCMAN_SEEDS` sets how many. A failure names its seed; `python -m tests.simulation SEED` shows the whole of it.
"""

from __future__ import annotations

import os
from collections import Counter
from time import process_time

import pytest

from procman.plan import GroupPlan, Launch, Plan, Restart
from procman.policy.events import State
from procman.policy.worker.worker import EDGES
from tests.simulation.__main__ import main
from tests.simulation.play import play

SEEDS = int(os.environ.get("PROCMAN_SEEDS", "5000"))


def test_every_history_is_as_designed_and_every_edge_is_seen() -> None:
    seen: Counter[tuple[State, State]] = Counter()
    codes: Counter[int] = Counter()
    steps, began = 0, process_time()
    for seed in range(SEEDS):
        played = play(seed)
        seen.update(played.edges)
        codes[played.exit_code] += 1
        steps += played.steps
    took = process_time() - began
    print(f"{SEEDS} histories, {steps} steps, {SEEDS / took:.0f} histories/s, exit codes {dict(codes.most_common())}")  # noqa: T201
    for (from_, to), count in sorted(seen.items()):
        print(f"{from_:>9} → {to:<9} {count:7}")  # noqa: T201 - with -s or on failure
    assert set(seen) == {(from_, to) for from_, reached in EDGES.items() for to in reached}


def test_a_site_of_many_workers_is_as_designed() -> None:
    web = GroupPlan("frontend", Launch(("serve",), "/srv"), workers=12, after=(("migration", "completed"),))
    migration = GroupPlan("migration", Launch(("migrate",), "/srv"), kind="job", restart=Restart(max_restarts=3))
    for seed in range(SEEDS // 50):
        play(seed, plan=Plan("shop", (migration, web)))


def test_a_history_is_a_function_of_its_seed() -> None:
    assert [play(seed) for seed in range(50)] == [play(seed) for seed in range(50)]


def test_a_seed_is_replayed_in_readable_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["3"]) == 0
    told = capsys.readouterr().out
    assert "stopped → starting: first start" in told
    assert told.splitlines()[-1] == f"seed 3: exit code {play(3).exit_code} after {play(3).steps} steps"
