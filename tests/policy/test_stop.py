"""How workers and sites end (CASES, section B)."""

from __future__ import annotations

from procman.plan import Ready, Restart, Stop
from procman.policy.events import Drain, Exited, Left, Load, LoadFailed, Print, ShutDown, Usage
from procman.policy.manager import Manager
from tests.policy.drive import Drive, changed, group


def test_a_site_asked_to_stop_ends_with_0_whatever_its_workers_say() -> None:
    site = Drive(group("a"), group("b"))
    site.stop()
    site.die("a:0", 1)
    site.die("b:0", signal=11)
    assert (site.exit_code, site.state("a:0"), site.state("b:0")) == (0, "stopped", "stopped")


def test_a_deaf_worker_is_killed_at_its_deadline_and_not_before() -> None:
    site = Drive(group("a", stop=Stop(signal=2, grace=1.0)))
    site.stop()
    site.sleep(5.0)
    assert site.signals == [(0.0, "a:0", 2, "tree"), (1.0, "a:0", 9, "tree")]
    site.die("a:0", signal=9)
    assert (site.trace[-1], site.exit_code) == ("a:0 killing>stopped", 0)


def test_a_worker_that_obeys_is_never_killed() -> None:
    site = Drive(group("a"), group("deaf", stop=Stop(grace=3.0)))
    site.stop()
    site.die("a:0", 0)
    site.sleep(10.0)
    assert [signal for signal in site.signals if signal[2] == 9] == [(3.0, "deaf:0", 9, "tree")]


def test_a_stop_during_backoff_returns_at_once_and_nothing_begins_later() -> None:
    site = Drive(group("a"))
    site.die("a:0", 1)
    site.die("a:0", 1)
    assert site.state("a:0") == "backoff"
    site.stop()
    assert (site.state("a:0"), site.exit_code, site.manager.deadline()) == ("stopped", 0, None)


def test_a_crash_while_stopping_is_neither_restarted_nor_counted() -> None:
    site = Drive(group("a"))
    site.stop()
    site.die("a:0", signal=11)
    assert (len(site.starts), site.manager.groups["a"].budget.used, site.exit_code) == (1, 0, 0)


def test_another_crash_during_the_shutdown_is_not_restarted() -> None:
    site = Drive(group("a"), group("c", after=(("a", "ready"),)))
    site.stop()
    assert site.signals == [(0.0, "c:0", 15, "tree")]
    site.die("a:0", signal=9)
    assert (site.state("a:0"), len(site.starts)) == ("stopped", 2)
    site.die("c:0", 0)
    assert site.exit_code == 0


def test_groups_stop_in_reverse_order() -> None:
    rhombus = [
        group("a"),
        group("b", after=(("a", "ready"),)),
        group("c", after=(("a", "ready"),)),
        group("d", after=(("b", "ready"), ("c", "ready"))),
    ]
    site = Drive(*rhombus)
    site.stop()
    order = []
    for worker in ("d:0", "c:0", "b:0", "a:0"):
        order.append({name for _, name, _, _ in site.signals})
        site.die(worker, 0)
    assert order == [{"d:0"}, {"d:0", "b:0", "c:0"}, {"d:0", "b:0", "c:0"}, {"d:0", "b:0", "c:0", "a:0"}]
    assert site.exit_code == 0


def test_a_second_request_after_half_a_second_kills_at_once() -> None:
    site = Drive(group("a", stop=Stop(grace=30.0)), group("b", after=(("a", "ready"),)))
    site.stop()
    site.sleep(0.4)
    site.stop()
    assert [signal for signal in site.signals if signal[2] == 9] == [], "a bounce is not two wishes"
    site.sleep(0.1)
    site.stop()
    assert {signal for signal in site.signals if signal[2] == 9} == {
        (0.5, "a:0", 9, "tree"),
        (0.5, "b:0", 9, "tree"),
    }
    site.stop()
    site.die("a:0", signal=9)
    site.die("b:0", signal=9)
    assert site.exit_code == 0


def test_quit_kills_without_a_first_signal() -> None:
    site = Drive(group("a"))
    site.stop(now=True)
    assert site.signals == [(0.0, "a:0", 9, "tree")]
    assert site.trace[-2:] == ["a:0 running>stopping", "a:0 stopping>killing"]


def test_the_stop_timeout_bounds_the_whole_shutdown() -> None:
    chain = [group("a", stop=Stop(grace=30.0)), group("b", stop=Stop(grace=30.0), after=(("a", "ready"),))]
    site = Drive(*chain, stop_timeout=9.0)
    site.stop()
    site.sleep(60.0)
    assert [signal for signal in site.signals if signal[2] == 9] == [(9.0, "a:0", 9, "tree"), (9.0, "b:0", 9, "tree")]


def test_a_worker_has_stopped_when_nothing_of_its_tree_is_left() -> None:
    site = Drive(group("a", stop=Stop(grace=2.0)))
    site.stop()
    pid = site.die("a:0", 0, leftover=True)
    site.sleep(5.0)
    assert (site.state("a:0"), site.signals[-1]) == ("killing", (2.0, "a:0", 9, "tree"))
    assert site.manager.exit_code is None
    site.tree_ended(pid)
    assert (site.state("a:0"), site.exit_code) == ("stopped", 0)


def test_after_a_crash_the_replacement_waits_until_the_tree_is_empty() -> None:
    site = Drive(group("a", stop=Stop(signal=2)))
    pid = site.die("a:0", 1, leftover=True)
    assert (site.state("a:0"), site.signals, len(site.starts)) == ("stopping", [(0.0, "a:0", 15, "tree")], 1)
    site.tree_ended(pid)
    assert site.trace[-3:] == ["a:0 stopping>backoff", "a:0 backoff>starting", "a:0 starting>running"]
    assert site.manager.groups["a"].budget.used == 1


