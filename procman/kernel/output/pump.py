"""The pump from outside: which runs it reads, what it is told and what it says, and that it does not hang.

The pump (`output/pump.py`) writes what workers say; nothing here touches a line of it, and nothing here ever waits for
it. When it is gone the pipes are still here, and the next one goes on. A pump that owes an answer for too long is
killed as one that hangs; it is asked only while there is output, so an idle site stays asleep.
"""

from __future__ import annotations

import json
import os
import select
from collections.abc import Callable, Iterable
from signal import SIGKILL
from time import monotonic

from procman.kernel.output.captured import Run
from procman.kernel.spawn.channel import Channel, argv, begin, ends_within
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import READ, Poller
from procman.lean import TYPE_CHECKING, least, suppress
from procman.policy.events import Event, OutputLost, PumpRules, WorkerId

if TYPE_CHECKING:
    from typing import Any

PATIENCE_S = 5.0
"""So long it may owe an answer, and so long it is left alone after one."""
_LAST_WAIT_S = 3.0
_ONCE = READ | select.EPOLLONESHOT

Words = tuple[tuple[str, ...], str]
"""The last lines of a worker, and what a traceback among them says."""


class Pump:
    """One pump after the other, each with all runs whose output is captured."""

    def __init__(
        self,
        poller: Poller,
        spawner: Spawner,
        tell: Callable[[str], None],
        deliver: Callable[[Event], None],
    ) -> None:
        """`tell` takes why it cannot start."""
        self._poller, self._spawner, self._tell, self._deliver = poller, spawner, tell, deliver
        self._order: PumpRules | None = None
        self._channel: Channel | None = None
        self._runs: dict[WorkerId, Run] = {}
        self._owing: dict[int, Run] = {}
        """Those that have ended and are still being read, by number."""
        self._state = -1
        """What a pump that ended in order has left, until another has taken it over."""
        self._begun = False
        """Whether the one that runs has."""
        self._traffic = select.epoll()
        """Readable while there is anything in a pipe."""
        self._answer_by: float | None = None
        self._look_at: float | None = None
        self.said: Callable[[WorkerId, Words], None] = lambda _worker, _words: None
        """Takes the last words of a worker, once."""
        self.ready: Callable[[WorkerId], None] = lambda _worker: None
        """Takes a worker that has written the line which shows that it is ready."""
        self.colour = False
        """Whether procman's stdout wants colours."""

    # --- as a helper -------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """See `helpers.Helper`."""
        return self._channel.pid if self._channel else None

    def follow(self, order: PumpRules) -> None:
        """See `helpers.Helper`. Without a run to read it is not started yet."""
        old, self._order = self._order, order
        if self._channel is None and self._runs:
            self._start()
        elif self._channel is not None and old is not None and old.ring != order.ring:
            self._send({"do": "ring", "size": order.ring})

    def ended(self) -> None:
        """See `helpers.Helper`."""
        if self._channel is not None:
            self._channel.ended()
            self._channel = None
        self._answer_by = self._look_at = None
        self._owing.clear()
        if self._begun:  # else it has read nothing
            self._begun = False
            for run in self._runs.values():
                run.again = self._state < 0 and run.pid is not None

    def close(self) -> None:
        """Have it write what there is, and end; see `helpers.Helper`. Where there is none, a last one is started."""
        if self._channel is None and self._order is not None and (self._runs or self._state >= 0):
            self._start()
        channel, self._channel, self._begun = self._channel, None, False
        for run in self._runs.values():
            run.close()
        self._runs.clear()
        self._owing.clear()  # what it still says of them, read below, nobody waits for any more
        if channel is not None and (pid := channel.pid) is not None:
            channel.ended()
            _wait(pid)
        self._drop_state()
        self._poller.unwatch(self._traffic.fileno())
        self._traffic.close()

    # --- as the provider hears of runs -------------------------------------------------------------------

    def expect(self, run: Run) -> None:
        """A run is about to start that has to be read."""
        self._runs[run.worker] = run
        if self._channel is None and self._order is not None:
            self._start()

    def open(self, run: Run) -> None:
        """A run has started."""
        if self._channel is not None:
            self._send(run.message(), run.read_ends)
            for fd in run.read_ends:
                with suppress(OSError):  # it is there already, or there is no room: then it is not looked at
                    self._traffic.register(fd, READ)

    def end(self, run: Run) -> None:
        """A run has ended: it is forgotten once it has been read."""
        run.ended = True
        if self._channel is not None:
            self._owing[run.number] = run
            self._send({"do": "end", "id": run.number})
            self._answer_by = self._answer_by or monotonic() + PATIENCE_S

    def forget(self, run: Run) -> None:
        """Nothing is, or will be, in its pipes."""
        del self._runs[run.worker]
        for fd in run.read_ends:
            with suppress(OSError):
                self._traffic.unregister(fd)
        run.close()

    # --- for others --------------------------------------------------------------------------------------

    def owes(self, worker: WorkerId) -> bool:
        """Whether the last words of a worker are still to come."""
        return worker in self._runs and self._channel is not None

    def reopen(self) -> None:
        """Have the files opened anew."""
        self._send({"do": "reopen"})

    def show(self, fd: int, selection: Iterable[tuple[str, int | None]], follow: bool) -> bool:
        """Have the latest lines of these workers written to a socket; False if there is no pump. `fd` stays open."""
        if self._channel is None:
            return False
        self._send({"do": "logs", "select": list(selection), "follow": follow}, [fd])
        return True

    @property
    def deadline(self) -> float | None:
        """When to call `due`."""
        return least((self._answer_by, self._look_at))

    def due(self, now: float) -> None:
        """End one that hangs; look for traffic again."""
        if self._answer_by is not None and now >= self._answer_by:
            self._answer_by = None
            if self._channel is not None and self._channel.pid is not None:
                with suppress(OSError):
                    os.kill(self._channel.pid, SIGKILL)
        if self._look_at is not None and now >= self._look_at:
            self._look_at = None
            self._watch_traffic()

    # --- inside ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        order = self._order
        assert order is not None, "an order comes first"
        command = argv("procman.output.pump")
        self._channel = begin("pump", self._poller, self._spawner, command, self._hear, self._tell)
        if self._channel is None:
            return
        self._send({"do": "ring", "size": order.ring})
        state = [self._state] if self._state >= 0 else []
        self._send({"do": "begin", "site": order.site, "colour": self.colour, "widest": order.widest}, state)
        for run in self._runs.values():
            if run.pid is not None:
                self.open(run)
                if run.ended:
                    self.end(run)
        self._watch_traffic()

    def _watch_traffic(self) -> None:
        with suppress(OSError):
            self._poller.watch(self._traffic.fileno(), _ONCE, self._asked_for)

    def _asked_for(self, _mask: int) -> None:
        """There is output: whoever is to read it has to show that it lives."""
        if self._channel is not None:
            self._send({"do": "ping"})
            self._answer_by = self._answer_by or monotonic() + PATIENCE_S

    def _send(self, message: dict[str, Any], fds: Iterable[int] = ()) -> None:
        if self._channel is not None:
            self._channel.send(json.dumps(message, separators=(",", ":")).encode(), [*fds])

    def _hear(self, data: bytes, fds: tuple[int, ...]) -> None:
        message = json.loads(data)
        match message["say"]:
            case "begun":
                self._begun = True
                self._drop_state()
            case "ended":
                run = self._owing.pop(message["id"], None)
                self._answered()
                if run is not None:
                    self.forget(run)
                    self.said(run.worker, (tuple(message["tail"]), message["exception"]))
            case "ready":
                self.ready(WorkerId(*message["worker"]))
            case "lost":
                values = (message[name] for name in ("outlet", "lines", "bytes", "reason", "over"))
                self._deliver(OutputLost(*values))
            case "retired":
                self._state, fds = fds[0], fds[1:]
            case "pong":
                self._answered()
                self._look_at = monotonic() + PATIENCE_S
        for fd in fds:
            os.close(fd)

    def _drop_state(self) -> None:
        if self._state >= 0:
            os.close(self._state)
            self._state = -1

    def _answered(self) -> None:
        """It lives. If it owes more, that may take its time from now on."""
        self._answer_by = monotonic() + PATIENCE_S if self._owing else None


def _wait(pid: int) -> None:
    """Wait for it to end, but not for ever: then it is killed."""
    with suppress(OSError):
        if not ends_within(pid, _LAST_WAIT_S):
            os.kill(pid, SIGKILL)
            ends_within(pid, _LAST_WAIT_S)
    with suppress(OSError):
        os.waitpid(pid, os.WNOHANG)
