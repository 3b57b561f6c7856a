"""What goes wrong inside procman itself: no descriptors, no room for its arguments, a helper that dies strangely."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.site.running import limit, up
from tests.site.sites import FOREVER, group, site_of

LEAVES_A_DEAF_CHILD = "(trap '' TERM; echo deaf; sleep 3600; sleep 3600) & wait"
NONE_FREE = "--nofile=3:"


def test_without_a_free_descriptor_the_deaf_are_killed_all_the_same(tmp_path: Path) -> None:
    text = site_of(group("a", LEAVES_A_DEAF_CHILD, 'stop = { grace = "200ms" }'), group("b", FOREVER))
    with up(tmp_path, text) as site:
        site.until_said("deaf")
        site.until("worker.running", "b:0")
        limit(site.pid, NONE_FREE)
        assert site.stop() == 0
        assert site.states("a:0")[-2:] == ["killing", "stopped"]


def test_without_a_free_descriptor_a_reload_is_refused_and_works_later(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("a", FOREVER)), before=("prlimit", "--nofile=1000:1000")) as site:
        pid = site.until("worker.running")["pid"]
        limit(site.pid, NONE_FREE)
        site.signal(signal.SIGHUP)
        assert "Too many open files" in site.until("config.rejected")["reason"]
        assert site.pids() == {"a:0": pid}
        limit(site.pid, "--nofile=1000:")
        site.signal(signal.SIGHUP)
        assert site.until("config.applied")["reason"] == "nothing changed"


def test_a_start_with_too_few_descriptors_says_so_and_what_to_do(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("a", FOREVER)), before=("prlimit", "--nofile=16:16")) as site:
        assert site.wait() == 2
        assert site.foreign == [
            "procman up: error: no more than 16 files may be open, and procman needs 24",
            "hint: raise ulimit -Hn",
        ]


def test_the_fewest_descriptors_that_are_not_refused_are_enough_for_a_plain_worker(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("a", FOREVER)), before=("prlimit", "--nofile=24:24")) as site:
        site.until("worker.running")
        assert site.stop() == 0
        assert site.told("worker.stopped")[0]["reason"] == "killed by SIGTERM"


def test_arguments_for_which_there_is_no_room_are_refused_without_a_traceback(tmp_path: Path) -> None:
    long = f'group.a.env.LONG="{"x" * 130_950}"'
    with up(tmp_path, site_of(group("a", FOREVER)), "--set", long) as site:
        assert site.wait() != 0
        assert "rgument list too long" in "\n".join(site.foreign)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGRTMIN + 2, signal.SIGTERM])
def test_a_loader_that_is_killed_changes_nothing(tmp_path: Path, number: int) -> None:
    with up(tmp_path, site_of(group("a", FOREVER))) as site:
        before = {"a:0": site.until("worker.running")["pid"]}
        site.signal(signal.SIGHUP)
        os.kill(site.helper(), number)
        assert site.until("config.rejected")["reason"].startswith("the loader broke: died of ")
        assert site.pids() == before


def test_a_stop_does_not_wait_for_a_loader_that_hangs(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("a", FOREVER))) as site:
        site.until("worker.running")
        site.signal(signal.SIGHUP)
        os.kill(site.helper(), signal.SIGSTOP)
        assert site.stop() == 0
        assert site.told("config.applied") == site.told("config.rejected") == []


def test_signals_by_the_thousand_are_one_wish(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("a", FOREVER, "workers = 3"))) as site:
        site.until("worker.running", count=3)
        before = site.pids()
        meaningless = (signal.SIGWINCH, signal.SIGCHLD, signal.SIGALRM, signal.SIGTSTP, signal.SIGPIPE, signal.SIGRTMAX)
        for number in (*meaningless, signal.SIGUSR1):
            for _ in range(2000):
                site.signal(number)
        assert site.pids() == before
        for _ in range(2000):
            site.signal(signal.SIGTERM)
        assert site.wait() == 0
        assert len(site.told("site.stopping")) == 1
