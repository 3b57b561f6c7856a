"""Jobs that run again and again, one by hand, and services that wait for their first connection."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from tests.site.running import COMMAND, DEADLINE_S, ROOT, Site, up
from tests.site.sites import FOREVER, group, python, site_of

ONCE = python(
    "import os, socket\n"
    "server = socket.socket(fileno=3)\n"
    "connection, _ = server.accept()\n"
    "connection.sendall(b'%d\\n' % os.getpid())\n"
)
DOOR = 'listen = { address = "unix:door.sock", on_demand = true }'


def procman(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """A command to the running site."""
    command = [*COMMAND, "-s", str(site.file), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, cwd=ROOT, check=False)


def knock(path: Path) -> int:
    """Connect, and read who answers."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE_S)
        client.connect(str(path))
        return int(client.recv(100))


def test_a_job_with_every_runs_at_the_start_and_again_and_again(tmp_path: Path) -> None:
    tick = group("tick", "echo tick", 'kind = "job"', 'every = "300ms"')
    with up(tmp_path, site_of(tick)) as site:
        third = site.until("worker.starting", "tick:0", 3)
        assert third["reason"] == "due by its schedule"
        site.until_said("tick", 3)
        assert site.told("worker.backoff") == site.told("worker.failed") == []


def test_a_failed_run_of_a_scheduled_job_neither_ends_the_site_nor_the_schedule(tmp_path: Path) -> None:
    bad = group("bad", "exit 3", 'kind = "job"', 'every = "300ms"')
    with up(tmp_path, site_of(bad)) as site:
        site.until("worker.failed", "bad:0", 3)


def test_a_run_that_overlaps_is_left_out_and_said(tmp_path: Path) -> None:
    slow = group("slow", FOREVER, 'kind = "job"', 'every = "200ms"')
    with up(tmp_path, site_of(slow)) as site:
        site.until("group.skipped", count=2)
        assert len(site.told("worker.starting")) == 1


def test_a_run_that_overlaps_replaces_the_last_where_that_is_wanted(tmp_path: Path) -> None:
    slow = group("slow", FOREVER, 'kind = "job"', 'every = "500ms"', 'overlap = "kill"')
    with up(tmp_path, site_of(slow)) as site:
        site.until("worker.running", "slow:0", 3)
        assert site.states("slow:0")[:4] == ["starting", "running", "stopping", "stopped"]


def test_a_run_that_takes_too_long_is_stopped_and_has_failed(tmp_path: Path) -> None:
    slow = group("slow", FOREVER, 'kind = "job"', 'deadline = "300ms"')
    with up(tmp_path, site_of(slow)) as site:
        assert site.wait() == 10
        assert site.told("worker.failed")[0]["reason"] == "its run has taken longer than 300ms"


def test_a_cron_job_is_in_the_hands_of_a_scheduler_that_is_replaced_when_it_dies(tmp_path: Path) -> None:
    nightly = group("nightly", FOREVER, 'kind = "job"', 'schedule = "0 0 1 1 *"', 'timezone = "Europe/Berlin"')
    with up(tmp_path, site_of(nightly)) as site:
        site.until("site.started")
        first = site.helper()
        os.kill(first, signal.SIGKILL)
        assert "the scheduler was killed by SIGKILL" in site.until("helper.ended")["reason"]
        assert site.helper() != first
        site.reload(site_of(group("other", FOREVER)))
        site.until("worker.running", "other:0")


def test_procman_run_starts_a_job_now_and_waits_for_its_end(tmp_path: Path) -> None:
    job = ('kind = "job"', 'schedule = "0 0 1 1 *"')
    text = site_of(
        group("good", "echo ran", *job),
        group("bad", "exit 3", *job),
        group("web", FOREVER),
        group("long", FOREVER, *job),
    )
    with up(tmp_path, text) as site:
        site.until("worker.running", "web:0")
        assert site.told("worker.starting", "good:0") == []
        done = procman(site, "run", "good")
        assert done.returncode == 0, done.stderr
        assert site.until_said("ran") == ["ran"]
        assert site.until("worker.exited", "good:0")["exit_code"] == 0
        failed = procman(site, "run", "bad")
        assert (failed.returncode, "exit status 3" in failed.stderr) == (1, True)
        service = procman(site, "run", "web")
        assert "web is no job but a service\nhint: start it: procman start web" in service.stderr
        assert procman(site, "run", "long", "--no-wait").returncode == 0
        again = procman(site, "run", "long")
        assert (again.returncode, "long is running" in again.stderr) == (1, True)


def test_a_plain_job_runs_again_by_hand_and_by_a_reload_that_changes_it_alone(tmp_path: Path) -> None:
    job, web = group("job", "echo ran", 'kind = "job"'), group("web", FOREVER, 'after = { job = "completed" }')
    with up(tmp_path, site_of(job, web)) as site:
        site.until("worker.running", "web:0")
        assert procman(site, "run", "job").returncode == 0
        site.until_said("ran", 2)
        assert procman(site, "restart", "web").returncode == 0
        site.reload(site_of(job, group("web", FOREVER, 'after = { job = "completed" }', 'env = { A = "1" }')))
        site.until("worker.running", "web:0", 3)
        assert len(site.told("worker.starting", "job:0")) == 2
        site.reload(site_of(group("job", "echo ran anew", 'kind = "job"'), web))
        site.until("worker.exited", "job:0", 3)
        assert len(site.told("worker.starting", "job:0")) == 3


def test_the_first_connection_starts_a_service_on_demand_and_waits_for_it(tmp_path: Path) -> None:
    user = group("user", FOREVER, 'after = ["door"]')
    with up(tmp_path, site_of(group("door", ONCE, DOOR), user)) as site:
        site.until("worker.running", "user:0")  # what is on demand is as good as ready
        assert site.told("worker.starting", "door:0") == []
        for count in range(1, 4):  # after a normal end it rests, and is started by the next
            pid = knock(tmp_path / "door.sock")
            assert site.until("worker.exited", "door:0", count)["pid"] == pid
            assert site.told("worker.starting", "door:0")[-1]["reason"] == "on demand"


def test_a_service_that_ends_without_taking_its_connection_is_not_started_without_end(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("door", "exit 0", DOOR))) as site:
        site.until("site.started")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "door.sock"))
            site.until("worker.exited", "door:0", 2)
            site.pause(1.0)
            assert len(site.told("worker.exited", "door:0")) <= 4  # at once, then after 0.5 s, 1 s, 2 s, …


def test_a_reload_that_moves_the_door_moves_the_watch(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("door", ONCE, DOOR))) as site:
        site.until("site.started")
        site.reload(site_of(group("door", ONCE, DOOR.replace("door.sock", "gate.sock"))))
        site.until("config.applied")
        assert knock(tmp_path / "gate.sock") == site.until("worker.exited", "door:0")["pid"]
        assert not (tmp_path / "door.sock").exists()
