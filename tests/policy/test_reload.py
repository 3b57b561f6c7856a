"""A new plan for a running site (CASES, section H, as far as the spine goes) and one-for-all."""

from __future__ import annotations

import pytest

from procman.plan import Origin, Plan, ReloadPlan, Restart, Stop
from procman.policy.events import Load, Loaded, LoadFailed, RunLoader, StartFailed, State
from procman.policy.site.probation import Probation, Version
from tests.policy.drive import Drive, changed, group

ALL = Restart(strategy="one-for-all", max_restarts=2)


def test_only_what_changed_moves() -> None:
    a, b, c = group("a"), group("b"), group("c")
    site = Drive(a, b, c)
    pids = site.pid_of("a:0"), site.pid_of("c:0")
    site.reload(a, changed(b), c)
    assert site.signals == [(0.0, "b:0", 15, "tree")]
    site.die("b:0", 0)
    assert (site.pid_of("a:0"), site.pid_of("c:0")) == pids
    assert (site.state("b:0"), site.manager.groups["b"].slots[0].worker.launch.command) == ("running", ("other",))
    assert site.notices[-1].fields == {
        "digest": "digest",
        "started": [],
        "stopped": [],
        "restarted": ["b"],
        "scaled": [],
        "changed": [],
    }


def test_what_a_group_is_stopped_for_is_its_new_number_or_that_the_configuration_has_none_any_more() -> None:
    site = Drive(group("a", workers=2), group("b"))
    site.reload(group("a"))
    why = {str(record.worker): record.reason for record in site.transitions if record.to is State.STOPPING}
    assert why == {"a:1": "scaled down", "b:0": "the configuration changed"}


def test_what_was_started_with_the_old_plan_is_stopped_by_the_old_rules() -> None:
    old = group("a", stop=Stop(signal=2, grace=1.0))
    site = Drive(old)
    site.reload(changed(old)._replace(stop=Stop(signal=15, grace=9.0)))
    site.sleep(5.0)
    assert site.signals == [(0.0, "a:0", 2, "tree"), (1.0, "a:0", 9, "tree")]


def test_a_live_field_restarts_nothing() -> None:
    site = Drive(group("a"))
    site.reload(group("a", stop=Stop(grace=1.0), restart=Restart(max_restarts=0)))
    assert site.signals == []
    site.stop()
    site.sleep(5.0)
    assert site.signals[-1] == (1.0, "a:0", 9, "tree")


def test_scaling_adds_the_next_ids_and_takes_the_highest_first() -> None:
    site = Drive(group("a", workers=2))
    kept = site.pid_of("a:0"), site.pid_of("a:1")
    site.reload(group("a", workers=5))
    assert [name for _, name in site.starts] == ["a:0", "a:1", "a:2", "a:3", "a:4"]
    site.reload(group("a", workers=3))
    assert sorted(name for _, name, _, _ in site.signals) == ["a:3", "a:4"]
    site.die("a:4", 0)
    site.die("a:3", 0)
    assert (len(site.manager.groups["a"].slots), site.pid_of("a:0"), site.pid_of("a:1")) == (3, *kept)


def test_a_changed_group_gets_a_fresh_budget_and_scaling_does_not() -> None:
    a = group("a", restart=Restart(max_restarts=5, backoff=None))
    site = Drive(a)
    site.die("a:0", 1)
    site.reload(a._replace(workers=2))
    assert site.manager.groups["a"].budget.used == 1
    site.reload(changed(a))
    assert site.manager.groups["a"].budget.used == 0


def test_a_reload_during_backoff_starts_the_new_command_at_once() -> None:
    site = Drive(group("a"))
    site.die("a:0", 1)
    site.die("a:0", 1)
    site.reload(changed(group("a")))
    assert (site.state("a:0"), site.now) == ("running", 0.0)


def test_a_failed_worker_starts_again_when_its_group_changed() -> None:
    a = group("a", restart=Restart(when="never", on_exhausted="stop"))
    site = Drive(a, group("b"))
    site.die("a:0", 1)
    site.reload(a, group("b"))
    assert site.state("a:0") == "failed"
    site.reload(changed(a), group("b"))
    assert site.state("a:0") == "running"


def test_a_completed_job_runs_again_only_if_what_it_runs_has_changed() -> None:
    job = group("job", kind="job")
    site = Drive(job, group("b"))
    site.die("job:0", 0)
    site.reload(job._replace(stop=Stop(grace=1.0)), group("b"))
    assert site.state("job:0") == "exited"
    site.reload(changed(job), group("b"))
    assert site.state("job:0") == "running"


def test_a_group_that_is_gone_stops_and_vanishes() -> None:
    site = Drive(group("a"), group("b"))
    site.reload(group("a"))
    site.die("b:0", 0)
    assert list(site.manager.groups) == ["a"]


