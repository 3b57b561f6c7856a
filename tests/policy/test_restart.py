"""When a worker comes back, how soon, and when it does not (CASES, section C)."""

from __future__ import annotations

import errno

import pytest

from procman.choices import When
from procman.plan import Backoff, Restart
from procman.policy.events import Exit, Usage
from procman.policy.worker.restart import Budget, Ladder, spent
from tests.policy.drive import Drive, group


@pytest.mark.parametrize(
    ("when", "code", "signal", "state"),
    [
        ("always", 0, None, "running"),
        ("always", 1, None, "running"),
        ("always", None, 9, "running"),
        ("on-failure", 0, None, "exited"),
        ("on-failure", 1, None, "running"),
        ("on-failure", None, 9, "running"),
        ("never", 0, None, "exited"),
        ("never", 1, None, "failed"),
        ("never", None, 9, "failed"),
    ],
)
def test_the_policy_decides_between_one_more_run_and_none(
    when: When, code: int | None, signal: int | None, state: str
) -> None:
    site = Drive(group("a", restart=Restart(when=when, on_exhausted="ignore")), group("other"))
    site.die("a:0", code, signal=signal)
    assert (site.state("a:0"), len(site.starts)) == (state, 3 if state == "running" else 2)


def test_codes_and_signals_that_count_as_success_do_not_restart() -> None:
    restart = Restart(success_codes=(0, 130), success_signals=(15,))
    site = Drive(group("a", restart=restart), group("b", restart=restart))
    site.die("a:0", 130)
    site.die("b:0", signal=15)
    assert (site.state("a:0"), site.state("b:0"), site.exit_code) == ("exited", "exited", 0)


def test_three_restarts_allowed_are_exactly_four_runs() -> None:
    site = Drive(group("a", restart=Restart(max_restarts=3, backoff=None)))
    for _ in range(4):
        site.die("a:0", 1)
    assert (len(site.starts), site.state("a:0"), site.exit_code) == (4, "failed", 10)


def test_a_spent_budget_says_which_group_how_many_and_how_the_last_one_died() -> None:
    site = Drive(group("a", workers=2, restart=Restart(max_restarts=1, window=600.0, backoff=None)))
    site.die("a:0", 1)
    site.die("a:1", signal=11)
    notice = next(notice for notice in site.notices if notice.event == "group.failed")
    assert notice.reason == "a:1 failed for good: killed by SIGSEGV; 1 restart in 10m spent"
    assert notice.fields == {
        "group": "a",
        "restarts": 1,
        "max_restarts": 1,
        "window_s": 600.0,
        "on_exhausted": "shutdown",
    }


def test_the_budget_is_shared_by_the_workers_of_a_group() -> None:
    site = Drive(group("a", workers=3, restart=Restart(max_restarts=2, backoff=None, on_exhausted="ignore")))
    for worker in ("a:0", "a:1", "a:2"):
        site.die(worker, 1)
    assert [site.state(f"a:{task}") for task in range(3)] == ["running", "running", "failed"]


@pytest.mark.parametrize(("gap", "state"), [(0.5, "failed"), (4.0, "running")])
def test_a_window_forgives_what_is_older(gap: float, state: str) -> None:
    site = Drive(group("a", restart=Restart(max_restarts=3, window=10.0, backoff=None, on_exhausted="ignore")))
    for _ in range(4 if state == "failed" else 40):
        site.sleep(gap)
        site.die("a:0", 1)
    assert site.state("a:0") == state


def test_without_a_window_the_budget_is_for_the_groups_life() -> None:
    site = Drive(group("a", restart=Restart(max_restarts=3, backoff=None)))
    for _ in range(4):
        site.sleep(1e6)
        site.die("a:0", 1)
    assert site.exit_code == 10


