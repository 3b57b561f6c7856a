"""A cgroup for each worker: nothing it starts gets away, its limits hold, and what cannot be had is said."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from procman.kernel.cgroup import home
from tests.site.python import app
from tests.site.python import group as python_group
from tests.site.running import up
from tests.site.sites import FOREVER, group, python, site_of
from tests.site.test_trees import BARE, DAEMON, escaped, gone

NAME = "cgroups-of-a-test"
CGROUP = "cgroup = true"
SHORT = 'stop = { grace = "1s" }'
ESCAPED = DAEMON + BARE + "escape(bare)\n"
"""Two forks, a session of its own, no mark: without a cgroup it is a stray."""


def here() -> Path | None:
    """The cgroup of the tests, if they may make others in it."""
    try:
        place = Path(home())
    except OSError:
        return None
    return place if os.access(place / "cgroup.procs", os.W_OK) and os.access(place, os.W_OK) else None


needs_cgroups = pytest.mark.skipif(here() is None, reason="no cgroup v2 that can be written to")


def missing(controller: str) -> bool:
    place = here()
    return place is None or controller not in (place / "cgroup.controllers").read_text(encoding="ascii").split()


def directories() -> list[str]:
    place = here()
    assert place is not None
    return sorted(path.name for path in place.glob(f"procman-{NAME}*"))


def site(*groups: str) -> str:
    return site_of(*groups).replace('name = "test"', f'name = "{NAME}"')


def cgroup_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    return next(line[3:] for line in lines if line.startswith("0::"))


@needs_cgroups
def test_each_worker_has_a_cgroup_below_procmans_own_and_all_of_it_goes_with_the_site(tmp_path: Path) -> None:
    before = cgroup_of(os.getpid()).rstrip("/")
    with up(tmp_path, site(group("api", FOREVER, CGROUP, "workers = 2"), group("plain", FOREVER))) as running:
        running.until("worker.running", "plain:0")
        running.until("worker.running", count=3)
        pids = running.pids()
        (name,) = directories()
        assert cgroup_of(pids["api:0"]) == f"{before}/{name}/api.0.1"
        assert cgroup_of(pids["api:1"]) == f"{before}/{name}/api.1.1"
        assert cgroup_of(running.pid) == f"{before}/{name}/tree"
        os.kill(pids["api:0"], signal.SIGKILL)
        running.until("worker.running", "api:0", 2)
        assert cgroup_of(running.pids()["api:0"]) == f"{before}/{name}/api.0.2"
        assert running.stop() == 0
    assert directories() == []


@needs_cgroups
@pytest.mark.parametrize("threads", ["error", "spawn"])
def test_a_worker_that_a_zygote_has_forked_has_its_cgroup_too(tmp_path: Path, threads: str) -> None:
    app(
        tmp_path,
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()" * (threads == "spawn"),
    )
    with up(tmp_path, site(python_group("api", "app:serve", CGROUP, f'threads = "{threads}"'))) as running:
        pid = running.until("worker.running")["pid"]
        assert cgroup_of(pid).endswith("/api.0.1")


@needs_cgroups
def test_without_a_group_that_wants_one_nothing_is_made(tmp_path: Path) -> None:
    with up(tmp_path, site(group("api", FOREVER))) as running:
        running.until("worker.running")
        assert directories() == []


@needs_cgroups
def test_what_would_be_a_stray_is_ended_with_its_worker(tmp_path: Path) -> None:
    with up(tmp_path, site(group("api", python(ESCAPED + "pause()"), CGROUP, SHORT))) as running:
        pids = escaped(running)
        running.signal(signal.SIGTERM)
        running.until("worker.stopped")
        assert gone(pids)
        running.wait()
        assert (running.told("site.strays"), running.told("site.draining")) == ([], [])


@needs_cgroups
def test_what_would_be_a_stray_is_ended_before_the_replacement_of_a_crashed_worker_begins(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    crash = python(ESCAPED + "open('go').read()\nos._exit(1)")
    once = f'restart = {{ max_restarts = 1, backoff = false }}\n{SHORT}\ncwd = "{tmp_path}"'
    with up(tmp_path, site(group("api", crash, CGROUP, once))) as running:
        pids = escaped(running)
        (tmp_path / "go").write_text("go")
        running.until("worker.running", count=2)
        assert gone(pids)


@needs_cgroups
def test_a_deaf_stray_is_killed_by_its_cgroup(tmp_path: Path) -> None:
    script = "trap '' TERM; echo escaped $$; sleep 3600; :"
    deaf = DAEMON + f"def deaf():\n    os.execve('/bin/sh', ['sh', '-c', {script!r}], {{}})\n"
    with up(tmp_path, site(group("api", python(deaf + "escape(deaf)\npause()"), CGROUP, SHORT))) as running:
        pids = escaped(running)
        assert running.stop() == 0
        assert gone(pids)
        assert running.states("api:0")[2:] == ["stopping", "killing", "stopped"]


@needs_cgroups
def test_the_directories_of_a_site_that_was_killed_are_removed_by_the_next(tmp_path: Path) -> None:
    place = here()
    assert place is not None
    (place / f"procman-{NAME}" / "old.0.1").mkdir(parents=True)
    with up(tmp_path, site(group("api", FOREVER, CGROUP))) as running:
        running.until("worker.running")
        assert not (place / f"procman-{NAME}" / "old.0.1").exists()
    assert directories() == []


@needs_cgroups
@pytest.mark.parametrize(
    ("option", "controller"), [('memory_max = "1GiB"', "memory"), ("pids_max = 50", "pids"), ("cpu_max = 1", "cpu")]
)
def test_a_limit_without_its_controller_fails_the_start_and_names_the_option(
    tmp_path: Path, option: str, controller: str
) -> None:
    if not missing(controller):
        pytest.skip(f"there is a {controller} controller here")
    with up(tmp_path, site(group("api", FOREVER, option))) as running:
        assert running.wait() == 12
        (failed,) = running.told("worker.failed")
        assert failed["reason"].startswith(f"cannot start: {option.split()[0]}: ")
        assert f"hands on no {controller} controller" in failed["reason"]
    assert directories() == []


def test_where_no_cgroup_can_be_made_the_start_fails_and_says_so(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take the cgroups away")
    hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh")
    with up(tmp_path, site(group("api", FOREVER, CGROUP)), before=hidden) as running:
        assert running.wait() == 12
        assert running.told("worker.failed")[0]["reason"].startswith("cannot start: cgroup: no cgroup can be made here")
