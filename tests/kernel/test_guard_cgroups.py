"""The core is killed, and the site's cgroup says who is to be ended, in which order, and whom nothing else leads to."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from procman.kernel.proc import hierarchy, processes
from tests.cli.procmans import DEADLINE_S, on_pipe
from tests.kernel.playing import play
from tests.kernel.test_guard import NAME, directories, gone, group, guard_of, kill_core, shell, site
from tests.site.sites import runner
from tests.site.test_cgroups import needs_cgroups


@needs_cgroups
def test_the_guard_is_in_no_cgroup_that_it_would_end_and_removes_all_of_them(tmp_path: Path) -> None:
    with on_pipe("up", site(tmp_path, group("api", ["sleep", "300"]) + "cgroup = true\n")) as procman:
        procman.wait_for("worker.running")
        guard = guard_of(procman)
        procman.until(lambda: hierarchy.leaf_of(guard) == "guard")
        (place,) = directories()
        assert sorted(path.name for path in place.iterdir() if path.is_dir()) == ["api.0.1", "guard", "tree"]
        kill_core(procman)
        procman.until(gone([guard]))
    assert directories() == []


STRAY = "(env -i setsid sh -c 'READY; exec sleep 300' &); READY; exec sleep 300"
"""Nothing leads from it to its worker: it is init's child, in a session of its own, with no mark."""


@needs_cgroups
@pytest.mark.parametrize("options", ["", "cgroup = true\n", "adopt = true\n"])
def test_a_stray_is_ended_by_the_sites_cgroup(tmp_path: Path, options: str) -> None:
    with on_pipe("up", site(tmp_path, group("api", shell(STRAY)) + options)) as procman:
        procman.wait_for("^ready$", 2)
        guard_of(procman)
        below = list(processes.below({procman.pid}, processes.everybody(), set()))
        assert len(below) >= 3
        procman.process.kill()
        procman.process.wait(DEADLINE_S)
        procman.until(gone(below))
    assert directories() == []


@needs_cgroups
def test_the_next_procman_tells_whom_one_has_left_that_was_killed_with_its_guard(tmp_path: Path) -> None:
    path = site(tmp_path, group("api", ["sleep", "300"]))
    with on_pipe("up", path) as procman:
        worker = json.loads(procman.wait_for(r'^.*"worker.running".*$')[0].group())["pid"]
        guard = guard_of(procman)
        procman.until(lambda: hierarchy.leaf_of(guard) == "guard")
        with on_pipe("up", path, env={"PROCMAN_RUNTIME_DIR": str(tmp_path)}) as other:  # while that one lives
            other.wait_for("worker.running")
            assert "cgroup.abandoned" not in other.text
        os.kill(guard, signal.SIGSTOP)
        for pid in (procman.pid, guard):
            os.kill(pid, signal.SIGKILL)
        procman.process.wait(DEADLINE_S)
        procman.until(gone([guard]))
        with on_pipe("up", path) as after:
            told = json.loads(after.wait_for(r'^.*"cgroup.abandoned".*$')[0].group())
            assert (told["processes"], f": sleep (pid {worker})" in told["reason"]) == (1, True)
        os.kill(worker, signal.SIGKILL)
        procman.until(gone([worker]))


def started_in(folder: str, *command: str) -> subprocess.Popen[bytes]:
    """A process in this cgroup, which has said that it is ready."""
    enter = ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', folder, *command]
    process = subprocess.Popen(enter, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline() == b"ready\n"
    return process


def end_of_a_site(kill: str) -> list[int]:
    """How those end who are in a site's cgroup, in its tree and in a leaf, when the guard has the kernel end them.

    `kill` "": the kernel has no `cgroup.kill`. Then runners are among them, who would get away if they were not frozen.
    """
    home = hierarchy.home()
    place = hierarchy.enter(f"{home}/procman-{NAME}-{os.getpid()}")
    folders = [f"{place}/tree", f"{place}/api.0.1"]
    os.mkdir(folders[1])  # noqa: PTH102
    deaf = ("sh", "-c", "trap '' TERM; echo ready >&2; sleep 300; sleep 300")
    processes = [started_in(folder, *deaf) for folder in folders]
    if not kill:
        for folder in folders:
            started_in(folder, *runner(2))
            subprocess.run(["mount", "--bind", "/dev/full", f"{folder}/cgroup.kill"], check=True)
    hierarchy.guard(place)
    hierarchy.end(place)
    frozen = {Path(f"{folder}/cgroup.freeze").read_text(encoding="ascii").strip() for folder in folders}
    assert frozen == {"0" if kill else "1"}
    ends = [process.wait() for process in processes]
    hierarchy.leave(place, home)
    assert not os.path.exists(place)  # noqa: PTH110
    return ends


@needs_cgroups
def test_all_in_a_sites_cgroup_but_the_guard_are_ended_by_the_kernel() -> None:
    assert play(end_of_a_site, "at once").value == [-signal.SIGKILL] * 2


@needs_cgroups
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a mount namespace")
def test_before_linux_5_14_they_are_frozen_by_the_kernel_and_killed_one_by_one() -> None:
    assert play(end_of_a_site, "", prefix=("unshare", "--mount")).value == [-signal.SIGKILL] * 2


@needs_cgroups
def test_who_is_always_one_fork_ahead_is_ended_all_the_same(tmp_path: Path) -> None:
    leader = shell(f"{shlex.join(runner(2))} & exec sleep 300")
    with on_pipe("up", site(tmp_path, group("api", leader))) as procman:
        procman.wait_for("^ready$")
        guard = guard_of(procman)
        procman.process.kill()
        procman.process.wait(DEADLINE_S)
        procman.read_to_the_end()
        procman.until(gone([guard]))
    assert directories() == []


def test_what_a_leader_that_adopts_leaves_behind_is_left_alone_until_no_worker_is_left(tmp_path: Path) -> None:
    child = "(trap 'echo child >&2; exit' TERM; READY; while :; do sleep 300 & wait; done) & "
    leaves = child + "trap 'exit 0' TERM; READY; while :; do wait; done"
    slow = "trap 'sleep 0.3; echo slow >&2; exit' TERM; READY; while :; do sleep 300 & wait; done"
    path = site(tmp_path, group("a", shell(leaves), "TERM", 60, "leader") + "adopt = true\n", group("b", shell(slow)))
    with on_pipe("up", path) as procman:
        procman.wait_for("^ready$", 3)
        guard_of(procman)
        _, said = kill_core(procman)
    assert said.split() == ["slow", "child"]


def test_the_last_words_of_a_worker_reach_their_file(tmp_path: Path) -> None:
    chatty = "trap 'echo last words; exit' TERM; READY; while :; do sleep 300 & wait; done"
    options = f'output = {{ to = {{ file = "{tmp_path}/out" }} }}\n'
    (tmp_path / "out").touch()
    with on_pipe("up", site(tmp_path, group("api", shell(chatty)) + options)) as procman:
        procman.wait_for("worker.running")
        guard_of(procman)
        procman.until(lambda: "ready" in (tmp_path / "out").read_text(encoding="utf-8"))
        below = list(processes.below({procman.pid}, processes.everybody(), set()))
        kill_core(procman)
        procman.until(gone(below))
        assert "last words" in (tmp_path / "out").read_text(encoding="utf-8")