def test_the_first_restart_is_immediate_and_the_next_ones_back_off() -> None:
    backoff = Backoff(initial=0.2, factor=2.0, max=1.0, jitter=0.0)
    site = Drive(group("a", restart=Restart(backoff=backoff)))
    gaps = []
    for _ in range(6):
        site.die("a:0", 1)
        died = site.now
        site.sleep(10.0)
        gaps.append(round(site.starts[-1][0] - died, 6))
    assert gaps == [0.0, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_stable_run_resets_the_backoff_but_not_the_budget() -> None:
    site = Drive(group("a", restart=Restart(max_restarts=3, reset_after=60.0)))
    site.die("a:0", 1)
    site.die("a:0", 1)
    assert site.state("a:0") == "backoff"
    site.sleep(0.5 + 60.0)
    site.die("a:0", 1)
    assert (site.state("a:0"), site.transitions[-3].retry) == ("running", (3, 0, 0.0))
    site.die("a:0", 1)
    assert site.exit_code == 10


def test_jitter_makes_a_delay_longer_by_its_share_at_most() -> None:
    policy, ladder = Restart(backoff=Backoff(initial=1.0, jitter=0.2)), Ladder()
    assert [ladder.climb(policy, 0.0, 0.5) for _ in range(3)] == [0.0, 1.1, 2.2]


def test_a_success_under_always_backs_off_and_costs_no_budget() -> None:
    site = Drive(group("a", restart=Restart(when="always", max_restarts=0)))
    starts = []
    for _ in range(8):
        site.die("a:0", 0)
        starts.append(len(site.starts))
        site.sleep(40.0)
    assert (site.state("a:0"), site.manager.groups["a"].budget.used) == ("running", 0)
    assert starts[:3] == [2, 2, 3], "at once, then with a delay: no storm"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EINVAL])
def test_a_start_with_an_option_that_is_not_permitted_fails_at_once_and_ends_the_site_with_12(number: int) -> None:
    site = Drive(group("a"))
    site.spawns_work = False
    site.die("a:0", 1)
    site.cannot_start("a:0", "setup", number)
    assert (site.state("a:0"), len(site.starts), site.exit_code) == ("failed", 2, 12)


@pytest.mark.parametrize(
    "number",
    [
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.ENOEXEC,
        errno.ELOOP,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ENAMETOOLONG,
        errno.E2BIG,
    ],
)
def test_a_command_that_cannot_be_executed_fails_at_once(number: int) -> None:
    site = Drive(group("a", restart=Restart(on_exhausted="ignore")), group("b"))
    site.spawns_work = False
    site.die("a:0", 1)
    site.cannot_start("a:0", "exec", number)
    assert (site.state("a:0"), site.state("b:0"), len(site.starts)) == ("failed", "running", 3)


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("cwd", errno.ENOENT),
        ("fork", errno.EAGAIN),
        ("fork", errno.ENOMEM),
        ("fork", errno.EMFILE),
        ("exec", errno.ETXTBSY),
    ],
)
def test_a_start_that_may_work_later_is_retried_within_the_budget(stage: str, number: int) -> None:
    site = Drive(group("a", restart=Restart(max_restarts=3, on_exhausted="ignore")), group("other"))
    site.spawns_work = False
    site.die("a:0", 1)
    for _ in range(3):
        site.cannot_start("a:0", stage, number)  # type: ignore[arg-type]
        site.sleep(60.0)
    assert (site.state("a:0"), len(site.starts)) == ("failed", 5)


def test_a_start_failure_ends_the_site_with_12() -> None:
    site = Drive(group("a"))
    site.spawns_work = False
    site.die("a:0", 1)
    site.cannot_start("a:0", "exec", errno.ENOENT)
    assert site.exit_code == 12


def test_delays_never_overflow_however_long_the_ladder() -> None:
    ladder, policy = Ladder(), Restart()
    assert [ladder.climb(policy, 0.0, 0.0) for _ in range(5000)][-1] == 30.0


def test_a_window_forgets_at_its_very_edge() -> None:
    budget, policy = Budget(), Restart(max_restarts=1, window=10.0)
    assert [budget.spend(policy, now) for now in (0.0, 9.999, 10.0)] == [True, False, True]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Restart(max_restarts=0), "no restarts allowed"),
        (Restart(max_restarts=1), "1 restart spent"),
        (Restart(max_restarts=20, window=300.0), "20 restarts in 5m spent"),
    ],
)
def test_a_spent_budget_in_words(policy: Restart, words: str) -> None:
    assert spent(policy) == words


def test_the_exit_is_told_with_the_transition() -> None:
    site = Drive(group("a"))
    site.sleep(2.0)
    site.die("a:0", 3)
    assert site.transitions[-3].exit == Exit(3, None, 2.0, Usage())
