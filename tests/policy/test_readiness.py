"""Ready, and well: what a worker must show before it counts as running, and what becomes of one that is not well."""

from __future__ import annotations

import pytest

from procman.plan import Health, Ready, Restart, Stop
from procman.policy.events import Check, Checked, Extended, Said, Spawn, Unready
from procman.policy.events import Ready as IsReady
from procman.policy.events.requests import Asked, Operate, Selector
from procman.policy.site.snapshot import snapshot
from tests.policy.drive import Drive, changed, group

NOTIFY = Ready("notify", timeout=30.0)
HTTP = Health("http", failures=2)
STOP_ALL = Restart(max_restarts=1, backoff=None)


def says_ready(site: Drive, worker: str) -> None:
    site.tell(IsReady(site.id(worker), "it has said so"))


def fails_a_check(site: Drive, worker: str, times: int = 1) -> None:
    for _ in range(times):
        site.tell(Checked(site.id(worker), False, "GET /: 503"))


def test_a_worker_is_running_when_it_has_shown_that_it_is_ready() -> None:
    site = Drive(group("a", ready=NOTIFY))
    assert site.state("a:0") == "starting"
    assert [action.ready for action in site.actions if isinstance(action, Spawn)] == [NOTIFY]
    says_ready(site, "a:0")
    assert (site.state("a:0"), site.reasons[-1], site.manager.deadline()) == ("running", "it has said so", None)


def test_a_dependent_begins_when_all_workers_are_ready() -> None:
    site = Drive(group("a", 2, ready=NOTIFY), group("b", after=(("a", "ready"),)))
    says_ready(site, "a:0")
    assert [worker for _, worker in site.starts] == ["a:0", "a:1"]
    says_ready(site, "a:1")
    assert [worker for _, worker in site.starts] == ["a:0", "a:1", "b:0"]


def test_a_dependent_of_a_start_does_not_wait_for_readiness() -> None:
    site = Drive(group("a", ready=NOTIFY), group("b", after=(("a", "started"),)))
    assert [worker for _, worker in site.starts] == ["a:0", "b:0"]


def test_one_that_is_marked_as_unready_does_not_let_dependents_begin_until_it_is_ready_again() -> None:
    site = Drive(group("a", 2, ready=NOTIFY), group("b", after=(("a", "ready"),)))
    says_ready(site, "a:0")
    site.tell(Unready(site.id("a:0"), "GET /: 503"))
    says_ready(site, "a:1")
    assert site.state("b:0") == "stopped"
    says_ready(site, "a:0")
    assert site.state("b:0") == "running"
    assert [notice.event for notice in site.notices[-2:]] == ["worker.unready", "worker.ready"]


def test_one_that_was_ready_and_says_at_once_that_it_stops_runs_and_is_unready() -> None:
    site = Drive(group("a", ready=NOTIFY))
    site.tell(Said(site.id("a:0"), "", "stopping"))
    says_ready(site, "a:0")
    site.tell(Unready(site.id("a:0"), "it says that it is stopping"))
    assert (site.state("a:0"), site.notices[-1].event) == ("running", "worker.unready")
    assert site.manager.deadline() is None


def test_never_ready_is_a_failure_that_is_retried_within_the_budget_and_ends_with_12() -> None:
    site = Drive(group("a", ready=NOTIFY, restart=STOP_ALL))
    site.sleep(29.0)
    assert site.signals == []
    site.sleep(1.0)
    assert (site.signals, site.state("a:0")) == ([(30.0, "a:0", 15, "tree")], "stopping")
    site.die("a:0", signal=15)
    assert site.starts == [(0.0, "a:0"), (30.0, "a:0")]
    site.sleep(30.0)
    site.die("a:0", 0)
    assert (site.state("a:0"), site.exit_code) == ("failed", 12)
    assert site.reasons[-1] == "not ready within 30s; 1 restart spent"


def test_one_that_can_never_be_ready_is_not_waited_for() -> None:
    site = Drive(group("a", ready=Ready("fd", fd=3), restart=STOP_ALL))
    site.tell(Unready(site.id("a:0"), "descriptor 3 was closed"))
    site.die("a:0", 0)
    assert site.reasons[-3:] == ["not ready: descriptor 3 was closed", "not ready: descriptor 3 was closed", "restart"]


def test_one_that_dies_before_it_is_ready_has_failed_like_any_other() -> None:
    site = Drive(group("a", ready=NOTIFY, restart=Restart(max_restarts=0)))
    site.die("a:0", 3)
    assert (site.state("a:0"), site.exit_code) == ("failed", 10)


def test_one_that_is_deaf_as_well_as_not_ready_is_killed_after_its_grace() -> None:
    site = Drive(group("a", ready=NOTIFY, stop=Stop(grace=2.0)))
    site.sleep(40.0)
    assert site.signals == [(30.0, "a:0", 15, "tree"), (32.0, "a:0", 9, "tree")]


def test_a_delay_makes_ready_one_that_is_still_there() -> None:
    site = Drive(group("a", ready=Ready("delay", delay=5.0)))
    site.sleep(4.9)
    assert site.state("a:0") == "starting"
    site.sleep(0.1)
    assert (site.state("a:0"), site.reasons[-1]) == ("running", "has run for 5s")


def test_a_check_that_fails_once_changes_nothing_and_twice_restarts_once() -> None:
    site = Drive(group("a", health=HTTP))
    assert [action.health for action in site.actions if isinstance(action, Check)] == [HTTP]
    fails_a_check(site, "a:0")
    site.tell(Checked(site.id("a:0"), True, "GET /: 200"))
    fails_a_check(site, "a:0")
    assert (site.state("a:0"), site.signals) == ("running", [])
    fails_a_check(site, "a:0")
    fails_a_check(site, "a:0", 5)
    assert site.signals == [(0.0, "a:0", 15, "tree")]
    site.die("a:0", 0)
    assert (site.state("a:0"), len(site.starts), site.manager.groups["a"].budget.used) == ("running", 2, 1)


