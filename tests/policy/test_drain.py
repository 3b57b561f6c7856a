"""What is left once the last worker is gone, how the guard is kept, and what the last word says."""

from __future__ import annotations

from typing import Any

import pytest

from procman.plan import Plan, Restart, Stop
from procman.policy.events import (
    EndHelper,
    Exited,
    GuardRules,
    HelperEnded,
    Left,
    Load,
    Loaded,
    RunHelper,
    ShutDown,
    TimePassed,
    Usage,
)
from procman.policy.manager import Manager
from tests.policy.drive import Drive, group

REDIS = "redis-server (pid 41)"


def ending(*left: str, **site: Any) -> Drive:
    """A site that was asked to stop at 0, whose one worker is gone at once, and who is left then."""
    drive = Drive(group("a"), **site)
    drive.left = list(left)
    drive.stop()
    drive.die("a:0", 0)
    return drive


def draining(drive: Drive) -> list[str]:
    """What the log says of those who are left."""
    return [notice.reason for notice in drive.notices if notice.event == "site.draining"]


def test_with_nobody_left_the_site_ends_at_once_and_says_nothing_of_it() -> None:
    site = ending()
    assert (site.exit_code, site.drains, draining(site), site.manager.deadline()) == (0, [(0.0, 15)], [], None)


def test_whoever_is_left_is_asked_to_end_and_waited_for() -> None:
    site = ending(REDIS)
    site.sleep(1.0)
    assert (site.exit_code, site.drains) == (None, [(0.0, 15)])
    assert draining(site) == [f"1 process ({REDIS}) left: asked to end, within 2s"]
    site.tell(Left(0))
    assert (site.exit_code, site.manager.deadline()) == (0, None)


def test_the_deaf_are_killed_after_the_wait_and_not_before() -> None:
    site = ending(REDIS, "sh (pid 43)")
    site.sleep(2.5)
    assert (site.exit_code, site.drains) == (None, [(0.0, 15), (2.0, 9)])
    assert draining(site)[1:] == [f"2 processes ({REDIS}, sh (pid 43)) left: killed"]
    site.tell(Left(0))
    assert site.exit_code == 0


def test_who_cannot_be_killed_is_named_and_left_behind_in_bounded_time() -> None:
    site = ending(REDIS)
    site.sleep(60.0)
    assert (site.exit_code, site.drains) == (0, [(0.0, 15), (2.0, 9)])
    assert draining(site)[-1] == f"1 process ({REDIS}) left behind: SIGKILL did not end them"


def test_the_sites_stop_timeout_bounds_the_drain_too() -> None:
    site = Drive(group("a", stop=Stop(grace=60.0)), stop_timeout=5.0)
    site.left = [REDIS]
    site.stop()
    site.sleep(4.0)
    site.die("a:0", 0)
    site.sleep(1.0)
    assert site.drains == [(4.0, 15), (5.0, 9)]


def test_where_the_graces_are_over_there_is_none_for_those_who_are_left() -> None:
    site = Drive(group("a"))
    site.left = [REDIS]
    site.stop(now=True)
    site.die("a:0", signal=9)
    assert site.drains == [(0.0, 9)]


def test_a_second_wish_to_stop_kills_those_who_are_left_once() -> None:
    site = ending(REDIS)
    site.sleep(1.0)
    site.stop()
    site.stop()
    assert site.drains == [(0.0, 15), (1.0, 9)]


def test_an_orphan_that_is_reaped_meanwhile_is_counted_and_no_more() -> None:
    site = ending(REDIS)
    site.tell(Exited(41, None, 15, Usage(), False, 0.0))
    assert (site.exit_code, site.manager.census.orphans) == (None, 1)
    site.tell(Left(0))
    assert site.manager.census.orphans == site.notices[-1].fields["orphans"] == 1


