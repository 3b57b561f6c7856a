"""Replacing workers by a rule: so many at once, a pause between, and a halt where the new one fails for good."""

from __future__ import annotations

from procman.plan import Ready, Restart, Update
from procman.policy.events import Ready as IsReady
from procman.policy.events.requests import Answer, Asked, Done, Operate, Selector
from tests.policy.drive import Drive, changed, group

NOTIFY = Ready("notify")


def told(site: Drive) -> list[str]:
    """Who has been told to stop, in order."""
    return [worker for _, worker, number, _ in site.signals if number == 15]


def test_a_reload_replaces_one_worker_after_the_other() -> None:
    a = group("a", 3)
    site = Drive(a)
    site.reload(changed(a))
    assert told(site) == ["a:0"]
    site.die("a:0", 0)
    assert told(site) == ["a:0", "a:1"]
    site.die("a:1", 0)
    site.die("a:2", 0)
    assert (told(site), site.manager.groups["a"].rollout) == (["a:0", "a:1", "a:2"], None)
    assert [slot.worker.launch.command for slot in site.manager.groups["a"].slots] == [("other",)] * 3


def test_so_many_at_once_as_the_rule_says() -> None:
    a = group("a", 4, update=Update(parallel=3))
    site = Drive(a)
    site.reload(changed(a))
    assert told(site) == ["a:0", "a:1", "a:2"]


def test_the_next_turn_comes_when_the_new_one_is_ready_and_after_the_pause() -> None:
    a = group("a", 2, ready=NOTIFY, update=Update(pause=5.0))
    site = Drive(a)
    for task in range(2):
        site.tell(IsReady(site.id(f"a:{task}"), "it says so"))
    site.reload(changed(a))
    site.die("a:0", 0)
    assert told(site) == ["a:0"]
    site.tell(IsReady(site.id("a:0"), "it says so"))
    assert (told(site), site.manager.deadline()) == (["a:0"], 5.0)
    site.sleep(5.0)
    assert told(site) == ["a:0", "a:1"]


def test_a_new_worker_that_fails_for_good_leaves_the_others_as_they_are() -> None:
    a = group("a", 3, restart=Restart(max_restarts=0, on_exhausted="ignore"))
    site = Drive(a)
    site.reload(changed(a))
    site.spawns_work = False
    site.die("a:0", 0)
    site.cannot_start("a:0", "exec", 2)
    assert [site.state(f"a:{task}") for task in range(3)] == ["failed", "running", "running"]
    site.sleep(1000.0)
    assert told(site) == ["a:0"]


def test_a_halt_is_said_once_and_a_restart_by_hand_goes_on() -> None:
    a = group("a", 3, ready=NOTIFY, restart=Restart(max_restarts=0, on_exhausted="ignore"))
    site = Drive(a)
    for task in range(3):
        site.tell(IsReady(site.id(f"a:{task}"), "it says so"))
    site.reload(changed(a))
    site.die("a:0", 0)
    site.die("a:0", 1)  # before it was ready
    assert [notice.reason for notice in site.notices if notice.event == "group.halted"] == [
        "a:0 failed; the configuration changed: the others stay as they are"
    ]
    assert [site.state(f"a:{task}") for task in range(3)] == ["failed", "running", "running"]
    site.tell(Asked(1, Operate("restart", (Selector("a"),))))
    assert (site.state("a:0"), told(site)) == ("starting", ["a:0"])
    site.tell(IsReady(site.id("a:0"), "it says so"))
    assert told(site) == ["a:0", "a:1"]


def test_a_stale_worker_that_dies_before_its_turn_is_replaced_at_once_and_on_no_budget() -> None:
    a = group("a", 3)
    site = Drive(a)
    site.reload(changed(a))
    site.die("a:2", 1)
    assert site.manager.groups["a"].slots[2].worker.launch.command == ("other",)
    assert site.manager.groups["a"].budget.used == 0
    site.die("a:0", 0)
    site.die("a:1", 0)
    assert told(site) == ["a:0", "a:1"]


def test_a_second_reload_goes_for_all_again() -> None:
    a = group("a", 2)
    site = Drive(a)
    site.reload(changed(a))
    site.die("a:0", 0)
    site.reload(a)
    assert told(site) == ["a:0", "a:1"]
    site.die("a:1", 0)
    assert told(site) == ["a:0", "a:1", "a:0"]
    site.die("a:0", 0)
    assert [slot.worker.launch for slot in site.manager.groups["a"].slots] == [a.launch] * 2


def test_a_shutdown_in_the_middle_stops_all_at_once() -> None:
    a = group("a", 3)
    site = Drive(a)
    site.reload(changed(a))
    site.stop()
    assert sorted(told(site)) == ["a:0", "a:1", "a:2"]
    for task in range(3):
        site.die(f"a:{task}", 0)
    assert site.exit_code == 0


def test_whoever_waits_for_a_restart_hears_when_the_last_one_runs() -> None:
    site = Drive(group("a", 2))
    site.tell(Asked(1, Operate("restart", (Selector("a"),))))
    site.die("a:0", 0)
    assert Answer(1, Done()) not in site.actions
    site.die("a:1", 0)
    assert site.actions[-1] == Answer(1, Done())


def test_one_that_failed_for_good_holds_up_even_those_that_could_go_at_once() -> None:
    a = group("a", 4, ready=NOTIFY, restart=Restart(max_restarts=0, on_exhausted="ignore"), update=Update(parallel=2))
    site = Drive(a)
    for task in range(4):
        site.tell(IsReady(site.id(f"a:{task}"), "it says so"))
    site.reload(changed(a))
    site.die("a:0", 0)
    site.die("a:0", 1)
    site.die("a:1", 0)
    site.tell(IsReady(site.id("a:1"), "it says so"))
    assert told(site) == ["a:0", "a:1"]