def test_an_unhealthy_worker_for_good_ends_the_site_with_11() -> None:
    site = Drive(group("a", health=HTTP, restart=Restart(max_restarts=0)))
    fails_a_check(site, "a:0", 2)
    site.die("a:0", signal=15)
    assert site.exit_code == 11
    assert site.reasons[-1] == "not healthy: GET /: 503, 2 times in a row; no restarts allowed"


def test_where_it_is_to_be_ignored_only_the_mark_changes() -> None:
    site = Drive(group("a", health=HTTP._replace(on_failure="ignore")))
    fails_a_check(site, "a:0", 3)
    site.tell(Checked(site.id("a:0"), True, "GET /: 200"))
    assert (site.state("a:0"), site.signals) == ("running", [])
    assert [notice.event for notice in site.notices[-2:]] == ["worker.unready", "worker.ready"]


def test_an_unhealthy_worker_leaves_a_trace_first() -> None:
    site = Drive(group("a", health=HTTP._replace(dump=6)))
    fails_a_check(site, "a:0", 2)
    assert site.signals == [(0.0, "a:0", 6, "leader"), (0.0, "a:0", 15, "tree")]


def test_a_check_during_the_backoff_or_of_a_predecessor_means_nothing() -> None:
    site = Drive(group("a", health=HTTP))
    before = site.id("a:0")
    site.die("a:0", 1)
    site.tell(Checked(before, False, "late"))
    site.tell(Checked(before, False, "late"))
    site.die("a:0", 1)
    assert site.state("a:0") == "backoff"
    fails_a_check(site, "a:0", 2)
    site.sleep(1.0)
    assert (site.state("a:0"), len(site.starts)) == ("running", 3)


@pytest.mark.parametrize("what", ["stop", "reload", "by hand"])
def test_whoever_wants_something_else_of_a_failing_worker_overrules_its_verdict(what: str) -> None:
    one = group("a", health=HTTP, restart=Restart(max_restarts=0))
    site = Drive(one)
    fails_a_check(site, "a:0", 2)
    if what == "stop":
        site.stop()
    elif what == "reload":
        site.reload(changed(one))
    else:
        site.tell(Asked(1, Operate("restart", (Selector("a"),))))
    site.die("a:0", signal=15)
    assert site.exit_code == (0 if what == "stop" else None)
    assert site.state("a:0") == ("stopped" if what == "stop" else "running")


def test_one_for_all_takes_an_unhealthy_worker_for_a_failed_one() -> None:
    site = Drive(group("a", 2, health=HTTP, restart=Restart(strategy="one-for-all", backoff=None)))
    fails_a_check(site, "a:0", 2)
    assert [worker for _, worker, _, _ in site.signals] == ["a:0"]
    site.die("a:0", signal=15)
    assert [worker for _, worker, _, _ in site.signals] == ["a:0", "a:1"]
    site.die("a:1", signal=15)
    assert [worker for _, worker in site.starts[2:]] == ["a:0", "a:1"]


def test_one_that_asks_for_more_time_until_it_is_ready_has_it_and_never_less_than_before() -> None:
    site = Drive(group("a", ready=NOTIFY, restart=STOP_ALL))
    site.tell(Extended(site.id("a:0"), 5.0))
    assert site.manager.deadline() == 30.0
    site.sleep(28.0)
    site.tell(Extended(site.id("a:0"), 10.0))
    site.sleep(9.0)
    assert site.state("a:0") == "starting"
    site.sleep(1.0)
    assert (site.signals, site.state("a:0")) == ([(38.0, "a:0", 15, "tree")], "stopping")
    assert site.reasons[-1] == "not ready within 30s, and the time that it asked for"


def test_one_that_asks_for_more_time_to_end_has_it() -> None:
    site = Drive(group("a", stop=Stop(grace=2.0)))
    site.tell(Extended(site.id("a:0"), 60.0))  # it runs, and needs none
    site.stop()
    site.sleep(1.0)
    site.tell(Extended(site.id("a:0"), 3.0))
    site.sleep(2.0)
    assert site.state("a:0") == "stopping"
    site.sleep(1.0)
    assert site.signals == [(0.0, "a:0", 15, "tree"), (4.0, "a:0", 9, "tree")]
    assert site.reasons[-1] == "still there after 2s of grace, and the time that it asked for"


def test_one_that_says_that_it_is_stopping_may_fail_its_health_checks() -> None:
    site = Drive(group("a", health=HTTP))
    site.tell(Said(site.id("a:0"), "bye", "stopping"))
    fails_a_check(site, "a:0", 5)
    assert (site.state("a:0"), site.signals) == ("running", [])
    site.tell(Said(site.id("a:0"), "", ""))  # it has thought better of it
    fails_a_check(site, "a:0", 2)
    assert site.state("a:0") == "stopping"


def test_what_it_says_and_why_it_is_not_ready_stand_in_the_status_until_its_next_run() -> None:
    site = Drive(group("a", ready=NOTIFY))
    says_ready(site, "a:0")
    site.tell(Said(site.id("a:0"), "7 clients", "reloading"))
    site.tell(Unready(site.id("a:0"), "it says so"))
    (one,) = snapshot(site.manager, site.now).workers
    assert (one.state, one.unready, one.doing, one.says) == ("running", "it says so", "reloading", "7 clients")
    site.die("a:0", 1)
    (one,) = snapshot(site.manager, site.now).workers
    assert (one.generation, one.unready, one.doing, one.says) == (2, "", "", "")
