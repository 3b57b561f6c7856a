"""The poller: callbacks for descriptors, and none for those that are no longer watched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from procman.kernel.wait.poller import READ, WRITE, Poller

Pipe = tuple[int, int]


@pytest.fixture
def poller() -> Iterator[Poller]:
    poller = Poller()
    yield poller
    poller.close()


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    pipes = [os.pipe() for _ in range(2)]
    yield pipes
    for read, write in pipes:
        os.close(read)
        os.close(write)


def test_a_callback_comes_for_each_descriptor_that_is_ready_and_for_no_other(poller: Poller, pipes: list[Pipe]) -> None:
    heard: list[int] = []
    for read, _ in pipes:
        poller.watch(read, READ, lambda _mask, read=read: heard.append(read))  # type: ignore[misc]
    poller.poll(0)
    assert heard == []
    os.write(pipes[1][1], b"x")
    poller.poll(None)
    poller.poll(0)  # still ready: nobody has read
    assert heard == [pipes[1][0]] * 2


def test_whom_an_earlier_callback_unwatched_is_not_called(poller: Poller, pipes: list[Pipe]) -> None:
    heard: list[int] = []

    def forget_all(mask: int) -> None:
        heard.append(mask)
        for read, _ in pipes:
            poller.unwatch(read)

    for read, write in pipes:
        poller.watch(read, READ, forget_all)
        os.write(write, b"x")
    poller.poll(None)
    poller.poll(0)
    assert heard == [READ]


def test_watching_again_changes_events_and_callback(poller: Poller, pipes: list[Pipe]) -> None:
    heard: list[str] = []
    write = pipes[0][1]
    poller.watch(write, READ, lambda _mask: heard.append("old"))
    poller.poll(0)
    poller.watch(write, WRITE, lambda _mask: heard.append("new"))
    poller.poll(None)
    assert heard == ["new"]


def test_unwatching_what_is_not_watched_is_harmless(poller: Poller, pipes: list[Pipe]) -> None:
    poller.unwatch(pipes[0][0])
    poller.watch(pipes[0][0], READ, lambda _mask: None)
    poller.unwatch(pipes[0][0])
    poller.unwatch(pipes[0][0])
    os.write(pipes[0][1], b"x")
    poller.poll(0)


def test_a_regular_file_cannot_be_watched(poller: Poller, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        with pytest.raises(PermissionError):
            poller.watch(file.fileno(), WRITE, lambda _mask: None)
        poller.unwatch(file.fileno())
