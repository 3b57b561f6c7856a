"""Starts workers: asks the providers what each is given, takes the way that it needs, and tells how it went.

It keeps account of those that are on their way from fork to exec, and of nobody else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from errno import EINVAL

from procman.kernel.fork import answer
from procman.kernel.given import Provider, gather
from procman.kernel.poller import READ, Poller
from procman.kernel.program import SpawnError
from procman.kernel.spawn import Spawner
from procman.policy.events import Event, Execed, Forked, Spawn, StartFailed, WorkerId


class Starter:
    """Turns `Spawn` into processes and facts."""

    __slots__ = ("_deliver", "_on_way", "_poller", "_providers", "_spawner", "_workers")

    def __init__(
        self, poller: Poller, spawner: Spawner, providers: Sequence[Provider], deliver: Callable[[Event], None]
    ) -> None:
        self._poller, self._spawner, self._providers, self._deliver = poller, spawner, providers, deliver
        self._on_way: dict[int, tuple[WorkerId, int]] = {}
        """Forked, and not yet known to have exec'd, with the pipe that will tell."""
        self._workers: dict[int, WorkerId] = {}
        """By the pid of the leader, until that is reaped."""

    def __bool__(self) -> bool:
        """Whether anybody is on the way."""
        return bool(self._on_way)

    def __contains__(self, pid: int) -> bool:
        return pid in self._on_way

    def start(self, action: Spawn) -> int | None:
        """Start it: its pid, or None where there is no process. Every outcome is delivered as facts."""
        worker, launch = action.worker, action.launch
        try:
            given = gather(self._providers, action)
            if self._spawner.must_fork(launch, given):
                pid, pipe = self._spawner.fork(worker, launch, given)
                self._on_way[pid] = worker, pipe
                self._deliver(Forked(worker, pid))
                with suppress(OSError):  # no room for a watch: it is settled at its end
                    self._poller.watch(pipe, READ, lambda _mask: self.settle(pid))
            else:
                pid = self._spawner.spawn(worker, launch, given)
                self._deliver(Forked(worker, pid))
                self._deliver(Execed(worker))
        except SpawnError as error:
            self._failed(_start_failed(worker, error))
            return None
        except ValueError as error:  # a text that no environment can hold
            self._failed(StartFailed(worker, "exec", EINVAL, str(error), draw()))
            return None
        self._workers[pid] = worker
        for provider in self._providers:
            provider.started(worker, pid)
        return pid

    def settle(self, pid: int) -> None:
        """Learn from its pipe how a forked child fared; with the child dead there is always an answer."""
        worker, pipe = self._on_way[pid]
        try:
            error = answer(pipe)
        except BlockingIOError:
            return
        del self._on_way[pid]
        self._poller.unwatch(pipe)
        os.close(pipe)
        self._deliver(Execed(worker) if error is None else _start_failed(worker, error))

    def reaped(self, pid: int) -> None:
        """A child is gone: if it was a worker's leader, what it was given for itself alone can go as well."""
        worker = self._workers.pop(pid, None)
        if worker is not None:
            self._over(worker)

    def close(self) -> None:
        """Learn how the last ones fared."""
        for pid in tuple(self._on_way):
            self.settle(pid)

    def _failed(self, fact: StartFailed) -> None:
        self._over(fact.worker)
        self._deliver(fact)

    def _over(self, worker: WorkerId) -> None:
        for provider in self._providers:
            provider.ended(worker)


def _start_failed(worker: WorkerId, error: SpawnError) -> StartFailed:
    return StartFailed(worker, error.stage, error.errno, error.reason, draw())


def draw() -> float:
    """A random number in [0, 1); the module `random` would cost the core a megabyte."""
    return int.from_bytes(os.urandom(6), "big") / 2**48
