"""Many workers, many deaths, strangers' children, and procman as process 1."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.site.running import Site, up
from tests.site.sites import DEAF, FOREVER, group, python, site_of

MANY = int(os.environ.get("PROCMAN_MANY", "1000"))
"""How many workers go up and down."""
ORPHANS = """\
import os, signal
for _ in range(500):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            os.close(0), os.close(1), os.close(2)
        os._exit(0)
    os.wait()
print("all gone", flush=True)
signal.pause()
"""
MANY_RESTARTS = "restart = { max_restarts = 100000, backoff = false }"
PROCESS_1 = (
    *("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"),
    *(() if os.getuid() == 0 else ("--user", "--map-root-user")),
)


BELL = group("bell", FOREVER, MANY_RESTARTS)
"""A worker that is killed to learn that procman has come so far."""


def ring(site: Site) -> None:
    """Have procman reap and restart once more."""
    rung = len(site.told("worker.running", "bell:0"))
    os.kill(site.pids()["bell:0"], signal.SIGKILL)
    site.until("worker.running", "bell:0", count=rung + 1)


def ring_until_all_are_reaped(site: Site) -> None:
    for _ in range(100):
        ring(site)
        if not site.zombies():
            return
    pytest.fail(f"never reaped: {site.zombies()}")


def hit(site: Site, pid: int, number: int) -> None:
    """Signal a process, if it is still there and one of this site's."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if site.owns(pid):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def lives(site: Site) -> list[tuple[str, int]]:
    """The runs by the log, by worker and generation; none of which began before the one before had ended."""
    running: dict[str, int] = {}
    runs = []
    for event in site.events:
        if event.name == "worker.running":
            assert event.worker not in running, f"{event.worker} twice"
            assert event["pid"] not in running.values(), f"{event['pid']} twice"
            running[event.worker] = event["pid"]
            runs.append((event.worker, event["generation"]))
        elif event.name in ("worker.backoff", "worker.stopped"):
            running.pop(event.worker, None)
    assert running == {}
    return runs


def test_orphans_are_reaped_and_none_is_taken_for_a_worker(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("api", python(ORPHANS)), BELL)) as site:
        site.until_said("all gone")
        site.until("worker.running", count=2)
        ring_until_all_are_reaped(site)
        assert site.states("api:0") == ["starting", "running"]
        assert site.stop() == 0
        assert site.told("site.stopped")[0]["orphans"] == 500


def test_a_hundred_that_are_killed_at_once_all_come_back(tmp_path: Path) -> None:
    policy = "restart = { max_restarts = 150, backoff = false }"
    with up(tmp_path, site_of(group("api", FOREVER, "workers = 100", policy))) as site:
        site.until("worker.running", count=100)
        before = site.pids()
        os.kill(site.pid, signal.SIGSTOP)
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        os.kill(site.pid, signal.SIGCONT)
        site.until("worker.running", count=200)
        after = site.pids()
        assert set(after) == set(before)
        assert set(after.values()) & set(before.values()) == set()
        assert [event["restarts"] for event in site.told("worker.backoff")] == list(range(1, 101))
        assert site.zombies() == []


def test_many_go_up_and_come_down(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("api", FOREVER, f"workers = {MANY}"))) as site:
        site.until("worker.running", count=MANY)
        site.until_descendants(lambda found: set(found) == set(site.pids().values()))
        assert site.stop() == 0
        assert len(site.told("worker.stopped")) == MANY
        assert site.told("worker.killing") == []


def test_random_signals_to_workers_change_nothing_in_the_end(tmp_path: Path) -> None:
    chance = random.Random(1)
    deaf = group("deaf", DEAF, "workers = 3", MANY_RESTARTS, 'stop = { grace = "200ms" }')
    with up(tmp_path, site_of(group("api", FOREVER, "workers = 10", MANY_RESTARTS), deaf, BELL)) as site:
        site.until("worker.running", count=14)
        workers, descriptors = set(site.pids()), site.descriptors()
        for _ in range(400):
            number = chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGCONT))
            targets = sorted(pid for worker, pid in site.pids().items() if worker != "bell:0")
            if targets:
                hit(site, chance.choice(targets), number)
            site.pause(0.04 * chance.random())
        ring_until_all_are_reaped(site)
        assert site.descriptors() == descriptors
        assert site.stop() == 0
        runs = lives(site)
        assert {worker for worker, _ in runs} == workers
        assert len(set(runs)) == len(runs) > 100
        assert {site.states(worker)[-1] for worker in workers} == {"stopped"}


def test_as_process_1_it_stops_within_the_grace_and_its_status_is_seen_outside(tmp_path: Path) -> None:
    groups = (group("deaf", DEAF, 'stop = { grace = "1s" }'), group("api", python(ORPHANS)), BELL)
    with up(tmp_path, site_of(*groups), before=PROCESS_1) as site:
        assert site.until("site.loading")["pid"] == 1
        site.until_said("deaf")
        site.until_said("all gone")
        site.signal(signal.SIGTERM)
        assert site.wait() == 0
        assert site.told("site.stopped")[0]["orphans"] >= 500
        stopping, killing = site.told("worker.stopping", "deaf:0") + site.told("worker.killing")
        assert killing.at - stopping.at > 0.9  # the clock of the log is another than that of the grace
        assert site.states("api:0")[-1] == "stopped"


def test_as_process_1_the_exit_code_of_a_failed_site_is_seen_outside(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("api", "exit 1", "restart = { max_restarts = 0 }")), before=PROCESS_1) as site:
        assert site.wait() == 10