def test_scope_leader_spares_the_tree_until_the_leader_has_ended() -> None:
    site = Drive(group("a", stop=Stop(signal=3, scope="leader")))
    site.stop()
    site.die("a:0", 0, leftover=True)
    assert site.signals == [(0.0, "a:0", 3, "leader"), (0.0, "a:0", 15, "tree")]


def test_a_site_ends_with_0_when_every_worker_has_exited_normally() -> None:
    site = Drive(group("a", workers=2), group("b"))
    for worker in ("a:0", "b:0"):
        site.die(worker, 0)
        assert site.manager.exit_code is None
    site.die("a:1", 0)
    assert site.exit_code == 0


def test_a_site_that_ends_by_itself_gives_the_first_failure() -> None:
    never = Restart(when="never", on_exhausted="ignore")
    site = Drive(group("a", restart=never), group("b", restart=never), group("c"))
    site.die("b:0", 1)
    site.die("a:0", 0)
    assert site.manager.exit_code is None
    site.die("c:0", 0)
    assert site.exit_code == 10


def test_on_exhausted_stop_ends_the_group_and_spares_the_site() -> None:
    site = Drive(group("a", workers=2, restart=Restart(max_restarts=0, on_exhausted="stop")), group("b"))
    site.die("a:0", 1)
    site.die("a:1", 0)
    assert (site.state("a:0"), site.state("a:1"), site.state("b:0"), site.exit_code) == (
        "failed",
        "stopped",
        "running",
        None,
    )
    site.die("b:0", 0)
    assert site.exit_code == 10


def test_exit_code_from_gives_the_site_the_status_of_its_group() -> None:
    for code, signal, expected in ((0, None, 0), (1, None, 1), (42, None, 42), (255, None, 255), (None, 11, 139)):
        never = Restart(when="never")
        site = Drive(group("api", restart=never), group("b"), exit_code_from="api")
        site.die("api:0", code, signal=signal)
        assert site.signals == [(0.0, "b:0", 15, "tree")]
        site.die("b:0", signal=15)
        assert site.exit_code == expected


def test_a_stop_asked_for_before_the_plan_ends_with_0() -> None:
    manager = Manager()
    assert Drain(15) in manager.handle(ShutDown("SIGTERM"), 0.0).actions
    manager.handle(Left(0), 0.0)
    assert manager.exit_code == 0


def test_an_invalid_configuration_at_the_start_ends_with_78() -> None:
    manager = Manager()
    manager.handle(Load(), 0.0)
    outcome = manager.handle(LoadFailed("site.toml: 1 error", "text"), 0.0)
    manager.handle(Left(0), 0.0)
    assert (manager.exit_code, outcome.actions[:2]) == (78, [Print("text"), Drain(15)])


def test_an_orphan_is_counted_and_never_acted_on() -> None:
    site = Drive(group("a"))
    site.tell(Exited(9999, 1, None, Usage(), False, 0.0))
    assert (site.state("a:0"), len(site.starts)) == ("running", 1)
    site.stop()
    site.die("a:0", 0)
    told = {notice.event: notice.fields for notice in site.notices[-2:]}
    assert told == {
        "site.stopping": {"digest": "digest", "exit_code": 0},
        "site.stopped": {"digest": "digest", "exit_code": 0, "orphans": 1},
    }


DRAINS = Stop(grace=2.0, drain=5.0)


def test_one_that_was_ready_serves_on_for_its_drain_before_it_hears_the_signal() -> None:
    site = Drive(group("a", stop=DRAINS))
    site.stop()
    assert (site.state("a:0"), site.signals) == ("stopping", [])
    assert site.reasons[-1] == "SIGTERM; drains for 5s"
    site.sleep(10.0)
    assert site.signals == [(5.0, "a:0", 15, "tree"), (7.0, "a:0", 9, "tree")]


def test_one_that_is_not_ready_yet_has_nothing_to_drain() -> None:
    site = Drive(group("a", stop=DRAINS, ready=Ready("notify", timeout=60.0)))
    site.stop()
    assert site.signals == [(0.0, "a:0", 15, "tree")]


def test_a_stop_at_once_cuts_a_drain_short() -> None:
    site = Drive(group("a", stop=DRAINS))
    site.stop()
    site.sleep(1.0)
    site.stop(now=True)
    assert site.signals == [(1.0, "a:0", 9, "tree")]


def test_what_a_leader_that_ends_while_it_drains_has_left_is_told_at_once() -> None:
    site = Drive(group("a", stop=DRAINS._replace(signal=2)))
    site.stop()
    site.sleep(1.0)
    site.die("a:0", 1, leftover=True)
    site.sleep(10.0)
    assert site.signals == [(1.0, "a:0", 15, "tree"), (3.0, "a:0", 9, "tree")]


def test_a_group_that_drains_gives_its_turn_on_when_its_worker_is_gone() -> None:
    site = Drive(group("a", 2, stop=DRAINS))
    site.reload(changed(group("a", 2, stop=DRAINS)))
    site.sleep(5.5)
    assert site.signals == [(5.0, "a:0", 15, "tree")]
    site.die("a:0", 0)
    assert [site.state("a:0"), site.state("a:1")] == ["running", "stopping"]
    assert len(site.signals) == 1
    site.sleep(5.0)
    assert site.signals[1:] == [(10.5, "a:1", 15, "tree")]
