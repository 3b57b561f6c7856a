"""A log that nobody takes: the workers go on, and what was lost is counted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.site.events import event_of
from tests.site.running import Site, up
from tests.site.sites import FOREVER, group, site_of

TELLS = group("api", f"echo pid $$; {FOREVER}", "restart = { max_restarts = 1000000, backoff = false }")


def kill(site: Site, times: int) -> None:
    """Kill the worker so often; each replacement says its pid."""
    done = len(site.words)
    for count in range(done, done + times):
        os.kill(int(site.until_said("pid", max(count, 1))[-1].split()[1]), signal.SIGKILL)
    site.until_said("pid", done + times)


def test_with_the_disk_full_the_workers_go_on(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with up(tmp_path, site_of(TELLS), stderr=full) as site:
        site.until_said("pid")
        kill(site, 20)
        assert site.stop() == 0
    os.close(full)


def test_with_nobody_at_the_other_end_the_workers_go_on(tmp_path: Path) -> None:
    read, write = os.pipe()
    with up(tmp_path, site_of(TELLS), stderr=write) as site:
        os.close(write)
        os.close(read)
        site.until_said("pid")
        kill(site, 20)
        assert site.stop() == 0


@pytest.mark.parametrize("own_flags", [True, False], ids=["pipe", "socket"])
def test_a_reader_that_is_stuck_holds_up_nobody_and_learns_what_it_missed(tmp_path: Path, own_flags: bool) -> None:
    read, write = os.pipe() if own_flags else sockets()
    long_lines = site_of(TELLS.replace("[group.api]", f"[group.{'a' * 64}]"))
    with up(tmp_path, long_lines, "--name", "a" * 64, stderr=write) as site:
        os.close(write)
        site.until_said("pid")
        kill(site, 1100)
        site.signal(signal.SIGTERM)
        lines = b"".join(iter(lambda: os.read(read, 65536), b"")).splitlines(keepends=True)
        assert site.wait() == 0
    os.close(read)
    events = [event_of(line) for line in lines]
    assert (events[0].name, events[-1].name) == ("site.loading", "site.stopped")
    lost = [event["lines"] for event in events if event.name == "log.lost"]
    assert (len(lost), sum(lost) > 0) == (1, True)
    ends = [event["restarts"] for event in events if event.name == "worker.backoff"]
    assert (ends[0], ends[-1]) == (1, 1100)


def test_workers_that_share_the_stream_tear_no_line(tmp_path: Path) -> None:
    line = "x" * 3000
    chatter = group("chatter", f"while :; do echo {line} >&2; done", "workers = 2")
    with up(tmp_path, site_of(TELLS, chatter)) as site:
        site.until_said("pid")
        kill(site, 50)
        os.kill(site.pid, signal.SIGTERM)
        assert site.wait() == 0
        assert set(site.foreign) <= {line}
        assert [event["restarts"] for event in site.told("worker.backoff", "api:0")] == list(range(1, 51))


def sockets() -> tuple[int, int]:
    import socket

    left, right = socket.socketpair()
    return left.detach(), right.detach()
