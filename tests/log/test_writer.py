"""The way out: streams that are slow, full, torn or gone, all of them real."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from procman.kernel.wait.poller import Poller
from procman.log.writer import Writer

LINE = b"x" * 99 + b"\n"


def lost_line(count: int) -> bytes:
    return b"lost %d\n" % count


class Stream:
    """A writer on one end of something, and what came out of the other."""

    def __init__(self, fd: int, *, owned: bool = False) -> None:
        self.poller = Poller()
        self.fd = fd
        self.writer = Writer(fd, owned=owned, poller=self.poller, lost_line=lost_line)

    def numbered(self, count: int, width: int = 100) -> list[bytes]:
        lines = [b"%d".ljust(width) % number for number in range(count)]
        return [line[: width - 1].ljust(width - 1) + b"\n" for line in lines]

    def drain(self, read: int) -> bytes:
        """Read, and let the writer go on, until nothing more comes."""
        data = b""
        os.set_blocking(read, False)
        while True:
            try:
                data += os.read(read, 1 << 20)
            except BlockingIOError:
                if not self.writer.pending:
                    return data
                self.poller.poll(5)


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for fd in ends:
            with suppress(OSError):
                os.close(fd)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """A disk that is full at this size: writes go up to it, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_inherited_pipe_keeps_its_flags() -> None:
    with pipe() as (read, write):
        stream = Stream(write)
        stream.writer.put([LINE])
        assert os.read(read, 1000) == LINE
        assert fcntl.fcntl(write, fcntl.F_GETFL) & os.O_NONBLOCK == 0
        stream.writer.close()


def test_a_reader_that_stops_reading_stops_nothing_and_gets_all_later() -> None:
    with pipe() as (read, write):
        stream = Stream(write)
        lines = stream.numbered(2000)
        stream.writer.put(lines)
        assert stream.drain(read) == b"".join(lines)
        stream.writer.close()


def test_beyond_the_bound_the_oldest_are_dropped_and_counted_once_where_they_are_missing() -> None:
    with pipe() as (read, write):
        stream = Stream(write)
        stream.writer.limit = 10_000
        lines = stream.numbered(2000)
        for line in lines:
            stream.writer.put([line])
        seen = stream.drain(read).splitlines(keepends=True)
        gap = next(index for index, line in enumerate(seen) if line.startswith(b"lost"))
        lost = int(seen[gap].split()[1])
        assert seen == [*lines[:gap], lost_line(lost), *lines[gap + lost :]]
        assert len(lines) - gap - lost == 100
        stream.writer.close()


def test_a_reader_that_went_away_is_survived() -> None:
    with pipe() as (read, write):
        stream = Stream(write)
        os.close(read)
        stream.writer.put([LINE])
        stream.writer.put([LINE])
        assert stream.writer.pending == 2
        stream.writer.close()


def test_a_full_device_is_survived_and_not_watched() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    stream = Stream(fd)
    stream.writer.put([LINE] * 3)
    started = time.monotonic()
    stream.poller.poll(0.05)
    assert time.monotonic() - started >= 0.05
    assert stream.writer.pending == 3
    stream.writer.close()
    os.close(fd)


def test_a_closed_descriptor_is_survived() -> None:
    with pipe() as (_, write):
        os.close(write)
        stream = Stream(write)
        stream.writer.put([LINE])
        assert stream.writer.pending == 1
        stream.writer.close(patience_s=0)


@pytest.mark.parametrize("room", [0, 1, 99, 100, 150, 199])
def test_a_full_disk_loses_nothing_once_there_is_room(tmp_path: Path, room: int) -> None:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    stream = Stream(fd)
    lines = stream.numbered(3)
    with file_size_limit(room):
        stream.writer.put(lines[:2])
    stream.writer.put(lines[2:])
    whole, torn = divmod(room, 100)
    assert path.read_bytes() == b"".join([*lines[:whole], lines[whole][:torn] + b"\n" if torn else b"", *lines[whole:]])
    stream.writer.close()
    os.close(fd)


def test_what_a_full_disk_made_it_drop_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    stream = Stream(fd)
    stream.writer.limit = 500
    lines = stream.numbered(20)
    with file_size_limit(100):
        for line in lines[:19]:
            stream.writer.put([line])
    stream.writer.put(lines[19:])
    assert path.read_bytes() == b"".join([lines[0], lost_line(13), *lines[14:]])
    stream.writer.close()
    os.close(fd)


def test_a_shared_file_keeps_one_offset_with_those_who_share_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    stream = Stream(fd)
    stream.writer.put([b"ours\n"])
    os.write(fd, b"a worker's\n")
    stream.writer.put([b"ours again\n"])
    assert path.read_bytes() == b"ours\na worker's\nours again\n"
    stream.writer.close()
    os.close(fd)


def test_a_socket_whose_reader_is_stuck_stops_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = Stream(ours.fileno())
        lines = stream.numbered(5000)
        stream.writer.put(lines)
        assert stream.writer.pending > 0
        assert stream.drain(theirs.fileno()) == b"".join(lines)
        assert ours.getblocking()
        stream.writer.close()


def test_a_terminal_that_takes_nothing_stops_nothing_and_no_line_is_torn() -> None:
    master, slave = os.openpty()
    stream = Stream(slave)
    lines = stream.numbered(3000)
    stream.writer.put(lines)
    assert stream.writer.pending > 0
    assert stream.drain(master).replace(b"\r\n", b"\n") == b"".join(lines)
    stream.writer.close()
    os.close(master)
    os.close(slave)


def test_closing_waits_for_a_stuck_reader_no_longer_than_it_is_told() -> None:
    with pipe() as (_, write):
        stream = Stream(write)
        stream.writer.put(stream.numbered(2000))
        started = time.monotonic()
        stream.writer.close(patience_s=0.1)
        assert 0.1 <= time.monotonic() - started < 0.6


def test_a_reader_that_is_slow_and_goes_on_reading_gets_all_of_it_at_the_end() -> None:
    with pipe() as (read, write):
        stream = Stream(write)
        lines = stream.numbered(2000)
        stream.writer.put(lines)
        said: list[bytes] = []

        def read_slowly() -> None:
            while sum(map(len, said)) < 100 * len(lines):
                Event().wait(0.15)  # a slow reader is what this is about
                said.append(os.read(read, 8192))

        reader = Thread(target=read_slowly)
        reader.start()
        stream.writer.close(patience_s=0.75)
        reader.join()
        assert b"".join(said) == b"".join(lines)
