"""Everything that dumb-init and tini test of themselves holds for `procman init`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.init import peers

PEERS = os.environ.get("PROCMAN_PEERS", "")

REAPER = [sys.executable, str(peers.HERE / "procman_init.py"), "-s", "--"]
"""The suites look whether orphans are gone; process 1 of a test machine may take its time over them."""

pytestmark = pytest.mark.skipif(
    not PEERS, reason="no PROCMAN_PEERS: fetch them with `python -m tests.init.peers DIRECTORY`"
)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    words = peers.Words(tmp_path)
    yield peers.environment(tmp_path, words)
    words.close()


def test_the_suite_of_dumb_init_passes(environment: dict[str, str]) -> None:
    unwanted = " and ".join(f"not {name}" for name in peers.OWN_WORDS)
    command = [*REAPER, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "-k", unwanted]
    done = subprocess.run(
        command,
        check=False,
        cwd=Path(PEERS) / "dumb-init",
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert (done.returncode, "112 passed" in done.stdout) == (0, True), done.stdout[-3000:]


def test_the_suite_of_tini_passes(environment: dict[str, str], tmp_path: Path) -> None:
    source = Path(PEERS) / "tini"
    done = subprocess.run(
        [*REAPER, sys.executable, source / "test" / "run_inner_tests.py"],
        env=environment | {"SOURCE_DIR": str(source), "BUILD_DIR": str(tmp_path), "FORCE_SUBREAPER": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert (done.returncode, "All done, tests as expected" in done.stdout) == (0, True), done.stderr[-3000:]
