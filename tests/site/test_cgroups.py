"""A cgroup for the site, and for each worker: nobody gets away, limits hold, and what cannot be had is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from procman.kernel.proc.hierarchy import home
from tests.site.python import app
from tests.site.python import group as python_group
from tests.site.running import ROOT, up
from tests.site.sites import DEAF, FOREVER, group, python, site_of
from tests.site.test_trees import BARE, DAEMON, escaped, gone

NAME = f"cgroups-{uuid.uuid4().hex[:8]}"
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
def test_procman_and_all_that_it_starts_are_in_the_sites_cgroup_from_the_start(tmp_path: Path) -> None:
    before = cgroup_of(os.getpid()).rstrip("/")
    with up(tmp_path, site(group("api", python(ESCAPED + "pause()")))) as running:
        (stray,) = escaped(running)
        (name,) = directories()
        everybody = [running.pid, running.pids()["api:0"], stray]
        assert {cgroup_of(pid) for pid in everybody} == {f"{before}/{name}/tree"}
        assert running.stop() == 0
        assert gone([stray])
        assert running.told("cgroup.unavailable") == []
    assert directories() == []


@contextmanager
def somebody_in(name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is nothing to procman, in this cgroup of the site."""
    place = here()
    assert place is not None
    with subprocess.Popen(["sleep", "3600"], start_new_session=True) as process:
        try:
            (place / name / "tree" / "cgroup.procs").write_text(str(process.pid), encoding="ascii")
            yield process
        finally:
            process.kill()


@needs_cgroups
def test_whoever_is_in_the_sites_cgroup_is_ended_with_it_whoever_its_parent_is(tmp_path: Path) -> None:
    with up(tmp_path, site(group("api", FOREVER))) as running:
        running.until("worker.running")
        with somebody_in(*directories()) as other:
            assert running.stop() == 0
            assert other.wait(60) == -signal.SIGTERM
        assert f"sleep (pid {other.pid})" in running.told("site.draining")[0]["reason"]
    assert directories() == []


@needs_cgroups
def test_procman_goes_out_of_it_while_its_workers_end(tmp_path: Path) -> None:
    before = cgroup_of(os.getpid())
    with up(tmp_path, site(group("api", DEAF, 'output = { stdout = "inherit" }'))) as running:
        running.until_said("deaf")
        running.until("worker.running")
        (worker,) = running.pids().values()
        inside = cgroup_of(worker)
        running.signal(signal.SIGTERM)
        running.until("worker.stopping")
        running.until_descendants(lambda _pids: cgroup_of(running.pid) == before)
        assert cgroup_of(worker) == inside != before
        running.signal(signal.SIGQUIT)
        assert running.wait() == 0
    assert directories() == []


@needs_cgroups
def test_a_site_that_is_called_otherwise_by_a_reload_keeps_its_cgroup(tmp_path: Path) -> None:
    text = site(group("api", FOREVER))
    with up(tmp_path, text) as running:
        running.until("worker.running")
        running.reload(text.replace(NAME, f"{NAME}-anew"))
        running.until("config.applied")
        assert directories() == [f"procman-{NAME}"]
        assert cgroup_of(running.pid).endswith(f"/procman-{NAME}/tree")
    assert directories() == []


@needs_cgroups
def test_two_sites_of_one_name_have_a_cgroup_each_and_leave_that_of_the_other_alone(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    text, place = site(group("api", FOREVER, CGROUP)), here()
    assert place is not None
    with up(folders[0], text, env={"PROCMAN_RUNTIME_DIR": str(folders[0])}) as one:
        first = cgroup_of(one.until("worker.running")["pid"])
        fresh = place / directories()[0] / "fresh.0.1"
        fresh.mkdir()  # as for a worker that has not joined it yet
        with up(folders[1], text, env={"PROCMAN_RUNTIME_DIR": str(folders[1])}) as two:
            second = cgroup_of(two.until("worker.running")["pid"])
            assert [path.rpartition("/")[2] for path in (first, second)] == ["api.0.1"] * 2
            assert directories() == [f"procman-{NAME}", f"procman-{NAME}.2"]
            assert two.stop() == 0
        assert directories() == [f"procman-{NAME}"]
        assert (fresh.exists(), cgroup_of(one.pids()["api:0"])) == (True, first)
    assert directories() == []


ENTER = """\
import os, sys
from procman.kernel.proc import hierarchy
home = hierarchy.home()
for _ in range(100):
    site = hierarchy.enter(f"{home}/procman-{sys.argv[1]}")
    # one that has taken it for a dead one's, and sees that it is not, is on its way out
    assert any(hierarchy.members(site) == [os.getpid()] for _ in range(10000))
    hierarchy.leave(site, home)
"""


@needs_cgroups
def test_many_that_begin_and_end_at_the_same_time_never_share_a_cgroup() -> None:
    commands = [[sys.executable, "-c", ENTER, NAME]] * 6
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for command in commands]
    assert [process.communicate(timeout=120)[1] for process in running] == [b""] * 6
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
    stale = [place / f"procman-{NAME}{suffix}" / "tree" / "below" for suffix in ("", ".2", ".9")]
    another = place / f"procman-{NAME}.x"
    for path in (*stale, another):
        path.mkdir(parents=True)
    try:
        with up(tmp_path, site(group("api", FOREVER))) as running:
            running.until("worker.running")
            assert directories() == [f"procman-{NAME}", another.name]
            assert not stale[0].exists()
    finally:
        another.rmdir()
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


NONE = {
    "there is none": "mount -t tmpfs none /sys/fs/cgroup",
    "it is read-only": f"mount -o bind,ro {here()} {here()}",
}
no_cgroup = pytest.mark.parametrize("why", NONE)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take the cgroups away")


def without(why: str) -> tuple[str, ...]:
    """Words that start a command where no cgroup can be made."""
    return ("unshare", "--mount", "sh", "-c", f'{NONE[why]} && exec "$@"', "sh")


@root_only
@no_cgroup
def test_a_site_without_a_cgroup_runs_on_and_says_so_once(tmp_path: Path, why: str) -> None:
    with up(tmp_path, site(group("api", FOREVER)), before=without(why)) as running:
        running.until("worker.running")
        (told,) = running.told("cgroup.unavailable")
        assert (told["level"], told["reason"][:28]) == ("debug", "no cgroup can be made here: ")
        assert running.stop() == 0


@root_only
@no_cgroup
def test_where_no_cgroup_can_be_made_the_start_fails_and_says_so(tmp_path: Path, why: str) -> None:
    with up(tmp_path, site(group("api", FOREVER, CGROUP)), before=without(why)) as running:
        assert running.wait() == 12
        assert running.told("worker.failed")[0]["reason"].startswith("cannot start: cgroup: no cgroup can be made here")
