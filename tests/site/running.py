"""A real `procman up`, its log as typed events, its workers' words; and nothing of it is left when a test is over.

It never sleeps and never polls: it reads two pipes, the log's and the workers', until what is waited for has come. The
deadline is a guard against hanging, for machines that stall, and no measure of anything.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from tests.site import processes
from tests.site.events import Event, Stream, event_of

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "procman")
DEADLINE_S = 90.0
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
"""Before a procman: not even root reads then what is forbidden to its owner."""
MARK = "PROCMAN_TEST_MARK"
"""In the environment of procman, and so of all that it starts, and of their children."""


class Site:
    """A running `procman up`."""

    def __init__(self, file: Path, process: subprocess.Popen[bytes], mark: str, log: Stream, words: Stream) -> None:
        self.file, self.process, self.mark = file, process, mark
        self._log, self._words = log, words
        self.events: list[Event] = []
        self.foreign: list[str] = []
        """Lines on the log's stream that are no events: what workers wrote to their stderr."""

    @property
    def pid(self) -> int:
        """The core's pid, seen from here; what stands before it on the command line may be its parent."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        comm = Path(f"/proc/{self.process.pid}/comm").read_text(encoding="ascii")
        return self.process.pid if comm != "unshare\n" else int(children)

    @property
    def words(self) -> list[str]:
        """The lines that workers have written to stdout so far."""
        return [line.decode("utf-8", "surrogateescape").rstrip("\n") for line in self._words.lines]

    def told(self, name: str, worker: str = "") -> list[Event]:
        """The events of this name (and worker) so far."""
        return [event for event in self.events if event.name == name and worker in ("", event.worker)]

    def states(self, worker: str) -> list[str]:
        """The states that a worker has gone to so far."""
        return [event["to"] for event in self.events if event.worker == worker]

    def until(self, name: str, worker: str = "", count: int = 1) -> Event:
        """Wait until an event of this name (and worker) has come so many times: the last of them."""
        self._wait_for(lambda: len(self.told(name, worker)) >= count, f"{count} of {name} {worker}")
        return self.told(name, worker)[count - 1]

    def until_said(self, word: str, count: int = 1) -> list[str]:
        """Wait until workers have written so many lines that begin with this word: these lines."""
        self._wait_for(lambda: sum(line.startswith(word) for line in self.words) >= count, f"{count} of {word!r}")
        return [line for line in self.words if line.startswith(word)]

    def pids(self) -> dict[str, int]:
        """The workers that run by what the log has said so far, with their pids."""
        last = {event.worker: event for event in self.events if event.worker}
        return {worker: event["pid"] for worker, event in last.items() if event["to"] == "running"}

    def signal(self, number: int) -> None:
        """Send a signal to the core."""
        os.kill(self.pid, number)

    def reload(self, text: str) -> None:
        """Write another configuration, and say so."""
        self.file.write_text(text, encoding="utf-8")
        self.signal(signal.SIGHUP)

    def stop(self) -> int:
        """SIGTERM, and what it ends with."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait until procman, and whoever has its stdout or stderr, is gone: its exit code, negative for a signal."""
        self._wait_for(lambda: not self._log.open and not self._words.open, "the end", to_the_end=True)
        return self.process.wait(DEADLINE_S)

    def wait_for_core(self) -> int:
        """Wait for procman alone: its exit code."""
        return self.process.wait(DEADLINE_S)

    def pause(self, seconds: float) -> None:
        """Read what comes for so long, or until it ends."""
        deadline = monotonic() + seconds
        while (left := deadline - monotonic()) > 0 and self._take(left):
            pass

    def descriptors(self) -> list[str]:
        """What the core has open."""
        return processes.descriptors(self.pid)

    def zombies(self) -> list[int]:
        """Children of the core that have ended and are not reaped."""
        return [pid for pid, (state, parent) in processes.all_of_them().items() if parent == self.pid and state == "Z"]

    def descendants(self) -> list[int]:
        """All processes that it has started, and their children; not the guard while there is what it guards."""
        others = [pid for pid in processes.marked(f"{MARK}={self.mark}") if pid != self.process.pid]
        core = self.pid if self.process.poll() is None else 0
        return [pid for pid in others if not (core and processes.is_guard(pid, core))]

    def until_descendants(self, done: Callable[[list[int]], bool]) -> list[int]:
        """Look until this is true of its descendants, one of which is out of sight while it execs: these."""
        deadline = monotonic() + DEADLINE_S
        while not done(found := self.descendants()):
            assert monotonic() < deadline, f"never so: {found}\n{self}"
            self.pause(0.01)
        return found

    def helper(self) -> int:
        """Wait for a helper of the core, which is no worker, and give its pid."""
        known, core = set(self.pids().values()), processes.arguments(self.pid)

        def others(found: list[int]) -> list[int]:
            """Before its exec one is still the core, which waits for that: who stops it would stop the core."""
            return [pid for pid in found if pid not in known and processes.arguments(pid) not in (core, b"")]

        return others(self.until_descendants(lambda found: bool(others(found))))[0]

    def owns(self, pid: int) -> bool:
        """Whether a process is one of them."""
        return processes.is_marked(pid, f"{MARK}={self.mark}")

    def _wait_for(self, done: Callable[[], bool], what: str, *, to_the_end: bool = False) -> None:
        deadline = monotonic() + DEADLINE_S
        ended = [] if to_the_end else [os.pidfd_open(self.process.pid)]
        try:
            while not done():
                assert self._take(max(0.0, deadline - monotonic()), ended), f"never came: {what}\n{self}"
        finally:
            for pidfd in ended:
                os.close(pidfd)

    def _take(self, timeout_s: float, ended: Sequence[int] = ()) -> bool:
        """Wait for something to read, and read it; False if nothing came, or nothing can come any more."""
        streams = {stream.read: stream for stream in (self._log, self._words) if stream.open}
        ready, _, _ = select.select([*streams, *ended], [], [], timeout_s) if streams else ([], [], [])
        for read in streams.keys() & ready:
            streams[read].take()
        self._parse()
        return bool(streams.keys() & ready)

    def _parse(self) -> None:
        lines, self._log.lines = self._log.lines, []
        for line in lines:
            if line.startswith(b'{"ts"'):
                self.events.append(event_of(line))
            else:
                self.foreign.append(line.decode(errors="backslashreplace").rstrip("\n"))

    def __str__(self) -> str:
        told = [f"{e.name} {e.worker} {e['reason']}" for e in self.events[-40:]]
        return "\n".join([*told, *self.foreign[-40:], *self.words[-40:]])


