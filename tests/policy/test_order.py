"""What starts after what (CASES, section A)."""

from __future__ import annotations

import errno

from procman.plan import Restart
from procman.policy.events import Execed, Forked
from procman.policy.events.requests import Asked, Operate, Selector
from tests.policy.drive import Drive, changed, group

NEVER = Restart(when="never", on_exhausted="ignore")


def started(site: Drive) -> list[str]:
    return [name for _, name in site.starts]


def test_a_chain_starts_in_order_each_when_the_one_before_is_ready() -> None:
    site = Drive(group("end"))
    site.spawns_work = False
    site.reload(group("c", after=(("b", "ready"),)), group("b", after=(("a", "ready"),)), group("a"), group("end"))
    trace = []
    for pid, worker in enumerate(("a:0", "b:0", "c:0")):
        trace.append(started(site)[1:])
        site.tell(Forked(site.id(worker), 900 + pid))
        assert started(site)[1:] == trace[-1], "forked is not ready"
        site.tell(Execed(site.id(worker)))
    assert trace == [["a:0"], ["a:0", "b:0"], ["a:0", "b:0", "c:0"]]


def test_ready_means_all_workers_of_the_group() -> None:
    site = Drive(group("end"))
    site.spawns_work = False
    site.reload(group("a", workers=2), group("b", after=(("a", "ready"),)), group("end"))
    site.tell(Forked(site.id("a:1"), 901))
    site.tell(Execed(site.id("a:1")))
    assert "b:0" not in started(site)
    site.tell(Forked(site.id("a:0"), 902))
    site.tell(Execed(site.id("a:0")))
    assert "b:0" in started(site)


def test_a_dependent_of_a_completed_job_starts_after_it() -> None:
    site = Drive(group("job"), group("b", after=(("job", "completed"),)))
    assert started(site) == ["job:0"]
    site.die("job:0", 0)
    assert started(site) == ["job:0", "b:0"]


def test_a_dependent_of_a_failed_job_is_blocked_and_says_why() -> None:
    site = Drive(group("job", restart=NEVER), group("b", after=(("job", "completed"),)), group("c"))
    site.die("job:0", signal=9)
    blocked = [notice for notice in site.notices if notice.event == "group.blocked"]
    assert [(notice.reason, notice.fields) for notice in blocked] == [("blocked: job failed", {"group": "b"})]
    assert (site.state("b:0"), site.exit_code) == ("stopped", None)
    site.die("c:0", 0)
    assert site.exit_code == 10


def test_blocked_is_passed_on_along_the_chain() -> None:
    chain = [
        group("a", restart=NEVER),
        group("b", after=(("a", "completed"),)),
        group("c", after=(("b", "started"),)),
    ]
    site = Drive(*chain)
    site.die("a:0", 1)
    blocked = [notice.reason for notice in site.notices if notice.event == "group.blocked"]
    assert (blocked, site.exit_code) == (["blocked: a failed", "blocked: b is blocked"], 10)


def test_ended_is_any_outcome() -> None:
    for code in (0, 1):
        site = Drive(group("job", restart=NEVER), group("b", after=(("job", "ended"),)))
        site.die("job:0", code)
        assert started(site) == ["job:0", "b:0"]


def test_a_condition_once_satisfied_stays_so() -> None:
    site = Drive(group("a"), group("b", after=(("a", "ready"),)))
    site.die("a:0", 1)
    site.die("a:0", 1)
    site.die("b:0", 1)
    assert (site.state("a:0"), site.state("b:0")) == ("backoff", "running")


def test_a_blocked_group_is_unblocked_by_a_reload_that_mends_its_dependency() -> None:
    job, dependent = group("job", restart=NEVER), group("b", after=(("job", "completed"),))
    site = Drive(job, dependent, group("c"))
    site.die("job:0", 1)
    site.reload(changed(job), dependent, group("c"))
    site.die("job:0", 0)
    assert site.state("b:0") == "running"
    site.die("b:0", 0)
    site.die("c:0", 0)
    assert site.exit_code == 0


def test_a_dependency_that_cannot_start_blocks_and_the_status_is_12() -> None:
    site = Drive(group("end"))
    site.spawns_work = False
    dependency = group("a", restart=Restart(on_exhausted="stop"))
    site.reload(dependency, group("b", after=(("a", "ready"),)), group("end"))
    site.cannot_start("a:0", "exec", errno.ENOENT)
    site.die("end:0", 0)
    assert ("b:0" in started(site), site.exit_code) == (False, 12)


def test_a_group_without_workers_holds_nobody_up() -> None:
    site = Drive(group("off", workers=0), group("b", after=(("off", "completed"),)))
    assert started(site) == ["b:0"]


def test_a_group_goes_down_with_what_it_requires_and_begins_anew_when_that_is_back() -> None:
    site = Drive(group("db"), group("api", workers=2, after=(("db", "ready"),), requires=("db",)))
    site.die("api:1", 0)
    site.spawns_work = False
    site.die("db:0", signal=9)
    assert site.signals == [(0.0, "api:0", 15, "tree")]
    assert site.reasons[-1] == "db is down"
    site.die("api:0", signal=15)
    assert (site.state("api:0"), site.state("api:1")) == ("stopped", "exited")
    site.tell(Forked(site.id("db:0"), 900))
    site.tell(Execed(site.id("db:0")))
    assert sorted(name for _, name in site.starts[-2:]) == ["api:0", "api:1"]
    assert set(site.reasons[-2:]) == {"what it requires is up again"}


def test_what_an_operator_starts_goes_down_again_where_what_it_requires_is_down() -> None:
    site = Drive(group("db"), group("other"), group("api", after=(("db", "ready"),), requires=("db",)))
    site.die("api:0", 0)
    site.die("db:0", 0)
    site.tell(Asked(1, Operate("start", (Selector("api"),))))
    assert site.signals == [(0.0, "api:0", 15, "tree")]
    site.die("api:0", signal=15)
    assert [notice.reason for notice in site.notices if notice.event == "group.blocked"] == ["blocked: db has ended"]


def test_one_of_several_workers_that_is_down_takes_nobody_with_it() -> None:
    site = Drive(group("db", workers=2), group("api", after=(("db", "ready"),), requires=("db",)))
    site.die("db:0", signal=9)
    assert (site.signals, site.state("api:0")) == ([], "running")


def test_what_requires_a_group_that_has_ended_is_blocked_and_counts_as_failed() -> None:
    site = Drive(group("db"), group("api", after=(("db", "ready"),), requires=("db",)))
    site.die("db:0", 0)
    site.die("api:0", signal=15)
    assert [notice.reason for notice in site.notices if notice.event == "group.blocked"] == ["blocked: db has ended"]
    assert site.exit_code == 10
