"""`procman init` as a real process: started, spoken to, and gone at the end, with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INIT = (sys.executable, str(HERE / "procman_init.py"))
ECHO = (sys.executable, "-S", str(HERE / "echo.py"))
DEADLINE_S = 30.0
OWN_PIDS = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
"""What comes after it is process 1 of a pid namespace of its own."""

_SLOW = """#!/bin/sh
pid=${1#/proc/}
kill -TERM ${pid%/environ}
exec /usr/bin/base64 "$@"
"""
"""A `base64` in whose time a signal comes."""


class Done(NamedTuple):
    """How it ended."""

    status: int
    out: str
    err: str


def run(*words: str, before: Sequence[str] = (), **how: Any) -> Done:
    """Run `procman init` with these words to its end; `before` are words before `procman`."""
    how.setdefault("timeout", DEADLINE_S)
    done: subprocess.CompletedProcess[bytes]
    done = subprocess.run([*before, *INIT, *words], check=False, capture_output=True, **how)
    return Done(done.returncode, done.stdout.decode(errors="backslashreplace"), done.stderr.decode())


class Running:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def line(self) -> str:
        """The next line on its standard output, "" at the end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def rest(self) -> list[str]:
        """All lines to the end of its standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.read().split("\n")[:-1]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def status(self) -> int:
        """Its exit status."""
        return self.process.wait(DEADLINE_S)

    def stopped_by(self) -> int:
        """Wait until it has stopped; the signal that did it."""
        pid, status = os.waitpid(self.pid, os.WUNTRACED)
        assert (pid, os.WIFSTOPPED(status)) == (self.pid, True)
        return os.WSTOPSIG(status)


@contextmanager
def running(*words: str, before: Sequence[str] = (), env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """A `procman init` with these words, killed at the end with what is left of its tree."""
    with subprocess.Popen(
        [*before, *INIT, *words], stdout=subprocess.PIPE, text=True, env=env, start_new_session=True
    ) as process:
        deadline = Timer(DEADLINE_S, _end, [process])
        deadline.start()
        try:
            yield Running(process)
        finally:
            deadline.cancel()
            _end(process)


def listens(pid: int) -> bool:
    """Whether an init has come so far that it loses no signal: it blocks them, or waits for them with a child."""
    if Path(f"/proc/{pid}/exe").readlink().name in ("sh", "dash", "bash", "unshare"):
        return False  # not the init yet; a shell, too, blocks all signals, while it handles the end of a child
    # One that waits for blocked signals is shown without the mask meanwhile.
    blocked = int(field(pid, "SigBlk"), 16) >> signal.SIGUSR2 - 1 & 1
    return bool(blocked or Path(f"/proc/{pid}/task/{pid}/children").read_text())


def catches(pid: int) -> bool:
    """Whether it has a handler for what asks it to end."""
    return bool(int(field(pid, "SigCgt"), 16) >> signal.SIGTERM - 1 & 1)


def path_with_a_signal(folder: Path) -> str:
    """A PATH with which the shell that `procman` begins as hears TERM, before it starts the interpreter."""
    slow = folder / "base64"
    slow.write_text(_SLOW, encoding="utf-8")
    slow.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def until(true: Callable[[], bool]) -> None:
    """Return when this has become true."""
    end = monotonic() + DEADLINE_S
    while not true():
        assert monotonic() < end
        os.sched_yield()


def release(gate: Path) -> None:
    """Write a line into a FIFO, as soon as somebody waits for it there."""

    def written() -> bool:
        try:
            fd = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # ENXIO: no reader yet
            return False
        os.write(fd, b"\n")
        os.close(fd)
        return True

    until(written)


def descendants(pid: int) -> list[int]:
    """The pids below a process, parents first."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*children, *(below for child in children for below in descendants(child))]


def field(pid: int | str, name: str) -> str:
    """A line of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))


def _end(process: subprocess.Popen[str]) -> None:
    for pid in reversed(descendants(process.pid)):
        _kill(pid)
    process.kill()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
