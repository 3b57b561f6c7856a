"""The limits of a worker's cgroup, where there are controllers: run inside user-mode Linux by `test_machine.py`."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site.running import Site, up
from tests.site.sites import FOREVER, group, python
from tests.site.test_cgroups import NAME, here, site


def failure(running: Site) -> dict[str, object]:
    return running.told("worker.failed")[0].fields


def test_a_worker_that_takes_too_much_memory_is_said_to_have_run_out_of_it(tmp_path: Path) -> None:
    greedy = python("data = []\nwhile True:\n    data.append(bytearray(b'x' * (1 << 20)))")
    limits = ('memory_max = "32MiB"', "restart = { max_restarts = 0 }")
    with up(tmp_path, site(group("greedy", greedy, *limits))) as running:
        assert running.wait() == 10
        assert (failure(running)["signal"], failure(running)["cause"]) == ("SIGKILL", "oom")
        assert "killed by SIGKILL (out of memory)" in str(failure(running)["reason"])


def test_a_worker_that_is_killed_by_somebody_is_not_said_to_have_run_out_of_memory(tmp_path: Path) -> None:
    limits = ('memory_max = "64MiB"', "restart = { max_restarts = 0 }")
    with up(tmp_path, site(group("api", FOREVER, *limits))) as running:
        os.kill(running.until("worker.running")["pid"], signal.SIGKILL)
        assert running.wait() == 10
        assert failure(running)["signal"] == "SIGKILL"
        assert "cause" not in failure(running)


def test_a_fork_bomb_is_held_by_its_limit_and_ended_as_a_whole(tmp_path: Path) -> None:
    bomb = python(
        "import os, signal\nsignal.signal(15, signal.SIG_IGN)\n"
        "while True:\n    try:\n        os.fork() or os.setsid()\n    except OSError:\n"
        "        os.write(1, b'full\\n')\n        signal.pause()\n"
    )
    with up(tmp_path, site(group("bomb", bomb, "pids_max = 30", 'stop = { grace = "200ms" }'))) as running:
        running.until_said("full")
        assert len(running.descendants()) <= 30
        assert running.stop() == 0
        assert running.descendants() == []


def test_a_share_of_the_cpu_is_what_the_kernel_was_told(tmp_path: Path) -> None:
    with up(tmp_path, site(group("api", FOREVER, "cpu_max = 0.25"))) as running:
        running.until("worker.running")
        place = here()
        assert place is not None
        told = place / f"procman-{NAME}" / "api.0.1" / "cpu.max"
        assert told.read_text(encoding="ascii") == "25000 100000\n"


@pytest.fixture
def box() -> Iterator[Path]:
    """A cgroup below that of the tests, which may hand on the number of processes."""
    place = here()
    assert place is not None
    (place / "cgroup.subtree_control").write_text("+pids", encoding="ascii")
    box = place / "box"
    box.mkdir()
    yield box
    box.rmdir()


def inside(box: Path) -> tuple[str, ...]:
    """Words that start a command in this cgroup."""
    return ("sh", "-c", f'echo 0 > {box}/cgroup.procs && exec "$@"', "sh")


def below(box: Path) -> list[Path]:
    """The cgroups in it."""
    return [path for path in box.iterdir() if path.is_dir()]


@pytest.mark.parametrize("end", ["by itself", "by its guard"])
def test_procman_gets_out_of_a_cgroup_that_hands_on_controllers_and_removes_it(
    tmp_path: Path, box: Path, end: str
) -> None:
    """No process may be in such a one: it takes the controllers away before it goes back."""
    with up(tmp_path, site(group("api", FOREVER, "pids_max = 50")), before=inside(box)) as running:
        running.until("worker.running")
        assert (box / f"procman-{NAME}" / "api.0.1" / "pids.max").read_text(encoding="ascii") == "50\n"
        assert (box / "cgroup.subtree_control").read_text(encoding="ascii") == "pids\n"
        guard = box / f"procman-{NAME}" / "guard" / "cgroup.procs"
        running.until_descendants(lambda _found: guard.exists() and bool(guard.read_text(encoding="ascii")))
        if end == "by itself":
            assert running.stop() == 0
        else:
            running.signal(signal.SIGKILL)
            running.until_descendants(lambda found: not found and not below(box))  # the guard ends last
        assert below(box) == []
        assert (box / "cgroup.subtree_control").read_text(encoding="ascii").split() == []


def test_a_limit_is_refused_where_others_are_in_procmans_cgroup(tmp_path: Path, box: Path) -> None:
    with subprocess.Popen([*inside(box), "sleep", "3600"]) as other:
        try:
            with up(tmp_path, site(group("api", FOREVER, "pids_max = 50")), before=inside(box)) as running:
                assert running.wait() == 12
                (failed,) = running.told("worker.failed")
                assert failed["reason"].startswith("cannot start: pids_max: ")
                assert "other processes are in that cgroup" in failed["reason"]
        finally:
            other.kill()