def test_a_site_that_ends_by_itself_is_drained_with_its_own_code() -> None:
    site = Drive(group("a", restart=Restart(when="never", on_exhausted="ignore")))
    site.left = [REDIS]
    site.die("a:0", 3)
    assert (site.exit_code, site.drains) == (None, [(0.0, 15)])
    site.tell(Load())
    site.tell(Left(0))
    assert site.exit_code == 10


LAST_WORDS = [
    (Restart(when="never"), 3, 10, "a failed: exit status 3"),
    (Restart(when="never", on_exhausted="ignore"), 3, 10, "a failed: exit status 3"),
    (Restart(), 0, 0, "nothing is left to run"),
]


@pytest.mark.parametrize(("restart", "status", "code", "words"), LAST_WORDS)
def test_the_last_word_says_why(restart: Restart, status: int, code: int, words: str) -> None:
    site = Drive(group("a", restart=restart))
    site.die("a:0", status)
    word = site.manager.last_word
    assert word is not None
    assert (word.event, word.reason, word.fields["exit_code"]) == ("site.stopped", words, code)
    assert site.notices[-1] == word._replace(fields={"digest": "digest", **word.fields})


def test_the_last_word_of_a_site_that_was_asked_to_stop_is_who_asked() -> None:
    word = ending().manager.last_word
    assert word is not None
    assert (word.level, word.reason) == ("info", "SIGTERM")


# --- the guard ---------------------------------------------------------------------------------------------

PLAN = Plan("shop", (group("a", stop=Stop(2, 1.0)), group("b")))
RULES = (("a", Stop(2, 1.0)), ("b", Stop()))
GUARD = RunHelper("guard", GuardRules("shop", RULES))


def guards(manager: Manager, *events: Any, now: float = 0.0) -> list[Any]:
    """What is asked of the guard after each event."""
    return [
        action
        for event in events
        for action in manager.handle(event, now).actions
        if isinstance(action, RunHelper | EndHelper)
    ]


def test_the_guard_has_the_stop_rules_of_every_plan_and_hears_of_nothing_else() -> None:
    manager = Manager()
    assert guards(manager, Load(), Loaded(PLAN, "")) == [GUARD]
    scaled = PLAN._replace(groups=(PLAN.groups[0], PLAN.groups[1]._replace(workers=0)))
    assert guards(manager, Load(), Loaded(scaled, "")) == []
    patient = PLAN._replace(groups=(PLAN.groups[0], PLAN.groups[1]._replace(stop=Stop(grace=60.0))))
    assert guards(manager, Load(), Loaded(patient, "")) == [
        RunHelper("guard", GuardRules("shop", (RULES[0], ("b", Stop(grace=60.0)))))
    ]
    assert guards(manager, Load(), Loaded(patient._replace(orphans="keep"), "")) == [EndHelper("guard")]
    assert guards(manager, HelperEnded("guard", "killed by SIGKILL", 0.0)) == []


def test_a_guard_that_ends_is_started_again_at_once_and_then_with_growing_delays() -> None:
    manager = Manager()
    assert guards(manager, Load(), Loaded(PLAN, "")) == [GUARD]
    now, delays = 0.0, []
    for _ in range(4):
        outcome = manager.handle(HelperEnded("guard", "killed by SIGKILL", 0.0), now)
        assert [record[0] for record in outcome.records] == ["helper.ended"]
        deadline = manager.deadline()
        if deadline is None:
            assert GUARD in outcome.actions
        else:
            assert GUARD not in outcome.actions
            delays.append(deadline - now)
            now = deadline
            assert guards(manager, TimePassed(), now=now) == [GUARD]
    assert delays == [0.5, 1.0, 2.0]
    assert guards(manager, HelperEnded("guard", "killed by SIGKILL", 0.0), now=now + 60.0) == [GUARD]


def test_once_the_last_worker_is_gone_no_guard_is_started_any_more() -> None:
    site = ending(REDIS)
    assert guards(site.manager, HelperEnded("guard", "killed by SIGKILL", 0.0), ShutDown("SIGINT")) == []
