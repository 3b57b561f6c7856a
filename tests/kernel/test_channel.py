"""A helper and the channel to it: messages both ways, descriptors, and a helper that hangs, dies or is ended."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable

import pytest

from procman.kernel.spawn import channel
from procman.kernel.spawn.channel import MAX_MESSAGE, MAX_QUEUED, Channel, argv
from procman.kernel.spawn.spawn import HELPERS_ARE_DEAF_TO, Spawner
from procman.kernel.wait.poller import Poller
from tests.kernel.playing import ROOT, play


class Echo:
    """An echo helper, and what it has said."""

    def __init__(self, spawner: Spawner | None = None) -> None:
        self.said: list[bytes] = []
        self.fds: list[int] = []
        self.poller = Poller()
        command = argv("tests.kernel.echo_helper", "hello", library=json.dumps([str(ROOT), *sys.path]))
        self.channel = Channel(self.poller, spawner or Spawner(), command, self._hear)

    def until(self, count: int) -> list[bytes]:
        """Wait until it has said so much."""
        while len(self.said) < count:
            self.poller.poll(60)
        return self.said

    def _hear(self, message: bytes, fds: tuple[int, ...]) -> None:
        self.said.append(message)
        self.fds += fds


def interrupt(fast: bool) -> list[str]:
    echo = Echo(Spawner(fast))
    assert echo.channel.pid
    for number in HELPERS_ARE_DEAF_TO:
        os.kill(echo.channel.pid, number)
    words = [word.decode() for word in echo.until(1)]
    echo.channel.close()
    return [*words, *sorted(str(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))]


@pytest.mark.parametrize("fast", [True, False])
def test_one_that_has_just_been_started_does_not_die_of_what_is_sent_to_all(fast: bool) -> None:
    assert play(interrupt, fast).value == ["hello"]  # and the core hears it as ever


def talk() -> list[str]:
    echo = Echo()
    read, write = os.pipe()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    echo.channel.send(b"one")
    echo.channel.send(b"two", [write])
    words = [word.decode() for word in echo.until(3)]
    os.close(write)
    with os.fdopen(read, "rb") as pipe, os.fdopen(echo.fds[0], "wb", closefd=True) as back:
        back.write(b", too")
        back.close()
        echo.channel.close()
        words.append(pipe.read().decode())
    return [*words, str(len(os.listdir("/proc/self/fd")) - before)]  # noqa: PTH208


def test_messages_and_descriptors_go_both_ways_and_nothing_is_left_open() -> None:
    assert play(talk).value == ["hello", "one", "two", "two, too", "-3"]  # the pipe's two ends, and the channel


def hang() -> list[object]:
    echo = Echo()
    echo.until(1)
    assert echo.channel.pid
    os.kill(echo.channel.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, echo.channel.pid, os.WSTOPPED)
    for _ in range(2 * MAX_QUEUED):
        echo.channel.send(b"x" * 1024)
    _, status = os.waitpid(echo.channel.pid, 0)
    echo.channel.ended()
    echo.channel.send(b"to nobody")
    return [os.waitstatus_to_exitcode(status), echo.channel.pid]


def test_one_that_does_not_read_is_killed_and_costs_no_more_than_its_bound() -> None:
    assert play(hang).value == [-signal.SIGKILL, None]


def full() -> list[object]:
    echo = Echo()
    assert echo.channel.pid
    echo.until(1)
    os.kill(echo.channel.pid, signal.SIGSTOP)
    sent = [b"%d" % number * 100 for number in range(MAX_QUEUED // 2)] + [b"x" * MAX_MESSAGE]
    for message in sent:
        echo.channel.send(message)
    os.kill(echo.channel.pid, signal.SIGCONT)
    said = echo.until(1 + len(sent))
    echo.channel.close()
    return [said[1:] == sent]


def test_what_it_reads_late_it_reads_whole_and_in_order() -> None:
    assert play(full).value == [True]


def end_with_the_channel(program: Callable[[Echo], None]) -> int:
    echo = Echo()
    echo.until(1)
    program(echo)
    assert echo.channel.pid
    _, status = os.waitpid(echo.channel.pid, 0)
    return os.waitstatus_to_exitcode(status)


def without_core() -> int:
    return end_with_the_channel(lambda echo: echo.channel._sock.close())


def test_without_the_core_it_ends_by_itself() -> None:
    assert play(without_core).value == 0


def test_a_message_carries_what_the_kernel_takes() -> None:
    assert channel.MAX_FDS <= 253
