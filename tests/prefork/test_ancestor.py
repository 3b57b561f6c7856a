"""tornado's own tests of `fork_processes`, run against procman's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.prefork.program import ROOT

STAND_IN = Path(__file__).parent / "ancestor"


def test_the_ancestors_own_test_file_passes(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "unittest", "-v", "tornado.test.process_test"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{STAND_IN}{os.pathsep}{ROOT}", "FORKED_BY": str(calls)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "test_multi_process" in ended.stdout
    assert calls.read_text(encoding="ascii") == "procman.prefork.fork_processes\n"
