"""A zygote from outside: it is started with what its workers have, and asked for each worker when its turn comes.

Who is to start waits here while the zygote imports, or until it is replaced. One birth is under way at a time. The
worker is believed to be one when it is a child of the core, still in the zygote's session; only then is it let go. From
there on its leash is what the exec-error pipe is for a command.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from errno import ECANCELED, ECHILD, EINVAL

from procman.kernel.proc import reasons
from procman.kernel.spawn.channel import Channel
from procman.kernel.spawn.couriers import LOST, Couriers
from procman.kernel.spawn.fork import answer, fork
from procman.kernel.spawn.given import NOTHING
from procman.kernel.spawn.order import Wanted, Way, ask
from procman.kernel.spawn.program import SpawnError
from procman.kernel.spawn.python import executed
from procman.kernel.spawn.spawn import HELPERS_ARE_DEAF_TO, Spawner
from procman.kernel.wait.poller import Poller
from procman.lean import TYPE_CHECKING, Protocol
from procman.policy.events import HelperFailed, HelperReady, WorkerId, ZygoteOrder

if TYPE_CHECKING:
    from procman.kernel.spawn.environment import Start


_TOO_BIG = 1 << 31
_LOST = SpawnError("fork", ECHILD, "its zygote has ended meanwhile")


class Midwife(Protocol):
    """Who asks for workers, and takes them."""

    def last_words(self, worker: WorkerId) -> tuple[int, int]:
        """The file that its last words go to, and the place there."""

    def born(self, wanted: Wanted, pid: int, leash: int) -> None:
        """It is there, waits to be let go, and is a child of the core. The leash is the midwife's now."""

    def stillborn(self, worker: WorkerId, error: SpawnError) -> None:
        """There will be no worker."""

    def execute(self, wanted: Wanted) -> None:
        """It is to start as a command does: no fork is safe there."""

    def forget(self, name: str) -> None:
        """The zygote of this name is no more."""


