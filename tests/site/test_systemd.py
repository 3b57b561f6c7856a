"""`configs/procman.service` under a real systemd, which is process 1 of a container: what it sees of the site."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest

from tests.site.running import ROOT
from tests.site.test_container import DEADLINE_S, NAME, Engine, engine

SYSTEMD = Path("/lib/systemd/systemd")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not (shutil.which("podman") and shutil.which("runc") and SYSTEMD.exists()),
    reason="needs root, podman, runc and systemd",
)
UNIFIED = Path("/sys/fs/cgroup/unified")
"""Where cgroup v2 is, if there is v1 too."""
PLACES = ("/run", "/tmp", "/var/log/journal")
CONTAINER = (
    *("--tty", "--env", "container=podman", "--cgroupns", "private", "--cap-add", "SYS_ADMIN"),
    *("--security-opt", "unmask=all", "--systemd", "false"),
    *(word for place in PLACES for word in ("--tmpfs", f"{place}:rw,notmpcopyup,mode=755")),
)
SITE = 'schema = 1\n[site]\nname = "shop"\n[group.a]\ncommand = "sleep 3600"\nworkers = 2\n'
NOTHING = "[Unit]\nDescription=a machine that does nothing by itself\nDefaultDependencies=no\n"

__all__ = ["engine"]


class Machine:
    """A systemd, and its log, in which is every notification that it has got."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        units = engine.folder / "root" / "etc" / "systemd" / "system"
        (units / "nothing.target").write_text(NOTHING, encoding="utf-8")
        unit = (ROOT / "configs" / "procman.service").read_text(encoding="utf-8")
        assert unit.count("/srv/shop/.venv/bin/procman up /srv/shop/site.toml") == 1
        unit = unit.replace(
            "/srv/shop/.venv/bin/procman up /srv/shop/site.toml", f"{sys.executable} -m procman up /shop.toml"
        )
        (units / "shop.service").write_text(unit, encoding="utf-8")
        drop_in = units / "shop.service.d"
        drop_in.mkdir()
        more = f"[Unit]\nDefaultDependencies=no\n[Service]\nEnvironment=PYTHONPATH={ROOT}\nWatchdogSec=4s\n"
        (drop_in / "test.conf").write_text(more, encoding="utf-8")
        self.site(SITE)
        command = (
            str(SYSTEMD),
            "--unit=nothing.target",
            "--log-target=console",
            "--log-level=debug",
            "--log-color=false",
        )
        engine.run(*command, options=CONTAINER)
        self.until("nothing.target changed dead -> active")

    def unit(self, *lines: str) -> None:
        """Further lines for the service."""
        drop_in = self._engine.folder / "root" / "etc" / "systemd" / "system" / "shop.service.d" / "more.conf"
        drop_in.write_text("[Service]\n" + "\n".join([*lines, ""]), encoding="utf-8")
        self.systemctl("daemon-reload")

    def site(self, text: str) -> None:
        """Write the configuration."""
        (self._engine.folder / "root" / "shop.toml").write_text(text, encoding="utf-8")

    def systemctl(self, *words: str) -> str:
        return self.execute("systemctl", *words)

    def execute(self, *command: str, check: bool = True) -> str:
        """Run this inside: what it prints."""
        return self._engine.podman("exec", NAME, *command, check=check).stdout

    def show(self, *properties: str) -> list[str]:
        """Properties of the service."""
        lines = self.systemctl("show", "shop.service", *(f"--property={name}" for name in properties)).splitlines()
        found = dict(line.split("=", 1) for line in lines)
        return [found[name] for name in properties]

    def until(self, text: str, count: int = 1) -> None:
        """Wait until its log has this so many times."""
        deadline = monotonic() + DEADLINE_S
        while self.log.count(text) < count:
            assert monotonic() < deadline, f"never came: {text}\n{self.log[-4000:]}"

    @property
    def log(self) -> str:
        return self._engine.podman("logs", NAME).stdout


@pytest.fixture
def machine(engine: Engine) -> Iterator[Machine]:
    machine = Machine(engine)
    yield machine
    with suppress(AssertionError):
        machine.systemctl("stop", "shop.service")


def test_systemd_sees_it_ready_reloading_stopping_and_hung(machine: Machine) -> None:
    machine.systemctl("start", "shop.service")  # until it is ready
    assert machine.show("ActiveState", "SubState", "StatusText") == ["active", "running", "1 of 1 groups ready"]
    machine.site(SITE + '[group.b]\ncommand = "sleep 3600"\n')
    machine.systemctl("reload", "shop.service")
    machine.until("STATUS=2 of 2 groups ready")
    assert "(RELOADING=1, MONOTONIC_USEC=" in machine.log
    assert "shop.service: Changed reload -> running" in machine.log
    assert machine.show("ActiveState", "StatusText") == ["active", "2 of 2 groups ready"]
    machine.until("WATCHDOG=1", 3)
    (pid,) = machine.show("MainPID")
    ready = machine.log.count("READY=1")
    machine.execute("kill", "-STOP", pid)  # `systemctl kill` sends SIGCONT after it
    machine.until("READY=1", ready + 1)  # from the next one
    machine.until("Watchdog timeout")
    machine.until("STATUS=2 of 2 groups ready", 2)
    restarts, main, result = machine.show("NRestarts", "MainPID", "StatusText")
    assert (restarts, main != pid, result) == ("1", True, "2 of 2 groups ready")
    machine.systemctl("stop", "shop.service")
    machine.until("STOPPING=1")
    assert machine.show("ActiveState", "Result") == ["inactive", "success"]


@pytest.mark.parametrize(
    ("unit", "below"),
    [
        ((), "/procman-shop/tree"),
        (("Delegate=no",), "/procman-shop/tree"),
        (("Delegate=no", "ProtectControlGroups=yes"), ""),
    ],
)
def test_with_a_cgroup_of_its_own_or_none_a_killed_procman_leaves_nothing_and_is_started_again(
    machine: Machine, unit: tuple[str, ...], below: str
) -> None:
    machine.unit(*unit)
    machine.systemctl("start", "shop.service")
    home = f"{UNIFIED if UNIFIED.is_dir() else UNIFIED.parent}/system.slice/shop.service"
    (pid,) = machine.show("MainPID")
    assert machine.execute("tail", "-n1", f"/proc/{pid}/cgroup") == f"0::/system.slice/shop.service{below}\n"
    before = machine.execute("pidof", "sleep").split()
    machine.execute("kill", "-KILL", pid)
    machine.until("STATUS=1 of 1 groups ready", 2)
    after = machine.execute("pidof", "sleep").split()
    assert (len(before), len(after), set(before) & set(after)) == (2, 2, set())
    assert machine.show("NRestarts", "ActiveState") == ["1", "active"]
    assert machine.execute("find", home, "-name", "procman-*") == f"{home}/procman-shop\n" * bool(below)
    machine.systemctl("stop", "shop.service")
    assert machine.show("ActiveState", "Result") == ["inactive", "success"]
    assert machine.execute("pgrep", "-c", "sleep", check=False) == "0\n"
