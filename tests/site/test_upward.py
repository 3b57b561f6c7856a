"""What whoever started procman hears of it, as systemd would: by a socket of its own, under its own rules."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.site.running import DEADLINE_S, up
from tests.site.sites import FOREVER, group, site_of


class Above:
    """The other side: what it has heard, and from whom."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.heard: list[dict[str, str]] = []
        self.pids: set[int] = set()

    def until(self, key: str, count: int = 1) -> dict[str, str]:
        """Wait until it has heard of this so many times: what came with it."""
        while sum(key in one for one in self.heard) < count:
            data, ancillary, _, _ = self._sock.recvmsg(4096, socket.CMSG_SPACE(12))
            self.pids |= {struct.unpack("3i", credentials)[0] for _, _, credentials in ancillary}
            self.heard.append(dict(line.split("=", 1) for line in data.decode().split("\n")))
        return [one for one in self.heard if key in one][count - 1]

    def said(self, *keys: str) -> list[str]:
        """Which of these was heard, in order."""
        return [key for one in self.heard for key in one if key in keys]


@contextmanager
def above(address: str) -> Iterator[Above]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address.replace("@", "\0"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sock.settimeout(DEADLINE_S)
        yield Above(sock)


@pytest.mark.parametrize("abstract", [False, True])
def test_it_hears_when_the_site_is_ready_reads_its_file_and_stops(tmp_path: Path, abstract: bool) -> None:
    address = f"@procman-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    a, b = group("a", FOREVER), group("b", "exit 0", 'kind = "job"')
    with above(address) as who, up(tmp_path, site_of(a, b), env={"NOTIFY_SOCKET": address}) as site:
        assert who.until("READY")["STATUS"] == "2 of 2 groups ready"
        assert who.heard[0] == {"STATUS": "reading the configuration"}
        site.reload(site_of(a, b, group("c", FOREVER)))
        assert int(who.until("RELOADING")["MONOTONIC_USEC"]) > 0
        who.until("READY", 2)
        site.stop()
        assert who.until("STOPPING")["STATUS"] == "stopping"
        assert who.said("READY", "RELOADING", "STOPPING", "WATCHDOG") == ["READY", "RELOADING", "READY", "STOPPING"]
        assert who.pids == {site.events[0]["pid"]}


def test_a_site_is_not_ready_before_all_its_groups_are(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    gate = group("gate", f"read line < {tmp_path}/fifo", 'kind = "job"')
    web = group("web", FOREVER, 'after = { gate = "completed" }')
    address = str(tmp_path / "notify")
    with (
        above(address) as who,
        up(tmp_path, site_of(gate, web), env={"NOTIFY_SOCKET": address}) as site,
    ):
        site.until("worker.running", "gate:0")
        while who.until("STATUS", len(who.heard) + 1)["STATUS"] != "1 of 2 groups ready":
            pass
        assert who.said("READY") == []
        (tmp_path / "fifo").write_text("go\n", encoding="ascii")
        assert who.until("READY")["STATUS"] == "2 of 2 groups ready"


def test_the_watchdog_is_told_in_time_while_nothing_happens_and_not_while_the_core_hangs(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    env = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}
    with above(address) as who, up(tmp_path, site_of(group("a", FOREVER)), env=env) as site:
        who.until("WATCHDOG", 4)
        os.kill(site.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, site.process.pid, os.WSTOPPED | os.WNOWAIT)
        before = len(who.heard)
        site.pause(1.0)
        os.kill(site.pid, signal.SIGCONT)
        who.until("WATCHDOG", len(who.said("WATCHDOG")) + 1)
        assert len(who.heard) - before <= 3  # what was on its way, and the first after it went on


@pytest.mark.parametrize("env", [{}, {"WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
def test_no_watchdog_is_told_that_is_meant_for_somebody_else_or_for_nobody(tmp_path: Path, env: dict[str, str]) -> None:
    address = str(tmp_path / "notify")
    with (
        above(address) as who,
        up(tmp_path, site_of(group("a", FOREVER)), env={"NOTIFY_SOCKET": address, **env}) as site,
    ):
        who.until("READY")
        site.pause(0.5)
        site.stop()
        who.until("STOPPING")
        assert who.said("WATCHDOG") == []


@pytest.mark.parametrize("address", ["/nowhere/notify", "vsock:2:1", "@", "notify"])
def test_an_address_where_nobody_is_does_no_harm(tmp_path: Path, address: str) -> None:
    with up(tmp_path, site_of(group("a", FOREVER)), env={"NOTIFY_SOCKET": address}) as site:
        site.until("worker.running", "a:0")
        assert site.stop() == 0
