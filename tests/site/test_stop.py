"""How workers, their trees and the whole site end, whatever state they are in."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from time import monotonic

import pytest

from tests.site.running import Site, up
from tests.site.sites import DEAF, FOREVER, group, python, site_of, when_asked

PATIENT = 'stop = { grace = "1h" }'
SHORT = 'stop = { grace = "1s" }'
ESCAPED = """\
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("escaped", os.getpid(), flush=True)
        signal.pause()
    os._exit(0)
os.wait()
signal.pause()
"""


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def endings(site: Site, worker: str) -> list[tuple[str, str]]:
    """The last steps of a worker: to which state, and how its leader ended where that was learnt."""
    steps = [event for event in site.events if event.worker == worker]
    return [(event["to"], event.fields.get("signal", event.fields.get("exit_code", ""))) for event in steps[2:]]


def test_a_deaf_worker_is_killed_at_its_deadline_and_one_that_obeys_never(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("deaf", DEAF, SHORT), group("good", FOREVER, SHORT))) as site:
        site.until_said("deaf")
        site.until("worker.running", "good:0")
        asked = monotonic()
        assert site.stop() == 0
        assert endings(site, "deaf:0") == [("stopping", ""), ("killing", ""), ("stopped", "SIGKILL")]
        assert endings(site, "good:0") == [("stopping", ""), ("stopped", "SIGTERM")]
        assert site.told("worker.killing")[0].seen - asked >= 1.0


def test_a_whole_tree_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    tree = "trap '' TERM; (sleep 3600 & echo up; wait) & sleep 3600 & echo up; wait"
    with up(tmp_path, site_of(group("tree", tree, SHORT))) as site:
        site.until_said("up", 2)
        site.until_descendants(lambda found: len(found) == 4)
        assert site.stop() == 0
        assert endings(site, "tree:0")[-1] == ("stopped", "SIGKILL")


def test_children_that_outlive_their_leader_are_ended_with_it(tmp_path: Path) -> None:
    tree = "(trap '' TERM; echo up; sleep 3600; sleep 3600) & wait"
    with up(tmp_path, site_of(group("tree", tree, SHORT))) as site:
        site.until_said("up")
        assert site.stop() == 0
        assert endings(site, "tree:0") == [("stopping", ""), ("killing", ""), ("stopped", "SIGTERM")]


def test_what_a_crashed_leader_leaves_behind_is_ended_before_the_replacement_begins(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "deaf")
    tree = "(trap '' TERM; echo yes > deaf; sleep 3600; sleep 3600) & read x < deaf; exit 1"
    options = f'{SHORT}\ncwd = "{tmp_path}"\nrestart = {{ max_restarts = 1, backoff = false }}'
    with up(tmp_path, site_of(group("tree", tree, options))) as site:
        assert site.wait() == 10
        cycle = ["starting", "running", "stopping", "killing"]
        assert site.states("tree:0") == [*cycle, "backoff", *cycle, "failed"]


def test_a_grandchild_of_another_session_that_holds_stdout_is_ended_with_its_worker(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("tree", python(ESCAPED), SHORT))) as site:
        escaped = int(site.until_said("escaped")[0].split()[1])
        site.signal(signal.SIGTERM)
        assert site.wait_for_core() == 0
        assert alive([escaped]) == []
        site.wait()
        assert endings(site, "tree:0") == [("stopping", ""), ("killing", ""), ("stopped", "SIGTERM")]
        assert site.told("site.draining") == []


def test_a_stopped_worker_hears_the_stop_signal_at_once(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("api", FOREVER, PATIENT))) as site:
        os.kill(site.until("worker.running")["pid"], signal.SIGSTOP)
        assert site.stop() == 0
        assert endings(site, "api:0") == [("stopping", ""), ("stopped", "SIGTERM")]


def test_a_stop_during_the_backoff_does_not_wait_and_nothing_begins_later(tmp_path: Path) -> None:
    late = 'restart = { backoff = { initial = "1h", max = "1h" } }'
    with up(tmp_path, site_of(group("api", "exit 1", late))) as site:
        assert site.until("worker.backoff", count=2)["delay_s"] >= 3600
        assert site.stop() == 0
        assert site.states("api:0") == ["starting", "running", "backoff"] * 2 + ["stopped"]


@pytest.mark.parametrize(
    ("answer", "end"), [("os._exit(1)", 1), ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV")], ids=["exit", "signal"]
)
def test_a_crash_while_stopping_is_no_failure(tmp_path: Path, answer: str, end: int | str) -> None:
    with up(tmp_path, site_of(group("api", when_asked(answer), PATIENT))) as site:
        site.until_said("up")
        assert site.stop() == 0
        assert endings(site, "api:0") == [("stopping", ""), ("stopped", end)]
        assert [event for event in site.events if "restarts" in event.fields] == []


def test_another_that_crashes_during_the_shutdown_is_not_restarted(tmp_path: Path) -> None:
    ends_when_told = when_asked("os.write(1, b'asked\\n'); open('go').read(); os._exit(0)")
    os.mkfifo(tmp_path / "go")
    slow = group("c", ends_when_told, PATIENT, f'cwd = "{tmp_path}"', 'after = ["a"]')
    with up(tmp_path, site_of(group("a", FOREVER), slow)) as site:
        site.until_said("up")
        site.signal(signal.SIGTERM)
        site.until_said("asked")
        os.kill(site.pids()["a:0"], signal.SIGKILL)
        site.until("worker.stopped", "a:0")
        (tmp_path / "go").write_text("go\n", encoding="utf-8")
        assert site.wait() == 0
        assert endings(site, "a:0") == [("stopped", "SIGKILL")]
        assert endings(site, "c:0") == [("stopping", ""), ("stopped", 0)]


def test_sigquit_ends_the_deaf_at_once(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("deaf", DEAF, PATIENT, "workers = 3"))) as site:
        site.until_said("deaf", 3)
        site.signal(signal.SIGQUIT)
        assert site.wait() == 0
        assert [endings(site, f"deaf:{task}")[-1] for task in range(3)] == [("stopped", "SIGKILL")] * 3


def test_the_stop_timeout_of_the_site_ends_the_deaf_before_their_grace(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("deaf", DEAF, PATIENT), site='stop_timeout = "500ms"')) as site:
        site.until_said("deaf")
        asked = monotonic()
        assert site.stop() == 0
        assert site.told("worker.killing")[0].seen - asked >= 0.5


def test_a_second_request_within_half_a_second_is_a_bounce_and_a_later_one_kills(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("deaf", DEAF, PATIENT), group("other", FOREVER))) as s:
        s.until_said("deaf")
        asked = monotonic()
        for _ in range(1000):
            s.signal(signal.SIGTERM)
        s.until("worker.stopping", "deaf:0")
        while s.process.poll() is None:
            s.signal(signal.SIGINT)
            s.pause(0.1)
        assert s.wait() == 0
        assert s.told("worker.killing", "deaf:0")[0].seen - asked >= 0.5


def test_a_sigterm_at_any_moment_of_the_start_ends_it_cleanly(tmp_path: Path) -> None:
    for delay_ms in range(0, 400, 20):
        with up(tmp_path, site_of(group("api", FOREVER, "workers = 3"))) as site:
            site.pause(delay_ms / 1000)
            site.signal(signal.SIGTERM)
            code = site.wait()
            # Before there is a procman in the process, it dies of the signal, as every program does.
            assert (code, site.events[-1:] and site.events[-1].name) in ((0, "site.stopped"), (-signal.SIGTERM, []))
            assert site.foreign == []


def test_a_worker_that_drains_lives_on_unsignalled_and_then_ends_by_the_signal(tmp_path: Path) -> None:
    hears = "trap 'echo heard; exit 3' TERM; echo up; while :; do sleep 1000 & wait $!; done"
    with up(tmp_path, site_of(group("a", hears, 'stop = { drain = "300ms" }'))) as site:
        site.until_said("up")
        assert site.stop() == 0
        stopping, stopped = site.told("worker.stopping", "a:0")[0], site.told("worker.stopped", "a:0")[0]
        assert stopping["reason"] == "SIGTERM; drains for 300ms"
        assert (stopped["exit_code"], site.words) == (3, ["up", "heard"])
        assert stopped.at - stopping.at >= 0.29  # stamps are of milliseconds


def test_a_second_wish_kills_a_worker_that_drains(tmp_path: Path) -> None:
    hears = "trap 'echo heard' TERM; echo up; while :; do sleep 1000 & wait $!; done"
    with up(tmp_path, site_of(group("a", hears, 'stop = { drain = "1h" }'))) as site:
        site.until_said("up")
        site.signal(signal.SIGTERM)
        site.until("worker.stopping", "a:0")
        site.pause(0.6)  # sooner it might be a bounce
        site.signal(signal.SIGTERM)
        assert site.wait() == 0
        assert site.words == ["up"]
