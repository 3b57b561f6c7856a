"""`loop.Kernel` over `os.fork`: a spawn is a fork of this very process, and its facts come from `wait4`.

It decides nothing, and sleeps until a signal, a descriptor or a deadline. A worker has no tree here: a child is one
process in the parent's own process group, so that Ctrl-C reaches it as it would without procman.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from contextlib import suppress
from signal import SIGTERM
from time import monotonic
from typing import assert_never

from procman import words
from procman.kernel.proc import reasons
from procman.kernel.proc.orphans import die_with_parent
from procman.plan import Plan
from procman.policy.events import (
    Action,
    AwaitDemand,
    Check,
    ConfigureLog,
    Drain,
    EndHelper,
    Event,
    Execed,
    Exited,
    Forked,
    Identify,
    KeepPlans,
    Left,
    Loaded,
    OpenSockets,
    Print,
    ReopenLog,
    Report,
    RunHelper,
    RunLoader,
    ShutDown,
    Signal,
    Spawn,
    StartFailed,
    TimePassed,
    Usage,
    Weigh,
    WorkerId,
)
from procman.policy.events.requests import Answer
from procman.prefork.signals import Signals

_UNKNOWN_STATUS = 255
"""Of a child that somebody else in this process has reaped; asyncio's child watchers say the same."""


class Child(BaseException):
    """Carries a forked child out of the parent's loop. Not an error, so that nothing on the way takes it for one."""

    def __init__(self, task: int) -> None:
        super().__init__(task)
        self.task = task


class ForkKernel:
    """The plan is what `RunLoader` finds; `failed_fork` is the last error of a fork."""

    __slots__ = ("_children", "_facts", "_me", "_plan", "_signals", "_spawns", "_told", "failed_fork")

    def __init__(self, plan: Plan, signals: Signals) -> None:
        self._plan, self._signals = plan, signals
        self._facts: deque[Event] = deque()
        self._spawns: deque[WorkerId] = deque()
        """To be forked: by `wait`, so that the log has told the reason before the child can say anything."""
        self._children: set[int] = set()
        self._told = 0
        """How many of the signals heard have become wishes."""
        self._me = os.getpid()
        with suppress(ImportError):
            import ctypes  # noqa: F401 - for `die_with_parent`: loaded once, for all children
        self.failed_fork: OSError | None = None

    def now(self) -> float:
        """See `loop.Kernel`."""
        return monotonic()

    def wait(self, deadline: float | None) -> Event:
        """See `loop.Kernel`. Raises `Child`, in the child, and what the program's hooks and handlers raise."""
        while not self._facts:
            now = monotonic()
            if deadline is not None and now >= deadline:
                return TimePassed()
            if self._spawns:
                self._fork(self._spawns.popleft())
                break
            self._reap()
            self._signals.sleep(0 if self._facts else None if deadline is None else deadline - now)
            wishes = self._signals.heard[self._told :]
            self._told += len(wishes)
            self._facts += (ShutDown(words.signal_name(number)) for number in wishes)
        return self._facts.popleft()

    def perform(self, action: Action) -> None:
        """See `loop.Kernel`."""
        match action:
            case Spawn():
                self._spawns.append(action.worker)
            case Signal():
                if action.pid in self._children:  # not reaped, so the pid is still its own
                    with suppress(PermissionError):  # it has changed its user: nothing more can be done
                        for number in action.numbers:
                            os.kill(action.pid, number)
            case RunLoader():
                self._facts.append(Loaded(self._plan, ""))
            case Drain():
                self._facts.append(Left(0))  # whatever else the program has started is its own business
            case (
                Check()
                | Weigh()
                | RunHelper()
                | EndHelper()
                | OpenSockets()
                | AwaitDemand()
                | Report()
                | ConfigureLog()
                | Identify()
                | KeepPlans()
                | ReopenLog()
                | Print()
                | Answer()
            ):
                pass
            case _:
                assert_never(action)

    def _fork(self, worker: WorkerId) -> None:
        _flush()
        try:
            pid = os.fork()
        except Exception as error:
            code = getattr(error, "errno", None) or 0
            self._facts.append(StartFailed(worker, "fork", code, reasons.of_fork(code), _draw()))
            if not isinstance(error, OSError):  # an audit hook, an interpreter that may not: it would not change
                raise
            self.failed_fork = error
            return
        if pid == 0:
            self._begin_as_child()
            raise Child(worker.task)
        self._children.add(pid)
        self._facts += (Forked(worker, pid), Execed(worker))

    def _begin_as_child(self) -> None:
        with suppress(OSError):  # a Python without ctypes
            die_with_parent(SIGTERM)
            if os.getppid() != self._me:  # it had died before the kernel was asked
                os.kill(os.getpid(), SIGTERM)

    def _reap(self) -> None:
        """One child's end becomes a fact, if there is one."""
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            self._facts += (self._exited(pid, _UNKNOWN_STATUS, Usage()) for pid in tuple(self._children))
            return
        if pid:
            used = Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
            self._facts.append(self._exited(pid, os.waitstatus_to_exitcode(status), used))

    def _exited(self, pid: int, code: int, usage: Usage) -> Exited:
        self._children.discard(pid)
        return Exited(pid, code if code >= 0 else None, -code if code < 0 else None, usage, False, _draw())


def _draw() -> float:
    """A random number in [0, 1), without touching the program's generators."""
    return int.from_bytes(os.urandom(6), "big") / 2**48


def _flush() -> None:
    """Write out what the program has printed, lest every child print it again."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):  # there is none, it is closed, nobody reads it
            stream.flush()
