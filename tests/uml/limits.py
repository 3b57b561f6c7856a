"""The limits of a worker's cgroup, where there are controllers: run inside user-mode Linux by `test_machine.py`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

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
