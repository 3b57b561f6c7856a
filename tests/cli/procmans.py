"""Real procmans: on a terminal or with a pipe, each with a deadline, none of whose processes outlives the test."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from procman.screen import without_colour

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0
COMMAND = (sys.executable, "-m", "procman")
BACKGROUND = ("sh", "-c", 'stty tostop; set -m; "$@" & wait $!', "sh")
"""A shell that runs its arguments in the background of its terminal, where who writes is stopped."""
_MARK = "PROCMAN_TEST_MARK"


class Procman:
    """A running `procman`, started in a session of its own, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], output: int, mark: str) -> None:
        self.process = process
        self.output = output
        """A terminal's other end, or a pipe from its stderr."""
        self.mark = mark
        self.raw = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def text(self) -> str:
        """All of it so far, without colours."""
        return without_colour(self.raw).replace("\r\n", "\n")

    def wait_for(self, pattern: str, count: int = 1) -> list[re.Match[str]]:
        """Read until the pattern has been seen so many times: the matches."""
        deadline = time.monotonic() + DEADLINE_S
        while len(found := list(re.finditer(pattern, self.text, re.MULTILINE))) < count:
            assert self._read(deadline), f"no {pattern!r}, {count} times, in\n{self.text}"
        return found

    def wait(self) -> int:
        """Read to its end: its exit code, negative if a signal ended it."""
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            if not self._read(min(deadline, time.monotonic() + 0.1)):
                assert time.monotonic() < deadline, f"it does not end\n{self.text}"
        while self._read(time.monotonic()):
            pass
        return self.process.returncode

    def read_to_the_end(self) -> None:
        """Read until nobody holds the other end any more, those who outlive it included."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read(deadline):
            pass
        assert time.monotonic() < deadline, f"somebody lives on\n{self.text}"

    def press(self, keys: str) -> None:
        """Type on its terminal."""
        os.write(self.output, keys.encode())

    def press_until_it_ends(self, keys: str) -> int:
        """Type it again and again, as an impatient person does: the exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end\n{self.text}"
            self.press(keys)
            pause = min(deadline, time.monotonic() + 0.1)
            while self._read(pause) and time.monotonic() < pause:
                pass
        return self.wait()

    def hang_up(self) -> None:
        """Close the terminal's window."""
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, self.output)
        os.close(null)

    def left_behind(self) -> list[int]:
        """The processes that descend from it and stay, although it has ended."""
        deadline = time.monotonic() + DEADLINE_S
        while (left := self.descendants()) and time.monotonic() < deadline:
            self._read(time.monotonic() + 0.01)
        return left

    def descendants(self) -> list[int]:
        """The processes that descend from it, itself not among them."""
        needle = f"{_MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.pid:
                with suppress(OSError):
                    if needle in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return found

    def until(self, attempt: Callable[[], bool]) -> None:
        """Try something that works once it has got on, until it does."""
        deadline = time.monotonic() + DEADLINE_S
        while not attempt():
            assert time.monotonic() < deadline, f"it never works\n{self.text}"
            self._read(time.monotonic() + 0.05)

    def _read(self, deadline: float) -> bool:
        """Take in what there is, waiting for it till the deadline; False if there was nothing (more)."""
        ready, _, _ = select.select([self.output], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.output, 65536)
        except OSError:  # a terminal that nobody holds any more
            return False
        self.raw += data.decode()
        return bool(data)


@contextmanager
def on_terminal(
    *arguments: str, env: Mapping[str, str] | None = None, columns: int = 80, background: bool = False
) -> Iterator[Procman]:
    """`procman ARGUMENTS` in a terminal of its own; or in its background, where `stty tostop` stops who writes."""
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (40, columns))
    attributes = termios.tcgetattr(slave)
    attributes[3] |= termios.NOFLSH  # or Ctrl-C throws away what was written and not yet read
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    try:
        command = [*(BACKGROUND if background else ()), *COMMAND, *arguments]
        with _started(command, env, (slave, slave, slave), master, _take_terminal) as procman:
            os.close(slave)
            slave = -1
            yield procman
    finally:
        os.close(master)
        if slave >= 0:
            os.close(slave)


@contextmanager
def on_pipe(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Procman]:
    """`procman ARGUMENTS` with its stderr into a pipe."""
    read, write = os.pipe()
    try:
        streams = (subprocess.DEVNULL, subprocess.DEVNULL, write)
        with _started([*COMMAND, *arguments], env, streams, read, None) as procman:
            os.close(write)
            write = -1
            yield procman
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)


@contextmanager
def _started(
    command: Sequence[str],
    env: Mapping[str, str] | None,
    streams: tuple[int, int, int],
    output: int,
    prepare: Callable[[], None] | None,
) -> Iterator[Procman]:
    mark = uuid.uuid4().hex
    bare = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        command,
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        cwd=ROOT,
        env={**bare, "TERM": "xterm", _MARK: mark, **(env or {})},
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 - there are no threads
    )
    procman = Procman(process, output, mark)
    try:
        yield procman
    finally:
        process.kill()
        process.wait()
        for pid in procman.descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