@contextmanager
def up(
    folder: Path,
    text: str | None,
    *arguments: str,
    before: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    stderr: int | None = None,
    cwd: Path = ROOT,
    **more: Any,
) -> Iterator[Site]:
    """`procman up` of a site file with this text (None: it is there).

    `before` are words that come before `procman`, `more` is for Popen. When the test is over procman is asked to stop,
    if it has not ended, and must leave no process and no traceback behind.
    """
    file, mark = folder / "site.toml", uuid.uuid4().hex
    if text is not None:
        file.write_text(text, encoding="utf-8")
    log, words = Stream(), Stream()
    command = [*before, *COMMAND, "up", str(file), *arguments]
    bare = {
        name: value for name, value in os.environ.items() if not name.startswith("PROCMAN_") or name.endswith("_DIR")
    }
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=words.write,
        stderr=log.write if stderr is None else stderr,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), **bare, MARK: mark, **(env or {})},
        start_new_session=True,
        **more,
    )
    os.close(log.write)
    os.close(words.write)
    site = Site(file, process, mark, log, words)
    try:
        yield site
        if process.poll() is None:
            site.stop()
        site.wait()
        assert site.descendants() == []
        states = {pid: state for pid, (state, _) in processes.all_of_them().items()}
        if process.returncode == -signal.SIGKILL:
            states.clear()  # whoever is left is process 1's to reap, in its own time
        assert [pid for event in site.events if (pid := event.fields.get("pid")) and states.get(pid) == "Z"] == []
        assert site.told("site.internal_error") == []
        assert [line for line in site.foreign if "Traceback" in line] == []
    finally:
        process.kill()
        process.wait()
        for pid in site.descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        log.close()
        words.close()


def limit(pid: int, what: str, before: Sequence[str] = ()) -> None:
    """Change a limit of a process, as `prlimit` says it."""
    subprocess.run([*before, "prlimit", f"--pid={pid}", what], check=True, timeout=DEADLINE_S)
