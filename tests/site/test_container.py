"""`configs/container.toml` in a real container: podman and runc, on an overlay of this machine's own root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.site.events import event_of
from tests.site.running import ROOT

DEADLINE_S = 90.0
NAME = "procman-test"
CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "none"
"""
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not (shutil.which("podman") and shutil.which("runc")),
    reason="needs root, podman and runc",
)


class Engine:
    """A podman with everything of its own below one directory, and one container."""

    def __init__(self, folder: Path) -> None:
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        (folder / "containers.conf").write_text(CONF, encoding="utf-8")
        (folder / "message").touch()
        self.folder = folder
        layers = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, folder / "root"], check=True)

    def podman(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        stores = ("--root", f"{self.folder}/store", "--runroot", f"{self.folder}/run", "--storage-driver", "vfs")
        env = os.environ | {"CONTAINERS_CONF": f"{self.folder}/containers.conf"}
        command = ["podman", *stores, *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def run(self, *command: str, options: Sequence[str] = ()) -> None:
        """Start the container: with no network but its own loopback, and a file for the last word."""
        volumes = [f"{folder}:{folder}:ro" for folder in dict.fromkeys((str(ROOT), sys.prefix, sys.base_prefix))]
        volumes.append(f"{self.folder}/message:/dev/termination-log")
        more = [*options, *(word for volume in volumes for word in ("--volume", volume))]
        start = ("run", "--detach", "--name", NAME, "--net", "none", "--workdir", str(ROOT), *more)
        self.podman(*start, "--rootfs", f"{self.folder}/root", *command)

    def until(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until the container's log has so many of these events: all of its events."""
        deadline = monotonic() + DEADLINE_S
        while monotonic() < deadline:
            lines = self.podman("logs", NAME).stderr.splitlines()
            events = [event_of(f"{line}\n".encode()).fields for line in lines if line.startswith('{"ts"')]
            if sum(one["event"] == event for one in events) >= count:
                return events
        raise AssertionError(f"never came: {event}")

    def status(self) -> int:
        """Wait for its end: its exit code, seen from outside."""
        return int(self.podman("wait", NAME).stdout)

    def close(self) -> None:
        with suppress(subprocess.SubprocessError):
            self.podman("rm", "--force", "--time", "0", NAME, check=False)
        subprocess.run(["umount", self.folder / "root"], check=True)
        for parent in Path("/sys/fs/cgroup").glob("**/libpod_parent"):
            for empty in (parent / "conmon", parent):
                with suppress(OSError):
                    empty.rmdir()


@pytest.fixture
def engine() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="pm-") as name:  # podman wants a short path
        subprocess.run(["mount", "-t", "tmpfs", "none", name], check=True)
        try:
            engine = Engine(Path(name))
            try:
                yield engine
            finally:
                engine.close()
        finally:
            subprocess.run(["umount", "--recursive", "--lazy", name], check=True)


UP = (sys.executable, "-m", "procman", "up", str(ROOT / "configs" / "container.toml"))


def test_the_example_runs_as_process_1_and_stops_within_its_grace(engine: Engine) -> None:
    engine.run(*UP)
    events = engine.until("worker.running", 2)
    assert events[0]["pid"] == 1
    began = monotonic()
    engine.podman("stop", "--time", "30", NAME)
    assert monotonic() - began < 25
    assert engine.status() == 0
    told = json.loads((engine.folder / "message").read_text(encoding="utf-8"))
    assert (told["event"], told["exit_code"]) == ("site.stopped", 0)


def test_the_container_ends_when_the_web_server_does_and_with_its_status(engine: Engine) -> None:
    engine.run(
        *UP, "--set", "group.web.command=\"sh -c 'sleep 1; exit 42'\"", "--set", "group.web.restart.max_restarts=0"
    )
    assert engine.status() == 42
    told = json.loads((engine.folder / "message").read_text(encoding="utf-8"))
    assert told["exit_code"] == 42


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -KILL $$", 137)])
def test_init_alone_hands_on_the_status_of_its_command(engine: Engine, script: str, status: int) -> None:
    engine.run(sys.executable, "-m", "procman", "init", "--", "sh", "-c", script)
    assert engine.status() == status