def test_a_group_that_comes_back_while_it_is_ending_runs_once() -> None:
    site = Drive(group("a"), group("b"))
    site.reload(group("a"))
    site.reload(group("a"), group("b"))
    assert site.state("b:0") == "stopping"
    site.die("b:0", 0)
    assert (site.state("b:0"), [name for _, name in site.starts]) == ("running", ["a:0", "b:0", "b:0"])


def test_a_bad_file_leaves_the_site_as_it_is() -> None:
    site = Drive(group("a"))
    site.tell(Load())
    site.tell(LoadFailed("site.toml: 1 error", "site.toml:3:1: unknown key"))
    assert (site.notices[-1].event, site.state("a:0")) == ("config.rejected", "running")
    site.die("a:0", 1)
    assert site.state("a:0") == "running", "the old plan still rules"


def test_two_reloads_at_once_end_in_the_last_one() -> None:
    site = Drive(group("a"))
    loads = [site.manager.handle(Load(), 0.0).actions.count(RunLoader()) for _ in range(3)]
    assert loads == [1, 0, 0]
    plan = site.manager.plan
    assert plan is not None
    assert site.manager.handle(Loaded(plan, "digest"), 0.0).actions == [RunLoader()]
    assert RunLoader() not in site.manager.handle(Loaded(plan, "digest"), 0.0).actions


def test_the_same_configuration_from_another_commit_is_no_other_plan_to_go_back_to() -> None:
    first, second = Version(Plan("site", (group("a"),)), "1"), Version(Plan("site", (changed(group("a")),)), "2")
    committed = second._replace(plan=second.plan._replace(origin=Origin("abc", dirty=False), sources=("/b.toml",)))
    probation = Probation()
    for version in (first, second, committed):
        assert probation.begin(version, 0.0) is None
    assert (probation.good, probation.before()) == ([committed, first], first)


def test_probation_goes_on_when_what_is_on_trial_is_committed() -> None:
    reload = ReloadPlan(probation=9.0)
    old = Version(Plan("site", (group("a"),)), "1")
    new = Version(Plan("site", (changed(group("a")),), reload=reload), "2")
    committed = new._replace(plan=new.plan._replace(origin=Origin("abc", dirty=False)))
    probation = Probation()
    probation.begin(old, 0.0)
    trial = probation.begin(new, 1.0)
    assert trial is not None
    assert (probation.begin(committed, 5.0), trial.until, trial.overtaken) == (trial, 10.0, "")


def test_a_site_waits_for_a_reload_before_it_ends_by_itself() -> None:
    site = Drive(group("a"))
    site.tell(Load())
    site.die("a:0", 0)
    assert site.exit_code is None
    site.apply(group("a"), group("b"))
    assert (site.exit_code, site.state("b:0")) == (None, "running")


def test_a_defective_fact_changes_nothing() -> None:
    site = Drive(group("a"))
    late = site.id("a:0")._replace(generation=9)
    before = site.state("a:0"), site.manager.deadline()
    with pytest.raises(AssertionError, match="comes too late"):
        site.manager.handle(StartFailed(late, "exec", 2, "late", 0.0), 0.0)
    assert (site.state("a:0"), site.manager.deadline()) == before


def test_one_for_all_restarts_the_group_when_all_are_down() -> None:
    site = Drive(group("a", workers=3, restart=ALL), group("b"))
    site.die("a:1", 1)
    assert [name for _, name, _, _ in site.signals] == ["a:0", "a:2"]
    site.die("a:0", 1)
    assert len(site.starts) == 4, "not before all are down"
    site.die("a:2", 0)
    assert [name for _, name in site.starts[4:]] == ["a:0", "a:1", "a:2"]
    assert site.manager.groups["a"].budget.used == 1, "all failures until the group is down are one"


def test_one_for_all_starts_normal_exits_again() -> None:
    site = Drive(group("a", workers=2, restart=ALL), group("b"))
    site.die("a:0", 0)
    site.die("a:1", 1)
    assert (site.state("a:0"), site.state("a:1")) == ("running", "running")


def test_one_for_all_waits_its_delay_from_the_moment_all_are_down() -> None:
    site = Drive(group("a", workers=2, restart=ALL), group("b"))
    for worker in ("a:0", "a:1"):
        site.die(worker, 1)
    site.die("a:0", 1)
    site.sleep(2.0)
    site.die("a:1", 1)
    assert (site.state("a:0"), site.state("a:1"), site.manager.deadline()) == ("backoff", "backoff", 2.5)
    site.sleep(1.0)
    assert [start for start in site.starts if start[0] == 2.5] == [(2.5, "a:0"), (2.5, "a:1")]


def test_one_for_all_that_loses_its_waiting_slot_to_a_scale_down_still_starts_the_rest() -> None:
    a = group("a", workers=2, restart=ALL)
    site = Drive(a, group("b"))
    for worker in ("a:1", "a:0"):
        site.die(worker, 1)
    site.die("a:0", 0)
    site.die("a:1", 1)
    assert (site.state("a:0"), site.state("a:1")) == ("exited", "backoff")
    site.reload(a._replace(workers=1), group("b"))
    assert site.state("a:0") == "running"
