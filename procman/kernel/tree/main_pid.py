"""MAINPID: a worker names another process of its tree, whose end is the worker's end from then on.

The core is told of that end as of any child's, since a process whose parent ends is the core's child; before that, by
a pidfd. How it ended is then known only if its parent has not asked yet; else it counts as normal, as for systemd.
"""

# No pathlib in the core.
# ruff: noqa: PTH123

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from procman.kernel.guard.guard import Guard
from procman.kernel.proc import processes
from procman.kernel.proc.processes import Process
from procman.kernel.spawn.starter import Starter, draw
from procman.kernel.tree.trees import Trees
from procman.kernel.wait.poller import READ, Poller
from procman.lean import suppress
from procman.policy.events import Event, Exited, MainPid, Usage, WorkerId

_EXIT_CODE = 49
"""Which of the fields of /proc/PID/stat after the name is the wait status of one that has ended."""


class Held:
    """The process that was named, by a pidfd. An `Heir`."""

    __slots__ = ("_pidfd", "_poller", "process", "worker")

    def __init__(self, poller: Poller, worker: WorkerId, process: Process, pidfd: int) -> None:
        self._poller, self.worker, self.process, self._pidfd = poller, worker, process, pidfd

    def watch(self, ended: Callable[[], None]) -> None:
        """Call this at its end."""

        def over(_mask: int) -> None:
            self._poller.unwatch(self._pidfd)
            ended()

        with suppress(OSError):  # no room: the end of its tree is seen in any case
            self._poller.watch(self._pidfd, READ, over)

    def is_child(self) -> bool:
        """Whether it has become the core's child, and is to be reaped."""
        try:
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except OSError:
            return False
        return True

    def send(self, number: int) -> None:
        """See `Heir`."""
        with suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        """See `Heir`."""
        self._poller.unwatch(self._pidfd)
        os.close(self._pidfd)


class MainPids:
    """Takes the words of workers, and has the others in the kernel follow."""

    __slots__ = ("_deliver", "_guard", "_poller", "_starter", "_trees")

    def __init__(
        self, poller: Poller, trees: Trees, starter: Starter, guard: Guard, deliver: Callable[[Event], None]
    ) -> None:
        self._poller, self._trees, self._starter, self._guard = poller, trees, starter, guard
        self._deliver = deliver

    def named(self, worker: WorkerId, leader: int, text: str, uid: int) -> int | None:
        """A worker with this leader and user has named another: its pid, if it is the leader now."""
        if text == str(leader):
            return None
        found = self._found(leader, text, uid)
        if isinstance(found, str):
            self._deliver(MainPid(worker, leader, f"MAINPID={_shown(text)} is not followed: {found}"))
            return None
        pid = found.process.pid
        found.worker = worker
        self._trees.lead(worker, leader, found)
        self._starter.follow(leader, pid)
        self._guard.moved(leader, pid)
        self._deliver(MainPid(worker, pid))
        if not self._trees.is_child(pid):
            found.watch(lambda: self._ended(found))
        return pid

    def _found(self, leader: int, text: str, uid: int) -> Held | str:
        """The process that is meant, or why it is not one that can be."""
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
            return "it is no pid"
        try:
            process = processes.read(text)
            if process is None:
                return "no such process runs"
            if uid not in _users(process.pid):
                return "it is a process of another user"
            if not self._trees.has(leader, process):
                return "it is not of this worker's tree"
            pidfd = processes.hold(process)
        except OSError as error:
            return f"it cannot be looked at ({(error.strerror or '').lower()})"
        return "no such process runs" if pidfd is None else Held(self._poller, WorkerId("", 0, 0), process, pidfd)

    def _ended(self, heir: Held) -> None:
        """One that was no child of the core when it was named has ended; if it is one now, the reaper tells."""
        pid = heir.process.pid
        if heir.is_child() or self._trees.is_child(pid) or not self._trees.has_leader(pid):
            return
        status = _status(pid)
        code, number, said = 0, None, "how is not known, since it was another process's child"
        if status is not None:
            exit_code = os.waitstatus_to_exitcode(status)
            code, number, said = max(exit_code, 0), -exit_code if exit_code < 0 else None, ""
        leftover = self._trees.lost(pid)
        words = self._starter.reaped(pid)
        if not leftover:
            self._guard.forget(pid)
        self._deliver(Exited(pid, None if number else code, number, Usage(), leftover, draw(), words or said))


def _users(pid: int) -> list[int]:
    """Its real and its effective user."""
    with open(f"/proc/{pid}/status", "rb") as file:
        line = next(line for line in file if line.startswith(b"Uid:"))
    return [int(one) for one in line.split()[1:3]]


def _status(pid: int) -> int | None:
    """The wait status of one that has ended and was not reaped by its parent yet; None where it is not told."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return None
    return int(fields[_EXIT_CODE]) if fields[0] in (b"Z", b"X") else None


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text[:20])
