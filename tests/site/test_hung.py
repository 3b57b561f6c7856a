"""Helpers that nothing can end: they hang in a write to a file system that is frozen, where not even SIGKILL helps."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.control.test_real import operated
from tests.output.disks import disk_of_its_own, freeze, root_only, thaw
from tests.site.sites import FOREVER, group

SITE = """schema = 1
[site]
name = "test"
[group.api]
callable = "program:main"
path = ["disk"]
"""
PROGRAM = """
open(__file__ + ".written", "w")
def main():
    import time
    time.sleep(3600)
"""


@root_only
def test_a_zygote_that_cannot_be_killed_holds_up_neither_its_stop_nor_anybody_else(tmp_path: Path) -> None:
    with disk_of_its_own(tmp_path) as disk:
        (disk / "program.py").write_text(PROGRAM, encoding="utf-8")
        freeze(disk)
        with operated(tmp_path, SITE + group("db", FOREVER), workers=1) as one:
            one.site.until_descendants(lambda pids: any(map(_hangs, pids)))
            assert one.run("stop", "api", "--timeout", "30s").returncode == 0
            assert one.run("restart", "db", "--timeout", "30s").returncode == 0
            assert one.run("status", "--ready").returncode == 0
            one.site.signal(signal.SIGTERM)
            assert one.site.wait_for_core() == 0
            thaw(disk)


def _hangs(pid: int) -> bool:
    """Whether it waits for a disk."""
    return b") D " in Path(f"/proc/{pid}/stat").read_bytes()
