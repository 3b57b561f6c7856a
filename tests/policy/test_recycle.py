"""Workers that run well are replaced for their age and size, in turn, and at no cost to the budget."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from procman.plan import GroupPlan, Ready, Recycle, Update
from procman.policy.events import Exited, Outgrown, Usage, Weigh
from procman.policy.events import Ready as IsReady
from tests.policy.drive import Drive, group


def recycled(workers: int = 1, limit: Recycle | None = None, **fields: Any) -> GroupPlan:
    return group("a", workers, recycle=limit or Recycle(60.0, jitter=0.0), **fields)


def weighed(site: Drive) -> list[tuple[str, float | None, int | None]]:
    return [(str(one.worker), one.after, one.rss) for one in site.actions if isinstance(one, Weigh)]


def old(site: Drive, worker: str = "a:0", rss: int | None = None) -> None:
    site.tell(Outgrown(site.id(worker), rss))


def test_only_a_group_with_a_limit_is_weighed() -> None:
    assert weighed(Drive(group("a"))) == []
    assert weighed(Drive(recycled(limit=Recycle(60.0, 1 << 20, 0.0)))) == [("a:0", 60.0, 1 << 20)]


def test_one_that_is_old_is_replaced_and_the_budget_is_what_it_was() -> None:
    site = Drive(recycled())
    site.sleep(60.0)
    old(site)
    assert site.signals == [(60.0, "a:0", 15, "tree")]
    assert site.reasons[-1] == "recycled: it has run for 1m"
    site.die("a:0", 1)
    assert (site.state("a:0"), site.manager.groups["a"].budget.used) == ("running", 0)
    assert weighed(site)[-1] == ("a:0", 60.0, None)


def test_one_that_has_grown_is_told_by_its_size() -> None:
    site = Drive(recycled(limit=Recycle(None, 500_000_000)))
    old(site, rss=612_000_000)
    assert site.reasons[-1] == "recycled: its memory has grown to 612 MB"


def test_those_that_are_old_together_are_replaced_one_after_the_other() -> None:
    site = Drive(recycled(3))
    for task in range(3):
        old(site, f"a:{task}")
    assert [signal[1] for signal in site.signals] == ["a:0"]
    site.die("a:0", 0)
    assert [signal[1] for signal in site.signals] == ["a:0", "a:1"]


def test_workers_that_started_together_reach_their_age_one_by_one() -> None:
    ages = sorted(after or 0.0 for _, after, _ in weighed(Drive(recycled(100, Recycle(100.0, jitter=0.5)))))
    assert ages[0] >= 50.0
    assert ages[-1] <= 100.0
    assert max(two - one for one, two in pairwise(ages)) < 2.0


def test_a_reload_with_another_limit_counts_from_the_start_of_the_worker() -> None:
    site = Drive(recycled())
    site.sleep(20.0)
    site.reload(recycled(limit=Recycle(50.0, jitter=0.0)))
    assert weighed(site)[1:] == [("a:0", 30.0, None)]
    site.reload(group("a"))
    assert weighed(site)[2:] == [("a:0", None, None)]
    assert site.signals == []


def test_a_successor_that_fails_leaves_the_old_one_for_another_life() -> None:
    first = Update("start-first")
    site = Drive(recycled(ready=Ready("notify", timeout=5.0), update=first))
    site.tell(IsReady(site.id("a:0"), "it says so"))
    old(site)
    successor = site.manager.groups["a"].slots[0].workers[1]
    assert successor.pid is not None
    site.tell(Exited(successor.pid, 1, None, Usage(), False, 0.0))
    assert [notice.event for notice in site.notices].count("group.halted") == 1
    assert (site.state("a:0"), weighed(site)[-1]) == ("running", ("a:0", 60.0, None))


def test_who_is_on_its_way_out_is_not_recycled() -> None:
    site = Drive(recycled())
    site.stop()
    old(site)
    assert len(site.signals) == 1