class Zygote:
    """One edition of a group's zygote; `kernel.helpers.Helper`. `pid` is its process, if there is one."""

    __slots__ = (
        "_channel", "_courier", "_couriers", "_deliver", "_midwife", "_name", "_pipe", "_poller", "_ready", "_spawner",
        "_spawns", "_under_way", "_waiting",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        poller: Poller,
        spawner: Spawner,
        midwife: Midwife,
        couriers: Couriers,
        deliver: Callable[[HelperReady | HelperFailed], None],
    ) -> None:
        self._name, self._poller, self._spawner, self._midwife = name, poller, spawner, midwife
        self._couriers, self._deliver = couriers, deliver
        self._courier = 0
        """Who brings the order under way, if that is a process of its own."""
        self._channel: Channel | None = None
        self._pipe = -1
        """Tells whether its program has begun."""
        self._ready = False
        self._spawns = False
        """Its workers are executed: no fork of it is safe, and it has ended."""
        self._waiting: deque[Wanted] = deque()
        self._under_way: tuple[Wanted, int] | None = None
        """Who is being born, and the leash."""

    @property
    def pid(self) -> int | None:
        """See `Helper`."""
        return self._channel.pid if self._channel else None

    def follow(self, order: ZygoteOrder) -> None:
        """Start it."""
        nobody = WorkerId(order.group, 0, 0)
        launch = order.launch._replace(secrets=())  # those are its workers'
        start = self._spawner.fill(nobody, executed(launch, "zygote"))
        for name in (b"PROCMAN_TASK_ID", b"PROCMAN_GENERATION"):
            start.environment.pop(name, None)  # it is no worker
        try:
            self._channel = Channel(self._poller, self._spawner, lambda end: self._begin(start, end), self._hear)
        except SpawnError as error:
            self._fail(error)
        except OSError as error:
            self._fail(SpawnError("fork", error.errno or EINVAL, f"no channel to its zygote: {error.strerror}"))

    def ended(self) -> None:
        """See `Helper`. Who waits goes on waiting if it was ready: it is replaced."""
        channel, was_ready = self._channel, self._ready
        if channel is None:
            return
        channel.ended()
        self._channel, self._ready = None, False
        error = self._begun()
        self._unborn(_LOST)
        if not was_ready and not self._spawns:
            self._fail(error or SpawnError("exec", ECHILD, "its zygote ended before it had imported the program"))

    def close(self) -> None:
        """See `Helper`. Nobody waits here any more."""
        self._midwife.forget(self._name)
        error = SpawnError("fork", ECANCELED, "its zygote was ended")
        self._end(error)
        self._abandon(error)

    def want(self, wanted: Wanted) -> None:
        """Have this worker born, or executed, in its turn."""
        if self._spawns:
            self._midwife.execute(wanted)
        else:
            self._waiting.append(wanted)
            self._next()

    # --- the zygote's process ----------------------------------------------------------------------------

    def _begin(self, start: Start, end: int) -> int:
        pid, self._pipe = fork(start, NOTHING, end, HELPERS_ARE_DEAF_TO)
        return pid

    def _begun(self) -> SpawnError | None:
        """Why its program has not begun, once that is known; None if it has."""
        if self._pipe < 0:
            return None
        try:
            return answer(self._pipe)
        except BlockingIOError:
            return None
        finally:
            os.close(self._pipe)
            self._pipe = -1

    def _end(self, error: SpawnError) -> None:
        channel, self._channel, self._ready = self._channel, None, False
        if channel is not None:
            channel.close()
        self._begun()
        self._unborn(error)

    def _hear(self, message: bytes, fds: tuple[int, ...]) -> None:
        for fd in fds:
            os.close(fd)
        try:
            said = json.loads(message)
        except (ValueError, RecursionError):
            said = None
        match said:
            case {"ready": bool(ready), "warning": str(warning)} if not self._ready:
                self._is_ready(ready, warning)
            case {"failed": str(reason)}:
                self._fail(SpawnError("exec", ECHILD, reason))
            case {"born": int(pid)} if 0 < pid < _TOO_BIG:
                self._born(pid)
            case {"unborn": int(errno)} if 0 < errno < _TOO_BIG:
                self._unborn(SpawnError("fork", errno, reasons.of_fork(errno)))
            case _:  # it runs a program of somebody else: it is not to be believed, nor to do harm
                self._fail(SpawnError("exec", EINVAL, "its zygote says what no zygote says"))

    def _is_ready(self, ready: bool, warning: str) -> None:
        self._ready, self._spawns = ready, not ready
        self._deliver(HelperReady(self._name, warning))
        if self._spawns:
            self._end(_LOST)
            while self._waiting:
                self._midwife.execute(self._waiting.popleft())
        self._next()

    def _fail(self, error: SpawnError) -> None:
        """It cannot be what it is for."""
        self._deliver(HelperFailed(self._name, error.reason))
        self._end(error)
        self._abandon(error)

    def _abandon(self, error: SpawnError) -> None:
        while self._waiting:
            self._midwife.stillborn(self._waiting.popleft().worker, error)

    # --- births ------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Ask for the next one who waits."""
        while self._ready and self._channel and self._under_way is None and self._waiting:
            wanted = self._waiting.popleft()
            try:
                start = self._spawner.fill(wanted.worker, executed(wanted.launch, "zygote"), wanted.given.env)
                way = Way(self._channel, self._couriers, self._brought)
                leash, self._courier = ask(wanted, start, self._midwife.last_words(wanted.worker), way)
                self._under_way = wanted, leash
            except OSError as error:
                code = error.errno or EINVAL
                self._midwife.stillborn(wanted.worker, SpawnError("fork", code, reasons.of_fork(code)))
            except SpawnError as error:
                self._midwife.stillborn(wanted.worker, error)

    def _brought(self, error: SpawnError | None) -> None:
        """Its courier has ended."""
        self._courier = 0
        if error is LOST and self._channel is not None:
            self._channel.kill()  # it may be asked already: what it says next could be meant for another
        elif error is not None:
            self._unborn(error)

    def _over(self, under_way: tuple[Wanted, int]) -> tuple[Wanted, int]:
        """A birth is under way no more: whose, and the leash."""
        self._couriers.recall(self._courier)
        self._under_way, self._courier = None, 0
        return under_way

    def _born(self, pid: int) -> None:
        """Let it go, if it is what it is said to be."""
        if self._under_way is None:
            return
        if not _is_child(pid) or os.getsid(pid) != self.pid:
            self._unborn(SpawnError("fork", ECHILD, "what its zygote has forked is no child of procman"))
            return
        wanted, leash = self._over(self._under_way)
        self._midwife.born(wanted, pid, leash)
        self._next()

    def _unborn(self, error: SpawnError) -> None:
        if self._under_way is not None:
            wanted, leash = self._over(self._under_way)
            os.close(leash)  # whoever may hang on it ends
            self._midwife.stillborn(wanted.worker, error)
            self._next()


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (ChildProcessError, OSError):
        return False
    return True
