"""How a worker's end becomes a restart, a failure or procman's own exit code."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest

from tests.site.running import up
from tests.site.sites import FOREVER, group, site_of, when_asked


@pytest.mark.parametrize(
    ("end", "code"),
    [("exit 0", 0), ("exit 1", 1), ("exit 42", 42), ("exit 255", 255), ("kill -9 $$", 137), ("kill -11 $$", 139)],
)
def test_the_exit_code_of_one_group_becomes_that_of_the_site(tmp_path: Path, end: str, code: int) -> None:
    main = group("main", f"ulimit -c 0; {end}", 'restart = { when = "never" }', 'after = ["other"]')
    text = site_of(main, group("other", when_asked("os._exit(3)")), site='exit_code_from = "main"')
    with up(tmp_path, text) as site:
        assert site.wait() == code
        assert site.states("other:0") == ["starting", "running", "stopping", "stopped"]
        assert (site.told("site.stopping")[0]["exit_code"], site.told("site.stopped")[0]["exit_code"]) == (code, code)


def test_a_site_that_was_asked_to_stop_ends_with_0_whatever_its_main_group_says(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("main", when_asked("os._exit(3)")), site='exit_code_from = "main"')) as site:
        site.until_said("up")
        assert site.stop() == 0


def test_a_core_that_was_dumped_is_told(tmp_path: Path) -> None:
    options = ('limits = { core = "unlimited" }', 'restart = { when = "never" }', f'cwd = "{tmp_path}"')
    with up(tmp_path, site_of(group("a", "kill -ABRT $$", *options))) as site:
        failed = site.until("worker.failed", "a:0")
        assert (failed["signal"], failed.fields.get("cause")) == ("SIGABRT", "core"), failed["reason"]
        assert failed["reason"].startswith("killed by SIGABRT (core dumped)")
        assert site.wait() == 10


def test_the_nine_outcomes_of_the_restart_policy(tmp_path: Path) -> None:
    """A worker that ends once, in each of three ways, and would stay from its second run on."""
    groups = [
        group(
            f"{when}-{name}",
            f'[ "$PROCMAN_GENERATION" = 2 ] && {FOREVER}; {end}',
            f'restart = {{ when = "{when}", on_exhausted = "ignore" }}',
        )
        for when in ("always", "on-failure", "never")
        for name, end in (("zero", "exit 0"), ("one", "exit 1"), ("kill", "kill -9 $$"))
    ]
    with up(tmp_path, site_of(*groups)) as site:
        again = ("always-zero:0", "always-one:0", "always-kill:0", "on-failure-one:0", "on-failure-kill:0")
        for worker in again:
            site.until("worker.running", worker, count=2)
        over = {
            "never-zero:0": "exited",
            "never-one:0": "failed",
            "never-kill:0": "failed",
            "on-failure-zero:0": "exited",
        }
        for worker, state in over.items():
            site.until(f"worker.{state}", worker)
        assert site.stop() == 0
        assert {worker: len(site.told("worker.starting", worker)) for worker in over} == dict.fromkeys(over, 1)
        assert {worker: len(site.told("worker.starting", worker)) for worker in again} == dict.fromkeys(again, 2)
        assert [event["restarts"] for worker in again for event in site.told("worker.backoff", worker)] == [
            0,
            1,
            1,
            1,
            1,
        ]


def test_codes_and_signals_that_count_as_success_are_no_failure(tmp_path: Path) -> None:
    policy = 'restart = { success = [0, 130, "USR1"] }'
    groups = [group("code", "exit 130", policy), group("signal", "kill -USR1 $$", policy)]
    after = group("next", "echo next", 'kind = "job"', 'after = { code = "completed", signal = "completed" }')
    with up(tmp_path, site_of(*groups, after)) as site:
        assert site.wait() == 0
        assert site.words == ["next"]
        assert [site.states(f"{name}:0")[-1] for name in ("code", "signal")] == ["exited", "exited"]


@pytest.mark.parametrize(("on_exhausted", "code"), [("shutdown", 10), ("stop", 0), ("ignore", 0)])
def test_a_spent_budget_gives_up_with_one_line(tmp_path: Path, on_exhausted: str, code: int) -> None:
    policy = f'restart = {{ max_restarts = 3, backoff = false, on_exhausted = "{on_exhausted}" }}'
    crashing = group("api", f'[ "$PROCMAN_TASK_ID" = 1 ] && {FOREVER}; exit 1', policy, "workers = 2")
    with up(tmp_path, site_of(crashing, group("other", FOREVER))) as site:
        site.until("group.failed")
        if on_exhausted == "shutdown":
            assert site.wait() == 10
        elif on_exhausted == "stop":
            site.until("worker.stopped", "api:1")
            assert set(site.pids()) == {"other:0"}
        else:
            assert set(site.pids()) == {"api:1", "other:0"}
        assert site.process.poll() in (10, None)
        assert (site.stop() if code == 0 else site.wait()) == code
        assert len(site.told("worker.running", "api:0")) == 4
        assert [event["budget_left"] for event in site.told("worker.backoff")] == [2, 1, 0]
        assert [event["reason"] for event in site.told("group.failed")] == [
            "api:0 failed for good: exit status 1; 3 restarts spent"
        ]


def test_a_budget_in_a_window_gives_up_on_a_burst_and_not_on_a_trickle(tmp_path: Path) -> None:
    policy = 'restart = {{ max_restarts = 1, window = "{}", backoff = false, on_exhausted = "ignore" }}'
    burst = group("burst", "exit 1", policy.format("1h"))
    slow = f'[ "$PROCMAN_GENERATION" = 4 ] && {FOREVER}; sleep 0.5; exit 1'
    with up(tmp_path, site_of(burst, group("trickle", slow, policy.format("300ms")))) as site:
        site.until("worker.failed", "burst:0")
        assert len(site.told("worker.running", "burst:0")) == 2
        site.until("worker.running", "trickle:0", count=4)
        assert [event["restarts"] for event in site.told("worker.backoff", "trickle:0")] == [1, 1, 1]


def test_the_delays_grow_to_their_limit(tmp_path: Path) -> None:
    backoff = '{ initial = "100ms", factor = 2.0, max = "400ms", jitter = 0.5 }'
    crashing = group("api", "exit 1", f"restart = {{ max_restarts = 5, backoff = {backoff} }}")
    with up(tmp_path, site_of(crashing)) as site:
        assert site.wait() == 10
        told = [event["delay_s"] for event in site.told("worker.backoff")]
        least = [0.0, 0.1, 0.2, 0.4, 0.4]
        assert [low <= delay <= 1.5 * low for low, delay in zip(least, told, strict=True)] == [True] * 5
        begun = [event.at for event in site.told("worker.starting")]
        gaps = [later - sooner for sooner, later in itertools.pairwise(begun)]
        assert [gap >= delay - 0.001 for gap, delay in zip(gaps, told, strict=True)] == [True] * 5


def test_a_worker_that_always_ends_at_once_causes_no_storm(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("api", "exit 0", 'restart = { when = "always" }'))) as site:
        site.until("worker.backoff", count=3)
        starts = [event.at for event in site.told("worker.starting")]
        assert starts[2] - starts[1] >= 0.5
        told = [(event["restarts"], event["delay_s"]) for event in site.told("worker.backoff")[:3]]
        pairs = zip(told, (0, 0.5, 1.0), strict=True)
        assert [(restarts, delay >= least) for (restarts, delay), least in pairs] == [(0, True)] * 3


def test_a_job_that_ends_well_is_done_and_so_is_the_site(tmp_path: Path) -> None:
    jobs = [group(name, f"echo {name}", 'kind = "job"') for name in ("a", "b")]
    with up(tmp_path, site_of(*jobs)) as site:
        assert site.wait() == 0
        assert sorted(site.words) == ["a", "b"]
        assert site.states("a:0") == site.states("b:0") == ["starting", "running", "exited"]


def test_a_job_that_fails_is_not_run_again_and_ends_the_site(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("job", "echo run; exit 1", 'kind = "job"'), group("api", FOREVER))) as site:
        assert site.wait() == 10
        assert site.words == ["run"]


def test_one_for_all_restarts_the_whole_group_for_one(tmp_path: Path) -> None:
    policy = 'restart = { strategy = "one-for-all", backoff = false }'
    with up(tmp_path, site_of(group("api", FOREVER, policy, "workers = 3"))) as site:
        site.until("worker.running", count=3)
        before = site.pids()
        os.kill(before["api:1"], signal.SIGKILL)
        site.until("worker.running", count=6)
        after = site.pids()
        assert set(after) == set(before)
        assert set(after.values()) & set(before.values()) == set()
        assert [event["restarts"] for event in site.events if "restarts" in event.fields] == [1]
