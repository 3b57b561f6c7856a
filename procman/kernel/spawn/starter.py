"""Starts workers: asks the providers what each is given, takes the way that it needs, and tells how it went.

It keeps account of those that are on their way to their program, and of nobody else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from errno import EINVAL

from procman.kernel.spawn.couriers import Couriers
from procman.kernel.spawn.fork import answer, join
from procman.kernel.spawn.given import Given, Provider, gather
from procman.kernel.spawn.last_words import LastWords
from procman.kernel.spawn.order import Wanted
from procman.kernel.spawn.program import SpawnError
from procman.kernel.spawn.python import executed
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.spawn.zygote import Zygote
from procman.kernel.wait.poller import READ, Poller
from procman.lean import suppress
from procman.plan import Launch
from procman.policy.events import Event, Execed, Forked, Spawn, StartFailed, WorkerId, ZygoteOrder

_FIRST_GIVEN = 3


class Starter:
    """Turns `Spawn` into processes and facts. It is the `Midwife` of all zygotes."""

    __slots__ = ("_begun", "_couriers", "_deliver", "_on_way", "_places", "_poller", "_providers", "_spawner", "_words",
                 "_workers", "_zygotes")  # fmt: skip

    def __init__(
        self,
        poller: Poller,
        spawner: Spawner,
        providers: Sequence[Provider],
        couriers: Couriers,
        deliver: Callable[[Event], None],
        begun: Callable[[WorkerId, int], None],
    ) -> None:
        """`begun` hears of every worker that has a pid now."""
        self._poller, self._spawner, self._providers, self._deliver = poller, spawner, providers, deliver
        self._begun, self._couriers = begun, couriers
        self._on_way: dict[int, tuple[WorkerId, int]] = {}
        """Forked, and not yet known to have begun their program, with the pipe (or leash) that will tell."""
        self._workers: dict[int, WorkerId] = {}
        """By the pid of the leader, until that is reaped."""
        self._zygotes: dict[str, Zygote] = {}
        """Those that run, and those that somebody waits for."""
        self._words = LastWords()
        self._places: dict[WorkerId, int] = {}
        """Where the last words go of those who may have any."""

    def __bool__(self) -> bool:
        """Whether anybody is on the way."""
        return bool(self._on_way)

    def __contains__(self, pid: int) -> bool:
        return pid in self._on_way

    def start(self, action: Spawn) -> None:
        """Start it. Every outcome is delivered as facts."""
        worker, launch = action.worker, action.launch
        try:
            given = gather(self._providers, action)
            if launch.python is None:
                self._start(worker, launch, given)
            else:
                self.zygote(ZygoteOrder(worker.group, launch).name).want(Wanted(worker, launch, given))
        except SpawnError as error:
            self.stillborn(worker, error)
        except ValueError as error:  # a text that no environment can hold
            self.stillborn(worker, SpawnError("exec", EINVAL, str(error)))

    def _start(self, worker: WorkerId, launch: Launch, given: Given) -> None:
        if self._spawner.must_fork(launch, given):
            pid, pipe = self._spawner.fork(worker, launch, given)
            self._goes(worker, pid, pipe)
        else:
            pid = self._spawner.spawn(worker, launch, given)
            self._deliver(Forked(worker, pid))
            self._deliver(Execed(worker))
            self._has_begun(worker, pid)

    def _goes(self, worker: WorkerId, pid: int, pipe: int) -> None:
        """It is on its way, and the pipe will tell how it fares."""
        self._on_way[pid] = worker, pipe
        self._deliver(Forked(worker, pid))
        with suppress(OSError):  # no room for a watch: it is settled at its end
            self._poller.watch(pipe, READ, lambda _mask: self.settle(pid))
        self._has_begun(worker, pid)

    def _has_begun(self, worker: WorkerId, pid: int) -> None:
        self._workers[pid] = worker
        self._begun(worker, pid)
        for provider in self._providers:
            provider.started(worker, pid)

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

    def follow(self, old: int, new: int) -> None:
        """A worker has another leader."""
        if old in self._workers:
            self._workers[new] = self._workers.pop(old)

    def reaped(self, pid: int) -> str:
        """A child is gone: if it was a worker's leader, what was kept for it can go as well. Gives its last words."""
        worker = self._workers.pop(pid, None)
        return "" if worker is None else self._over(worker, pid)

    def close(self) -> None:
        """Learn how the last ones fared."""
        for pid in tuple(self._on_way):
            self.settle(pid)
        self._words.close()

    def _over(self, worker: WorkerId, pid: int) -> str:
        place = self._places.pop(worker, None)
        for provider in self._providers:
            provider.ended(worker)
        return "" if place is None else self._words.hear(place, pid)

    # --- by way of a zygote ------------------------------------------------------------------------------

    def zygote(self, name: str) -> Zygote:
        """The zygote of this name, which may not run yet."""
        found = self._zygotes.get(name)
        if found is None:
            found = self._zygotes[name] = Zygote(name, self._poller, self._spawner, self, self._couriers, self._deliver)
        return found

    def forget(self, name: str) -> None:
        """A zygote is no more; see `Midwife`."""
        self._zygotes.pop(name, None)

    def last_words(self, worker: WorkerId) -> tuple[int, int]:
        """See `Midwife`."""
        place = self._places[worker] = self._words.take()
        return self._words.fd, place

    def born(self, wanted: Wanted, pid: int, leash: int) -> None:
        """See `Midwife`."""
        try:
            if wanted.given.cgroup:  # here: a zygote of another user may not
                join(wanted.given.cgroup, pid)
        except SpawnError as error:
            os.close(leash)  # so it ends
            self.stillborn(wanted.worker, error)
            return
        self._goes(wanted.worker, pid, leash)
        with suppress(OSError):  # it has ended: the leash tells
            os.write(leash, b".")

    def stillborn(self, worker: WorkerId, error: SpawnError) -> None:
        """See `Midwife`."""
        self._over(worker, 0)
        self._deliver(_start_failed(worker, error))

    def execute(self, wanted: Wanted) -> None:
        """See `Midwife`."""
        worker, launch, given = wanted
        words, place = self.last_words(worker)
        number = _FIRST_GIVEN + len(given.fds)
        given = given._replace(
            fds=(*given.fds, (number, words)), env=(*given.env, ("PROCMAN_LAST_WORDS", f"{number} {place}"))
        )
        try:
            self._start(worker, executed(launch, "program"), given)
        except SpawnError as error:
            self.stillborn(worker, error)


def _start_failed(worker: WorkerId, error: SpawnError) -> StartFailed:
    return StartFailed(worker, error.stage, error.errno, error.reason, draw())


def _draws() -> Iterator[float]:
    """One system call for so many: there is a draw for each death."""
    while True:
        for number in memoryview(os.urandom(1024)).cast("I"):
            yield number / 2**32


draw: Callable[[], float] = _draws().__next__
"""Gives a random number in [0, 1); the module `random` would cost the core a megabyte."""
