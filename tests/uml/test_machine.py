"""Boots user-mode Linux on this machine's own root, read-only, and has the limits tested there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BOOT_S = 400.0
"""A guard against hanging; it takes twenty seconds on an idle machine."""


MACHINE = ("mem=512M", "root=/dev/root", "rootfstype=hostfs", "hostfs=/", "ro", "quiet", "con=null", "con0=fd:0,fd:1")
ENDS = "tests/site/test_cgroup_ends.py"
TESTS = (
    "tests/uml/limits.py",
    f"{ENDS}::test_a_worker_is_over_when_its_cgroup_is_empty_and_until_then_nobody_asks",
    f"{ENDS}::test_who_has_gone_to_another_pid_namespace_is_ended_with_its_worker_and_reaped_there",
)


def boot(home: Path, *words: str) -> str:
    """What it says until it ends."""
    done = subprocess.run(
        [sys.executable, str(HERE / "boot.py"), "linux.uml", *MACHINE, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        check=False,
        timeout=BOOT_S,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
    )
    return done.stdout


@pytest.mark.skipif(not shutil.which("linux.uml"), reason="no linux.uml: install user-mode-linux")
def test_limits_hold_a_kill_for_want_of_memory_is_told_and_the_end_of_a_cgroup_is_heard_of(tmp_path: Path) -> None:
    said = boot(
        tmp_path,
        f"init={HERE / 'init.sh'}",
        f"UML_DIRECTORY={ROOT}",
        f"UML_PYTHON={sys.executable}",
        f"UML_TESTS={','.join(TESTS)}",
    )
    assert "uml: status 0" in said, said[-7000:]
    assert ("passed" in said, "skipped" in said) == (True, False)
