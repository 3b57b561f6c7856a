"""A real pump and those who take its lines: syslog, the journal, gzip; and what becomes of them without a pump."""

from __future__ import annotations

import gzip
import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from procman.output.rotate import put_aside
from tests.output.disks import root_only, run, small_disk
from tests.output.pumping import DEADLINE_S, Core, output, sink
from tests.output.test_trouble import account, numbered


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket that takes datagrams, as syslog and the journal have it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.bind(str(path))
        peer.settimeout(DEADLINE_S)
        yield peer


def test_syslog_gets_a_datagram_a_line_with_priority_and_tag(tmp_path: Path) -> None:
    with listening(tmp_path / "log") as peer, Core() as core:
        web = core.open(output(sink("syslog", str(tmp_path / "log"))), "web", 3, "stdout", "stderr")
        web.write(b"one\n\x1b[31mtwo\x1b[0m\x07\n")
        core.end(web)
        web.write(b"bad\n", "stderr")
        got = [peer.recv(65536) for _ in range(3)]
        assert [line[:4] for line in got] == [b"<30>", b"<30>", b"<28>"]
        said = [line[20:] for line in got]  # after `Nov 25 12:00:07 `
        assert said == [b"web.3[4001]: one", b"web.3[4001]: two\\x07", b"web.3[4001]: bad"]


def test_the_journal_gets_its_native_fields(tmp_path: Path) -> None:
    with listening(tmp_path / "journal") as peer, Core() as core:
        web = core.open(output(sink("journald", str(tmp_path / "journal"))), "web", 3, "stdout", "stderr")
        web.write(b"bad = worse\n", "stderr")
        fields = dict(line.split("=", 1) for line in peer.recv(65536).decode().splitlines())
        about = {"PROCMAN_SITE": "shop", "PROCMAN_GROUP": "web", "PROCMAN_TASK_ID": "3", "PROCMAN_STREAM": "stderr"}
        names = {"SYSLOG_IDENTIFIER": "web.3", "SYSLOG_PID": "4001"}
        assert fields == {"MESSAGE": "bad = worse", "PRIORITY": "4", **names, **about}


def test_a_syslog_that_comes_back_gets_what_waited(tmp_path: Path) -> None:
    with Core() as core:
        web = core.open(output(sink("syslog", str(tmp_path / "log"))))
        with listening(tmp_path / "log") as peer:
            web.write(b"one\n")
            assert peer.recv(65536).endswith(b": one")
        (tmp_path / "log").unlink()
        web.write(b"two\n")
        core.end(web)
        with listening(tmp_path / "log") as peer:
            web.write(b"three\n")
            assert [peer.recv(65536).rpartition(b": ")[2] for _ in range(2)] == [b"two", b"three"]


def test_files_that_were_put_aside_are_compressed_whole(tmp_path: Path) -> None:
    file, text = tmp_path / "web.log", numbered(0, 1000)
    with Core() as core:
        rule = {"size": 20_000, "keep": 100, "age": None, "compress": True}
        web = core.open(output(sink("file", str(file), rotate=rule)))
        for at in range(0, len(text), 10_000):
            web.write(text[at : at + 10_000])
            core.end(web)
        assert core.finish() == 0
        parts = [gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in put_aside(str(file))]
        assert len(parts) >= 4
        assert b"".join([*parts, file.read_bytes()]) == text


@root_only
def test_a_file_that_may_not_be_written_is_told_and_written_once_it_may(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk, Core() as core:
        file = disk / "web.log"
        file.write_bytes(b"")
        _remount(disk, "ro")
        web = core.open(output(sink("file", str(file)), buffer=65536))
        for at in range(0, 2000, 500):
            web.write(numbered(at, 500))
            core.end(web)
        losses = [message for message in core.said if message["say"] == "lost"]
        assert losses[0]["reason"] == "read-only file system"
        _remount(disk, "rw,size=1m")
        web.write(numbered(2000, 1))
        core.end(web)
        numbers, missing = account(file.read_bytes())
        assert (numbers[-1], len(numbers) + missing) == (2000, 2001)


def _remount(disk: Path, how: str) -> None:
    run("mount", "-o", f"remount,{how}", str(disk))


def test_a_stopped_pump_makes_the_worker_wait_and_loses_nothing(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "web.log"
        web = core.open(output(sink("file", str(file)), buffer=65536))
        core.end(web)
        os.kill(core.process.pid, signal.SIGSTOP)
        end, text, sent = web.pipes["stdout"][1], numbered(0, 3000), 0
        os.set_blocking(end, False)
        while select.select([], [end], [], 0)[1]:
            sent += os.write(end, text[sent : sent + 4096])
        assert 0 < sent < len(text)
        os.kill(core.process.pid, signal.SIGCONT)
        os.set_blocking(end, True)
        web.write(text[sent:])
        core.end(web)
        assert file.read_bytes() == text
        assert [message for message in core.said if message["say"] == "lost"] == []
