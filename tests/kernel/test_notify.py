"""What is heard at a worker's notify socket, and from whom; over a real epoll set and with real processes."""

from __future__ import annotations

import array
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import pytest

from procman.kernel.health import notify
from procman.kernel.health.notify import LONGEST, Mouth
from procman.kernel.health.notify_place import Place
from procman.kernel.wait.alarms import Alarms
from procman.kernel.wait.poller import Poller

DEADLINE_S = 60.0
SAY = (
    "import os, socket, sys; {} "
    "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), sys.argv[1])"
)


class Ear(NamedTuple):
    """A worker's socket, and what was heard at it."""

    poller: Poller
    alarms: Alarms
    mouth: Mouth
    heard: list[Mapping[str, str]]
    pauses: list[bool]
    """For each, whether it was followed by a moment in which nobody is heard."""

    def until(self, done: Callable[[], bool]) -> None:
        """Listen until it is done."""
        end = monotonic() + DEADLINE_S
        while not done():
            now = monotonic()
            assert now < end, f"it never came: {self.heard}"
            self.alarms.due(now)
            self.poller.poll(max(0.0, min(self.alarms.deadline or end, end) - now))

    def take(self) -> list[Mapping[str, str]]:
        """All that waits there now."""
        self.poller.poll(0)
        return self.heard

    def send(self, *messages: bytes) -> None:
        """Say this in the name of this very process."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            for message in messages:
                sock.sendto(message, self.mouth.path)


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    yield from opened(tmp_path, os.geteuid())


def opened(folder: Path, uid: int) -> Iterator[Ear]:
    poller, alarms = Poller(), Alarms()
    heard: list[Mapping[str, str]] = []
    pauses: list[bool] = []

    def hear(said: Mapping[str, str]) -> None:
        heard.append(said)
        pauses.append(alarms.deadline is not None)

    mouth = Mouth(poller, alarms, str(folder / "1"), uid, hear)
    mouth.leaders = {os.getpid()}
    yield Ear(poller, alarms, mouth, heard, pauses)
    mouth.close()
    poller.close()
    assert list(folder.iterdir()) == []
    assert alarms.deadline is None


def say(path: str, text: str, user: int | None = None) -> None:
    """Have another process say it, and end: as another user, who need not be able to read what Python is made of."""
    become = "" if user is None else f"os.setgroups([]); os.setgid(54321); os.setuid({user});"
    subprocess.run([sys.executable, "-I", "-S", "-c", SAY.format(become), path, text], check=True)


def test_the_lines_of_a_message_are_heard_as_names_and_values(ear: Ear) -> None:
    ear.send(b"READY=1\nSTATUS=a = b\nno line\n")
    assert ear.take() == [{"READY": "1", "STATUS": "a = b"}]


def test_what_is_no_text_or_too_long_does_no_harm(ear: Ear) -> None:
    ear.send(b"\xff\xfe=\x00\nA=1", b"", b"B=" + b"x" * (LONGEST + 100))
    (heard,) = ear.take()
    assert (heard["A"], len(heard["B"])) == ("1", LONGEST - 2)


def test_messages_that_wait_together_are_one_and_the_last_word_counts(ear: Ear) -> None:
    ear.send(b"STATUS=1", b"STATUS=2", b"READY=1")
    assert ear.take() == [{"STATUS": "2", "READY": "1"}]


def test_one_that_has_ended_meanwhile_is_believed(ear: Ear) -> None:
    say(ear.mouth.path, "A=1")
    assert ear.take() == [{"A": "1"}]


def test_a_living_child_of_the_worker_is_heard_although_it_has_a_session_of_its_own(ear: Ear) -> None:
    stay = SAY.format("") + "; import time; time.sleep(300)"
    script = 'setsid "$0" -I -S -c "$1" "$2" A=1 & echo $!; wait'
    argv = ["sh", "-c", script, sys.executable, stay, ear.mouth.path]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as worker:
        assert worker.stdout is not None
        child = int(worker.stdout.readline())
        try:
            ear.mouth.leaders = {worker.pid}
            ear.until(lambda: bool(ear.heard))
            assert (ear.heard, os.getsid(child)) == ([{"A": "1"}], child)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_living_stranger_of_the_same_user_is_not_heard(ear: Ear) -> None:
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as worker:
        try:
            ear.mouth.leaders = {worker.pid}
            ear.send(b"READY=1")
            assert ear.take() == []
        finally:
            worker.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_not_heard_even_where_the_socket_is_open_to_him() -> None:
    place = Place()
    folder = Path(place.path()).parent  # a directory that others can go through
    try:
        for ear in opened(folder, os.geteuid()):
            Path(ear.mouth.path).chmod(0o666)
            say(ear.mouth.path, "READY=1", 54321)
            assert ear.take() == []
    finally:
        place.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_worker_of_another_user_reaches_its_socket_and_no_other_user_does() -> None:
    place = Place()
    folder = Path(place.path()).parent
    try:
        for ear in opened(folder, 54321):
            found = Path(ear.mouth.path).stat()
            assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (54321, 0o600)
            say(ear.mouth.path, "READY=1", 54321)
            assert ear.take() == [{"READY": "1"}]
            with pytest.raises(subprocess.CalledProcessError):
                say(ear.mouth.path, "STATUS=x", 54322)
            assert ear.take() == [{"READY": "1"}]
    finally:
        place.close()


def test_descriptors_that_are_sent_are_not_kept(ear: Ear) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a number is all that is wanted
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(ear.mouth.path)
        rights = array.array("i", [0, 0, 0]).tobytes()
        sock.sendmsg([b"FDSTORE=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        assert ear.take() == [{"FDSTORE": "1"}]
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_whoever_floods_is_heard_a_few_messages_at_a_time_and_then_not_for_a_moment(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "AT_ONCE", 4)  # the kernel itself keeps but ten (net.unix.max_dgram_qlen)
    ear.send(*(b"STATUS=%d" % number for number in range(10)))
    ear.until(lambda: bool(ear.heard) and ear.heard[-1].get("STATUS") == "9")
    assert [int(one["STATUS"]) for one in ear.heard] == [3, 7, 9]
    assert ear.pauses == [True, True, False]
