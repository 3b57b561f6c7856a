"""Workers moved by hand: start, stop, restart, scale, signal, and what outlives a reload (CASES, section G)."""

from __future__ import annotations

import pytest

from procman.choices import Verb
from procman.plan import Restart, Schedule
from procman.policy.events import Due, Load, Signal, State
from procman.policy.events.requests import (
    Accepted,
    Answer,
    Asked,
    Departed,
    Done,
    Down,
    Operate,
    Refused,
    Reply,
    Request,
    Scale,
    Selector,
    SendSignal,
    ShowStatus,
    SiteStatus,
)
from procman.policy.manager import Manager
from tests.policy.drive import Drive, changed, group

IGNORE = Restart(max_restarts=1, on_exhausted="ignore")
GIVE_UP = Restart(max_restarts=0, on_exhausted="stop")


class Operated(Drive):
    """A site with an operator, client 1."""

    def ask(self, request: Request, *, wait: bool = True, client: int = 1) -> None:
        self.tell(Asked(client, request, wait))

    def do(self, verb: Verb, *targets: str) -> None:
        parts = [target.partition(":") for target in targets]
        selectors = [Selector(name, int(task) if colon else None) for name, colon, task in parts]
        self.ask(Operate(verb, tuple(selectors)))

    @property
    def replies(self) -> list[Reply]:
        """What client 1 was answered."""
        return [action.reply for action in self.actions if isinstance(action, Answer) and action.client == 1]


def stopped(site: Drive, *workers: str) -> None:
    for worker in workers:
        site.die(worker, signal=15)


def test_a_group_stopped_by_hand_is_down_and_keeps_the_site_up() -> None:
    site = Operated(group("a", workers=2))
    site.do("stop", "a")
    assert site.signals == [(0.0, "a:0", 15, "tree"), (0.0, "a:1", 15, "tree")]
    stopped(site, "a:0")
    assert site.replies == [Accepted(("a:0", "a:1"))]
    stopped(site, "a:1")
    assert (site.replies[1:], site.state("a:0"), site.exit_code) == ([Done()], "stopped", None)
    site.do("start", "a")
    assert (site.state("a:1"), site.replies[-1]) == ("running", Done())


def test_one_worker_stopped_by_hand_leaves_its_siblings_alone() -> None:
    site = Operated(group("a", workers=2))
    site.do("stop", "a:1")
    stopped(site, "a:1")
    site.sleep(100.0)
    assert (site.state("a:0"), site.state("a:1"), len(site.starts)) == ("running", "stopped", 2)


def test_who_starts_again_after_a_restart_by_hand_says_so() -> None:
    site = Operated(group("a"))
    site.do("restart", "a")
    stopped(site, "a:0")
    assert [t.reason for t in site.transitions if t.to is State.STARTING] == ["first start", "restarted by hand"]


def test_nobody_waits_for_more_workers_of_a_job_before_it_is_due() -> None:
    site = Operated(group("a"), group("job", kind="job", schedule=Schedule("@daily")))
    site.ask(Scale("job", 2))
    assert site.replies == [Accepted(("job:1",), "job: 2 workers (file: 1)"), Done()]
    site.tell(Due("job", 0))
    assert (site.state("job:0"), site.state("job:1")) == ("running", "running")


def test_a_stop_by_hand_cancels_a_backoff() -> None:
    site = Operated(group("a"))
    site.die("a:0", 1)
    site.die("a:0", 1)
    site.do("stop", "a")
    site.sleep(100.0)
    assert (site.trace[-1], site.manager.deadline(), site.replies[-1]) == ("a:0 backoff>stopped", None, Done())


def test_a_restart_by_hand_counts_on_no_budget_and_keeps_the_task() -> None:
    site = Operated(group("a", workers=2, restart=Restart(max_restarts=0)))
    site.do("restart", "a")
    stopped(site, "a:0")
    stopped(site, "a:1")
    assert (site.state("a:0"), site.state("a:1"), site.manager.groups["a"].budget.used) == ("running", "running", 0)
    assert (site.id("a:0").generation, site.replies[-1]) == (2, Done())


