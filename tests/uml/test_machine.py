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


@pytest.mark.skipif(not shutil.which("linux.uml"), reason="no linux.uml: install user-mode-linux")
def test_memory_pids_and_cpu_are_limited_and_a_kill_for_want_of_memory_is_told(tmp_path: Path) -> None:
    words = [
        "linux.uml", "mem=512M", "root=/dev/root", "rootfstype=hostfs", "hostfs=/", "ro", "quiet",
        "con=null", "con0=fd:0,fd:1", f"init={HERE / 'init.sh'}",
        f"UML_DIRECTORY={ROOT}", f"UML_PYTHON={sys.executable}", "UML_TESTS=tests/uml/limits.py",
    ]  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=BOOT_S, env=environment
    )
    assert "uml: status 0" in done.stdout, done.stdout[-6000:] + done.stderr[-1000:]
    assert "4 passed" in done.stdout
