"""Programs that fork: each a fresh interpreter with warnings as errors, an alarm in every process, and a deadline.

A program is over when its output is at its end: nobody is left who could write to it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0

PREAMBLE = """
import logging, os, re, signal, sys
signal.alarm(25)
os.register_at_fork(after_in_child=lambda: signal.alarm(25))
from procman import fork_processes, task_id

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def once(name):
    "Whether this is the first time, in whatever process."
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

def childless():
    "Whether this process has no children, not even dead ones."
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False

class Told(logging.Handler):
    "Says what the parent logs, without pids."
    def emit(self, record):
        say(record.name, record.levelname, re.sub("pid [0-9]+", "pid PID", record.getMessage()))

def tell():
    logger = logging.getLogger("tornado.general")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(Told())
"""

OBEDIENT = """
    parent = os.getpid()
    {before}
    task = fork_processes({arguments})
    def end(*_):
        say("asked", task)
        {then}
    signal.signal(signal.SIGTERM, end)
    say("ready", task)
    while True:
        signal.pause()
    """


class Program:
    """A program that runs, in its own session and a directory of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._unread = b""
        self.pid = process.pid
        self.code: int | None = None
        """Its exit status, negative for a signal, once it is over."""
        self.err = ""
        """What it has written to stderr, once it is over."""

    def line(self) -> str | None:
        """The next line of output, without its end; None once nobody is left to write one."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        deadline = time.monotonic() + DEADLINE_S
        while b"\n" not in self._unread:
            ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"it says nothing, and does not end: {self._unread!r}"
            data = os.read(fd, 65536)
            if not data:
                return None
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def wait_for(self, *lines: str) -> None:
        """Read until all of these have come, in any order."""
        missing = set(lines)
        while missing:
            line = self.line()
            assert line is not None, f"it has ended without {missing}"
            missing.discard(line)

    def signal(self, number: int) -> None:
        """To the program's first process alone."""
        os.kill(self.pid, number)

    def rest(self) -> list[str]:
        """All further lines, once it is over: with nobody left, and `code` and `err` known."""
        lines = [*iter(self.line, None)]
        assert self._process.stderr is not None
        self.err = self._process.stderr.read().decode()
        self.code = self._process.wait(DEADLINE_S)
        return [line for line in lines if line is not None]

    def end(self) -> None:
        """Whatever has become of it, leave nothing behind."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(DEADLINE_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def program(body: str, cwd: Path, *, warnings: str = "error", fds: tuple[int, ...] = ()) -> Iterator[Program]:
    """Start the preamble and this text."""
    process = subprocess.Popen(
        [sys.executable, "-W", warnings, "-c", PREAMBLE + textwrap.dedent(body)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=cwd,
        pass_fds=fds,
        start_new_session=True,
    )
    running = Program(process)
    try:
        yield running
    finally:
        running.end()


class Ended(list[str]):
    """The lines of a program that is over."""

    code: int | None
    err: str


def run(body: str, cwd: Path, *, warnings: str = "error") -> Ended:
    """Run to the end."""
    with program(body, cwd, warnings=warnings) as running:
        ended = Ended(running.rest())
        ended.code, ended.err = running.code, running.err
        return ended


def events(path: Path) -> list[dict[str, Any]]:
    """The event log as it was written."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def children(arguments: str = "2", *, then: str = "os._exit(0)", before: str = "pass") -> str:
    """Children that say when they are ready, and when they are asked to end."""
    return OBEDIENT.format(arguments=arguments, then=then, before=before)
