"""Start-first: the successor starts beside the old one and takes its place once it is ready; else the old one stays."""

from __future__ import annotations

import pytest

from procman.plan import GroupPlan, Ready, Restart, Update
from procman.policy.events import Exited, Forked, Signal, Spawn, Unready, Usage, WorkerId
from procman.policy.events import Ready as IsReady
from procman.policy.events.requests import Answer, Asked, Done, Operate, Scale, Selector, ShowStatus, SiteStatus
from tests.policy.drive import Drive, changed, group

A = group("a", 2, ready=Ready("notify", timeout=5.0), update=Update("start-first"))


def begun(plan: GroupPlan = A) -> Drive:
    """A site in which all are ready."""
    site = Drive(plan)
    for task in range(plan.workers):
        site.tell(IsReady(site.id(f"a:{task}"), "it says so"))
    return site


def told(site: Drive) -> list[int]:
    """The generations that have been told to stop, of whatever task, in order."""
    return [one.worker.generation for one in site.actions if isinstance(one, Signal) and one.signal == 15]


def generations(site: Drive, task: int = 0) -> list[int]:
    """Who is there, first the one that has the slot."""
    return [worker.id.generation for worker in site.manager.groups["a"].slots[task].workers]


def end(site: Drive, generation: int, code: int = 0, task: int = 0) -> None:
    """The leader of this generation ends."""
    worker = next(one for one in site.manager.groups["a"].slots[task].workers if one.id.generation == generation)
    assert worker.pid is not None
    site.tell(Exited(worker.pid, code, None, Usage(), False, 0.0))


def ready(site: Drive, generation: int, task: int = 0) -> None:
    site.tell(IsReady(WorkerId("a", task, generation), "it says so"))


def restart(site: Drive) -> None:
    site.tell(Asked(1, Operate("restart", (Selector("a"),))))


def test_the_old_one_is_told_to_stop_when_its_successor_is_ready() -> None:
    site = begun()
    site.reload(changed(A))
    assert (generations(site), told(site), site.state("a:0")) == ([1, 2], [], "running")
    ready(site, 2)
    assert (generations(site), told(site), site.state("a:0")) == ([2, 1], [1], "running")
    assert generations(site, 1) == [1]
    end(site, 1)
    assert (generations(site), generations(site, 1)) == ([2], [1, 2])
    assert site.manager.groups["a"].budget.used == 0


def test_the_log_says_which_is_which() -> None:
    site = begun()
    site.reload(changed(A))
    ready(site, 2)
    start, _, stop = site.transitions[-3:]
    assert (start.worker.generation, start.reason) == (
        2,
        "the configuration changed: beside generation 1 until it is ready",
    )
    assert (stop.worker.generation, stop.reason) == (1, "the configuration changed: generation 2 is ready")


def test_the_status_shows_both() -> None:
    site = begun()
    site.reload(changed(A))
    site.tell(Asked(7, ShowStatus()))
    (status,) = [action.reply for action in site.actions if isinstance(action, Answer) and action.client == 7]
    assert isinstance(status, SiteStatus)
    shown = [(one.task, one.generation, one.state, one.role) for one in status.workers]
    assert shown == [(0, 1, "running", ""), (0, 2, "starting", "successor"), (1, 1, "running", "")]


@pytest.mark.parametrize("how", ["it exits", "it says so", "never"])
def test_a_successor_that_fails_halts_the_replacement_and_the_old_ones_stay(how: str) -> None:
    site = begun()
    site.reload(changed(A))
    if how == "it exits":
        end(site, 2, 1)
    else:
        if how == "it says so":
            site.tell(Unready(WorkerId("a", 0, 2), "no"))
        else:
            site.sleep(5.0)
        assert told(site) == [2]
        end(site, 2, 0)
    assert [notice.event for notice in site.notices].count("group.halted") == 1
    assert [(site.state(f"a:{task}"), generations(site, task)) for task in range(2)] == [("running", [1])] * 2
    site.sleep(1000.0)
    assert site.manager.groups["a"].failure is None
    assert (len(site.starts), site.exit_code) == (3, None)


