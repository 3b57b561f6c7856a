"""Output that cannot be written, or read, for a while: the account is exact, and supervision notices nothing."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from tests.benchmark.loggers import is_pump
from tests.output.disks import disk_of_its_own, freeze, root_only, thaw
from tests.site.running import DEADLINE_S, ROOT, Site, up
from tests.site.sites import FOREVER, group, python, site_of

LINES = 50_000
MARK = re.compile(r"… ([\d,]+) lines? \([^)]*\) not written: .*")
WRITE = f"""
import os, signal
def write(numbers):
    data = b"".join(b"%07d %b\\n" % (number, b"." * 91) for number in numbers)
    while data:
        data = data[os.write(2, data):]
write(range(1000))
print("begun", flush=True)
write(range(1000, {LINES}))
print("written", flush=True)
signal.pause()
"""


class Fifo:
    """What reads a fifo, if it is asked to."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # so there is always somebody, who may never read
        self.text = ""

    def until(self, text: str) -> list[str]:
        """Read until this line has come: all lines."""
        while f"\n{text}" not in self.text or not self.text.endswith("\n"):
            assert select.select([self._end], [], [], DEADLINE_S)[0], f"{text!r} never came"
            self.text += os.read(self._end, 1 << 20).decode()
        return self.text.splitlines()

    def close(self) -> None:
        """Read no more."""
        os.close(self._end)


def pump_of(site: Site) -> int:
    """Wait for the pump: its pid."""
    return next(filter(is_pump, site.until_descendants(lambda found: any(map(is_pump, found)))))


def restart(site: Site, worker: str) -> None:
    """Kill a worker, and wait until it is back."""
    os.kill(site.until("worker.running", worker)["pid"], signal.SIGKILL)
    site.until("worker.running", worker, count=2)


def lost(name: str) -> tuple[int, int]:
    """The lines and bytes that `status` says have been lost."""
    command = [sys.executable, "-m", "procman", "status", "-s", name, "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S)
    told = json.loads(done.stdout)
    return told["lost_lines"], told["lost_bytes"]


@pytest.mark.parametrize("on_full", ["drop", "block"])
def test_of_a_pump_that_stood_still_and_a_reader_that_did_too_the_account_is_exact(
    on_full: str, tmp_path: Path
) -> None:
    where = f'output = {{ stdout = "inherit", stderr = {{ file = "lines" }}, buffer = "1MiB", on_full = "{on_full}" }}'
    fifo, name = Fifo(tmp_path / "lines"), f"losses-{os.getpid()}-{on_full}"
    text = site_of(group("web", python(WRITE), where), group("other", FOREVER))
    with up(tmp_path, text, "--name", name) as site:
        site.until("worker.running", "web:0")
        pump = pump_of(site)
        site.until_said("begun")
        os.kill(pump, signal.SIGSTOP)
        restart(site, "other:0")
        os.kill(pump, signal.SIGCONT)
        if on_full == "drop":
            site.until_said("written")
        lines = fifo.until(f"{LINES - 1:07} ")
        site.until_said("written")
        numbers = [int(line[:7]) for line in lines if not line.startswith("…")]
        marks = [int(found[1].replace(",", "")) for line in lines if (found := MARK.fullmatch(line))]
        assert numbers == sorted(set(numbers))
        assert len(numbers) + sum(marks) == LINES
        if on_full == "drop":
            assert sum(marks) > 0
            count, over = 1, site.until("output.resumed")
            while over["lines"] < sum(marks):  # what was in the pipe began another loss
                count, over = count + 1, site.until("output.resumed", count=count + 1)
            assert (over["lines"], over["bytes"]) == lost(name) == (sum(marks), 100 * sum(marks))
        else:
            assert (marks, lost(name), site.told("output.lost")) == ([], (0, 0), [])
        assert site.states("web:0") == ["starting", "running"]
        fifo.close()


def _is_written(site: Site, file: Path, text: str) -> str:
    deadline = monotonic() + DEADLINE_S
    while not file.exists() or text not in file.read_text(encoding="utf-8"):
        assert monotonic() < deadline, f"{text!r} was never written"
        site.pause(0.02)
    return file.read_text(encoding="utf-8")


@root_only
def test_a_disk_that_hangs_delays_no_restart_and_gets_its_lines_when_it_is_back(tmp_path: Path) -> None:
    say = "while read -r line; do echo $line; echo heard $line >&2; [ $line != end ] || exit 1; done < fifo"
    options = ('output = { stdout = { file = "disk/web.log" }, stderr = "inherit" }', 'cwd = "."')
    os.mkfifo(tmp_path / "fifo")
    with (
        disk_of_its_own(tmp_path) as disk,
        up(tmp_path, site_of(group("web", say, *options), group("other", FOREVER), site="control = false")) as site,
    ):
        try:
            site.until("worker.running", "other:0")
            with (tmp_path / "fifo").open("w", encoding="utf-8") as end:
                print("one", file=end, flush=True)
                _is_written(site, disk / "web.log", "one\n")
                freeze(disk)
                print("two", file=end, flush=True)
                restart(site, "other:0")
                print("end", file=end, flush=True)
                site.until("worker.running", "web:0", count=2)  # its own restart is not delayed either
                assert "heard end" in site.foreign
                thaw(disk)
                print("back", file=end, flush=True)
                said = _is_written(site, disk / "web.log", "back\n").splitlines()
            assert [line for line in said if not line.startswith("…")] == ["one", "two", "end", "back"]
        finally:
            thaw(disk)
        site.stop()


@root_only
def test_while_a_disk_hangs_nobody_who_writes_there_waits_and_the_site_can_be_stopped(tmp_path: Path) -> None:
    where = 'output = { stdout = "inherit", stderr = { file = "disk/lines" }, buffer = "64KiB" }'
    text, name = site_of(group("web", python(WRITE), where), group("other", FOREVER)), f"hangs-{os.getpid()}"
    with disk_of_its_own(tmp_path) as disk:
        freeze(disk)
        with up(tmp_path, text, "--name", name) as site:
            try:
                site.until_said("written")
                restart(site, "other:0")
                assert site.until("output.lost")["reason"] == f"{disk}/lines: the disk does not answer"
                assert lost(name)[0] > 0
                site.signal(signal.SIGTERM)
                assert site.wait_for_core() == 0
            finally:
                thaw(disk)
            assert site.wait() == 0  # and now nothing is left
