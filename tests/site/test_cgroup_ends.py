"""The end of a worker's cgroup is the end of its tree, whoever reaps the last process: `populated 0` is what tells."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.site.running import Site, limit, up
from tests.site.sites import FOREVER, group, runner
from tests.site.test_cgroups import CGROUP, NAME, directories, here, needs_cgroups, site

DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
ONCE = 'restart = { max_restarts = 1, backoff = false }\nstop = { grace = "1h" }'


def leaf(worker: str = "api.0.1") -> Path:
    """A worker's cgroup."""
    place = here()
    assert place is not None
    return place / directories()[0] / worker


def members() -> list[str]:
    """The pids of those in the worker's cgroup."""
    return (leaf() / "cgroup.procs").read_text(encoding="ascii").split()


@contextmanager
def stranger_in(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child of the test's in this cgroup, deaf to TERM."""
    command = [sys.executable, "-I", "-S", "-c", DEAF]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            (folder / "cgroup.procs").write_text(str(process.pid), encoding="ascii")
            yield process
        finally:
            process.kill()


def activity(running: Site) -> list[str]:
    """How often the core has gone to sleep, and the ticks of the CPU that it has had."""
    lines = Path(f"/proc/{running.pid}/status").read_text(encoding="ascii").splitlines()
    ticks = Path(f"/proc/{running.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()[11:13]
    return [*ticks, *(line for line in lines if line.startswith("voluntary"))]


@needs_cgroups
def test_a_worker_is_over_when_its_cgroup_is_empty_and_until_then_nobody_asks(tmp_path: Path) -> None:
    with up(tmp_path, site(group("api", FOREVER, CGROUP, ONCE))) as running:
        pid = running.until("worker.running")["pid"]
        with stranger_in(leaf()) as stranger:
            os.kill(pid, signal.SIGKILL)
            running.until("worker.stopping")
            running.pause(0.2)
            before = activity(running)
            running.pause(0.5)
            assert activity(running) == before
            stranger.kill()
            assert stranger.wait() == -signal.SIGKILL
            running.until("worker.running", count=2)
        assert not leaf().exists()
        assert running.states("api:0")[2:4] == ["stopping", "backoff"]


@needs_cgroups
def test_who_is_of_a_workers_cgroup_by_no_other_sign_is_killed_after_the_grace(tmp_path: Path) -> None:
    with up(tmp_path, site(group("api", FOREVER, CGROUP, 'stop = { grace = "200ms" }'))) as running:
        running.until("worker.running")
        with stranger_in(leaf()) as stranger:
            running.signal(signal.SIGTERM)
            running.until("worker.stopped")
            assert stranger.wait() == -signal.SIGKILL
        assert running.states("api:0")[2:] == ["stopping", "killing", "stopped"]


@needs_cgroups
def test_the_cgroup_of_a_worker_that_adopts_is_removed_when_the_last_one_in_it_ends(tmp_path: Path) -> None:
    with up(tmp_path, site(group("api", FOREVER, CGROUP, ONCE, "adopt = true"))) as running:
        pid = running.until("worker.running")["pid"]
        with stranger_in(leaf()) as stranger:
            os.kill(pid, signal.SIGKILL)
            running.until("worker.running", count=2)
            assert leaf().exists()
            stranger.kill()
            running.until_descendants(lambda _found: not leaf().exists())
        assert leaf("api.0.2").exists()


@needs_cgroups
def test_a_cgroup_that_there_is_no_descriptor_for_is_looked_at_after_the_next_death(tmp_path: Path) -> None:
    other = group("other", FOREVER, "restart = { backoff = false }")
    with up(tmp_path, site(group("api", FOREVER, CGROUP, ONCE), other)) as running:
        running.until("worker.running", count=2)
        pids = running.pids()
        with stranger_in(leaf()) as stranger:
            limit(running.pid, "--nofile=3:")
            os.kill(pids["api:0"], signal.SIGKILL)
            running.until("worker.stopping")
            stranger.kill()
            stranger.wait()
            limit(running.pid, "--nofile=1024:")
            assert running.told("worker.backoff") == []
            os.kill(pids["other:0"], signal.SIGKILL)
            running.until("worker.running", "api:0", 2)


@needs_cgroups
def test_cgroups_that_a_worker_has_made_in_its_own_go_with_it(tmp_path: Path) -> None:
    own = f"{here()}/procman-{NAME}/api.0.$PROCMAN_GENERATION"
    nest = f"cd {own} && mkdir a a/b && echo 0 > a/b/cgroup.procs && echo in; exec sleep 3600"
    with up(tmp_path, site(group("api", nest, CGROUP, ONCE))) as running:
        running.until_said("in")
        os.kill(running.until("worker.running")["pid"], signal.SIGKILL)
        running.until_said("in", 2)
        assert not leaf().exists()


def take_kill_away(running: Site, folder: Path) -> None:
    """As before Linux 5.14: what is written to `cgroup.kill` is refused. Only procman's mount namespace has it so."""
    mount = ["mount", "--bind", "/dev/full", str(folder / "cgroup.kill")]
    subprocess.run(["nsenter", "-t", str(running.pid), "-m", *mount], check=True, timeout=60)


@needs_cgroups
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a mount namespace")
def test_without_cgroup_kill_a_cgroup_is_frozen_and_all_in_it_are_killed(tmp_path: Path) -> None:
    """Who forks and exits again and again is never there any more when a signal comes."""
    runs = shlex.join(runner(1))
    options = (CGROUP, 'stop = { grace = "200ms" }')
    text = site(group("api", f"env -i setsid {runs} & exec sleep 3600", *options))
    with up(tmp_path, text, before=("unshare", "--mount")) as running:
        running.until_said("ready")
        take_kill_away(running, leaf())
        with stranger_in(leaf()) as stranger:
            assert running.stop() == 0
            assert stranger.wait() == -signal.SIGKILL
        assert running.states("api:0")[2:] == ["stopping", "killing", "stopped"]
    assert directories() == []


@needs_cgroups
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can join another pid namespace")
def test_who_has_gone_to_another_pid_namespace_is_ended_with_its_worker_and_reaped_there(tmp_path: Path) -> None:
    """The init of that namespace, no child of the core, is whose children its orphans become."""
    init = "import os, signal; os.write(1, b'up\\n'); signal.signal(17, signal.SIG_IGN); signal.pause()"
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-I", "-S", "-c", init]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as outside:
        assert outside.stdout is not None
        outside.stdout.readline()
        inside = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text(encoding="ascii").strip()
        enter = f"nsenter -t {inside} -p sh -c 'trap \"\" TERM; (sleep 3600 & echo in); exit 0'; exec sleep 3600"
        try:
            with up(tmp_path, site(group("api", enter, CGROUP, 'stop = { grace = "200ms" }'))) as running:
                running.until_said("in")
                running.until_descendants(lambda _found: len(members()) == 2)  # those who have forked them are gone
                there = members()
                assert running.stop() == 0
                assert not any(Path(f"/proc/{pid}").exists() for pid in there)
        finally:
            outside.kill()