def test_a_restart_by_hand_tries_again_after_a_halt() -> None:
    site = begun()
    site.reload(changed(A))
    end(site, 2, 1)
    restart(site)
    assert generations(site) == [1, 3]


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_crash_of_the_old_one_meanwhile_starts_no_third_and_costs_nothing(by_hand: bool) -> None:
    site = begun()
    restart(site) if by_hand else site.reload(changed(A))
    end(site, 1, 1)
    assert (generations(site), site.state("a:0"), len(site.starts)) == ([2], "starting", 3)
    assert site.manager.groups["a"].budget.used == 0
    ready(site, 2)
    assert generations(site, 1) == [1, 2]


def test_what_the_old_one_left_behind_ends_beside_its_successor() -> None:
    site = begun()
    site.reload(changed(A))
    pid = site.die("a:0", 1, leftover=True)
    ready(site, 2)
    assert (generations(site), told(site)) == ([2, 1], [1])
    site.tree_ended(pid)
    assert (generations(site), generations(site, 1)) == ([2], [1, 2])


@pytest.mark.parametrize("what", ["down", "stop", "scale", "reload"])
def test_a_stop_meanwhile_stops_both(what: str) -> None:
    site = begun(A._replace(workers=1))
    site.reload(changed(A)._replace(workers=1))
    match what:
        case "down":
            site.stop()
        case "stop":
            site.tell(Asked(1, Operate("stop", (Selector("a"),))))
        case "scale":
            site.tell(Asked(1, Scale("a", 0)))
        case _:
            site.reload(group("b"))
    assert sorted(told(site)) == [1, 2]
    pids = [worker.pid for worker in site.manager.groups["a"].slots[0].workers]
    done = [isinstance(action, Answer) and isinstance(action.reply, Done) for action in site.actions]
    for pid in pids:
        assert not any(done)
        site.tell(Exited(pid or 0, 0, None, Usage(), False, 0.0))
        done = [isinstance(action, Answer) and isinstance(action.reply, Done) for action in site.actions]
    assert any(done) == (what in ("stop", "scale"))
    assert len(site.starts) == 2 + (what == "reload")
    assert (site.exit_code == 0) == (what == "down")


def test_a_successor_without_a_process_yet_is_told_to_stop_once_it_has_one() -> None:
    site = begun(A._replace(workers=1))
    site.spawns_work = False
    restart(site)
    site.stop()
    assert told(site) == [1]
    (new,) = [one.worker for one in site.actions if isinstance(one, Spawn) and one.worker.generation == 2]
    site.tell(Forked(new, 900))
    assert told(site) == [1, 2]


def test_another_reload_meanwhile_replaces_the_successor_too_and_there_are_never_three() -> None:
    site = begun(A._replace(workers=1))
    site.reload(changed(A)._replace(workers=1))
    site.reload(A._replace(workers=1, launch=A.launch._replace(command=("third",))))
    assert (generations(site), told(site)) == ([1, 2], [2])
    end(site, 2)
    assert generations(site) == [1, 3]
    ready(site, 3)
    assert told(site) == [2, 1]


def test_an_old_one_that_crashes_after_a_halt_is_judged_as_any_other() -> None:
    site = begun(A._replace(workers=1, restart=Restart(max_restarts=0, on_exhausted="ignore")))
    restart(site)
    end(site, 2, 1)
    end(site, 1, 1)
    assert site.state("a:0") == "failed"


def test_so_many_at_once_as_the_rule_says_and_one_is_done_when_its_predecessor_is_gone() -> None:
    plan = A._replace(workers=3, update=Update("start-first", parallel=2, pause=4.0))
    site = begun(plan)
    site.reload(changed(plan))
    assert [len(generations(site, task)) for task in range(3)] == [2, 2, 1]
    ready(site, 2)
    assert [len(generations(site, task)) for task in range(3)] == [2, 2, 1]
    end(site, 1)
    site.sleep(3.9)
    assert [len(generations(site, task)) for task in range(3)] == [1, 2, 1]
    site.sleep(0.1)
    assert [len(generations(site, task)) for task in range(3)] == [1, 2, 2]


def test_whoever_waits_for_a_restart_hears_of_the_halt() -> None:
    site = begun(A._replace(workers=1))
    restart(site)
    end(site, 2, 3)
    assert site.actions[-1] == Answer(
        1, Done(("a:0: the replacement has stopped: the successor of a:0 failed: exit status 3",))
    )
