"""Every site of `configs/` is loaded, compiled, and played through random histories."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman.config.loader import load_plan
from procman.config.merge.load import Request
from procman.plan import Plan
from tests.simulation.play import play

ROOT = Path(__file__).parents[2]
SEEDS = range(20)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_a_site_that_we_ship_survives_random_histories(path: Path) -> None:
    plan = load_plan(Request([str(path)], str(ROOT), (), ()), {})
    assert isinstance(plan, Plan), plan
    codes = {play(seed, plan=plan).exit_code for seed in SEEDS}
    signals = range(129, 160) if plan.exit_code_from else ()
    assert codes <= {0, 10, 12, 78, *signals}  # 78: the loader fails in some