@pytest.mark.parametrize(("target", "used"), [("a", 0), ("a:0", 1)], ids=["a group", "one worker"])
def test_a_fresh_budget_comes_with_a_whole_group_and_not_with_one_worker(target: str, used: int) -> None:
    site = Operated(group("a", restart=IGNORE), group("b"))
    site.die("a:0", 1)
    site.die("a:0", 1)
    assert site.state("a:0") == "failed"
    site.do("start", target)
    assert (site.state("a:0"), site.manager.groups["a"].budget.used) == ("running", used)


def test_a_failure_that_was_started_again_is_no_failure_of_the_site() -> None:
    site = Operated(group("a", restart=IGNORE._replace(max_restarts=0)), group("b"))
    site.die("a:0", 1)
    site.do("start", "a:0")
    site.die("a:0", 0)
    site.die("b:0", 0)
    assert site.exit_code == 0


def test_a_group_that_has_given_up_starts_as_a_whole_only() -> None:
    site = Operated(group("a", workers=2, restart=GIVE_UP), group("b"))
    site.die("a:0", 1)
    stopped(site, "a:1")
    site.do("start", "a:0")
    assert site.replies == [Refused("a has given up", "start all of it: procman start a")]
    site.do("start", "a")
    assert (site.state("a:0"), site.state("a:1")) == ("running", "running")


def test_scaling_adds_the_next_ids_takes_the_highest_first_and_touches_no_other() -> None:
    site = Operated(group("a", workers=2))
    kept = site.pid_of("a:0"), site.pid_of("a:1")
    site.ask(Scale("a", 5))
    assert [name for _, name in site.starts] == ["a:0", "a:1", "a:2", "a:3", "a:4"]
    site.ask(Scale("a", 3))
    assert sorted(name for _, name, _, _ in site.signals) == ["a:3", "a:4"]
    stopped(site, "a:4", "a:3")
    site.ask(Scale("a", 3))
    assert (site.pid_of("a:0"), site.pid_of("a:1"), len(site.signals)) == (*kept, 2)
    site.ask(Scale("a", 0))
    stopped(site, "a:0", "a:1", "a:2")
    assert (site.manager.groups["a"].slots, site.exit_code) == ([], None)
    site.ask(Scale("a", 2))
    assert (site.state("a:1"), site.replies[-1]) == ("running", Done())


@pytest.mark.parametrize("workers", [-1, 100_001])
def test_a_number_that_no_group_can_have_is_refused(workers: int) -> None:
    site = Operated(group("a"))
    site.ask(Scale("a", workers))
    assert site.replies == [Refused(f"a cannot have {workers} workers", "a number from 0 to 100000")]


def test_what_was_done_by_hand_outlives_a_reload() -> None:
    plan = group("a", workers=2)
    site = Operated(plan)
    site.ask(Scale("a", 3))
    site.do("stop", "a:0")
    stopped(site, "a:0")
    site.reload(changed(plan))
    stopped(site, "a:1", "a:2")
    assert [site.state(f"a:{task}") for task in range(3)] == ["stopped", "running", "running"]


def test_a_reload_with_another_number_of_workers_ends_what_was_done_by_hand() -> None:
    site = Operated(group("a", workers=2))
    site.ask(Scale("a", 5))
    site.do("stop", "a:0")
    stopped(site, "a:0")
    site.reload(group("a", workers=3))
    stopped(site, "a:3", "a:4")
    assert ([slot.worker.state for slot in site.manager.groups["a"].slots]) == ["running"] * 3


def test_a_signal_goes_to_the_leader_and_has_no_other_effect() -> None:
    site = Operated(group("a", workers=2))
    site.ask(SendSignal(10, (Selector("a", 1),)))
    assert (site.signals, site.replies) == ([(0.0, "a:1", 10, "leader")], [Accepted(("a:1",)), Done()])
    assert [action.signal for action in site.actions if isinstance(action, Signal)] == [10]
    assert site.state("a:1") == "running"


def test_a_signal_to_who_is_not_running_is_refused() -> None:
    site = Operated(group("a", workers=2), group("b"))
    site.die("a:0", 0)
    site.ask(SendSignal(10, (Selector("b"), Selector("a", 0))))
    assert (site.signals, site.replies) == ([], [Refused("a:0 is not running", "see `procman status`")])


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        ("c", Refused("there is no group `c`", "the groups are a, b")),
        ("b:1", Refused("there is no worker b:1", "it has 1 worker")),
        ("a:2", Refused("there is no worker a:2", "its workers are 0 to 1")),
    ],
)
def test_who_is_not_there_is_refused_and_nothing_is_done(target: str, refused: Refused) -> None:
    site = Operated(group("a", workers=2), group("b"))
    site.do("stop", "b", target)
    assert (site.replies, site.signals) == ([refused], [])


def test_before_there_is_a_plan_and_after_its_end_nothing_can_be_moved() -> None:
    manager = Manager()
    manager.handle(Load(), 0.0)
    refusal = manager.handle(Asked(1, Scale("a", 1)), 0.0).actions
    assert refusal == [Answer(1, Refused("the site is starting"))]
    site = Operated(group("a"))
    site.stop()
    site.do("start", "a")
    assert site.replies == [Refused("the site is stopping")]


def test_who_waits_for_a_start_hears_why_it_failed() -> None:
    site = Operated(group("a", restart=IGNORE), group("b"))
    site.do("stop", "a")
    stopped(site, "a:0")
    site.spawns_work = False
    site.do("start", "a")
    site.cannot_start("a:0", "exec", 2)
    assert site.replies[-1] == Done(("a:0: failed: cannot start: errno 2",))


def test_who_waits_hears_that_the_site_ends_meanwhile() -> None:
    site = Operated(group("a"))
    site.do("restart", "a")
    site.stop()
    assert site.replies[-1] == Done(("a:0: the site is stopping",))


def test_who_has_gone_away_is_not_answered() -> None:
    site = Operated(group("a"))
    site.do("stop", "a")
    site.tell(Departed(1))
    stopped(site, "a:0")
    assert site.replies == [Accepted(("a:0",))]


def test_who_does_not_wait_is_answered_at_once() -> None:
    site = Operated(group("a"))
    site.ask(Operate("stop", (Selector("a"),)), wait=False)
    assert site.replies == [Accepted(("a:0",)), Done()]


def test_down_ends_the_site_and_a_second_one_does_not_kill() -> None:
    site = Operated(group("a"))
    site.ask(Down())
    site.sleep(1.0)
    site.ask(Down(), client=2)
    assert [number for _, _, number, _ in site.signals] == [15]
    stopped(site, "a:0")
    assert (site.exit_code, site.replies) == (0, [Accepted(()), Done()])


def test_down_now_kills() -> None:
    site = Operated(group("a"))
    site.ask(Down(now=True))
    assert [number for _, _, number, _ in site.signals] == [9]


def test_one_for_all_does_not_start_what_was_stopped_by_hand() -> None:
    site = Operated(group("a", workers=2, restart=Restart(strategy="one-for-all")))
    site.do("stop", "a:1")
    stopped(site, "a:1")
    site.die("a:0", 1)
    assert (site.state("a:0"), site.state("a:1")) == ("running", "stopped")


def test_a_dependent_waits_for_what_was_stopped_by_hand() -> None:
    site = Operated(group("job", kind="job"), group("a", after=(("job", "completed"),)))
    site.do("stop", "job")
    stopped(site, "job:0")
    assert (site.state("a:0"), site.manager.groups["a"].blocked, site.exit_code) == ("stopped", None, None)
    site.do("start", "job")
    site.die("job:0", 0)
    assert site.state("a:0") == "running"


def test_the_status_says_how_everything_is() -> None:
    site = Operated(group("a", workers=2), group("b", after=(("a", "completed"),)))
    site.die("a:0", 1)
    site.do("stop", "a:1")
    stopped(site, "a:1")
    site.ask(Scale("a", 3))
    site.now = 5.0
    site.ask(ShowStatus())
    status = site.replies[-1]
    assert isinstance(status, SiteStatus)
    assert [(w.group, w.task, w.state, w.uptime_s, w.held, w.last_exit) for w in status.workers] == [
        ("a", 0, "running", 5.0, False, "exit status 1"),
        ("a", 1, "stopped", None, True, "killed by SIGTERM"),
        ("a", 2, "running", 5.0, False, None),
        ("b", 0, "stopped", None, False, None),
    ]
    assert [tuple(one) for one in status.groups] == [
        ("a", 3, 2, 1, 99, "", False),
        ("b", 1, 1, 0, 100, "waits for a", False),
    ]
