"""The pump: reads what workers write, and writes it where it is to go. A program of its own, a helper of the core.

It is told everything by the core (see `protocol.py`) and decides on no worker. It never waits for a reader, a disk that
is full or the core. Asked to end by SIGTERM it hands all that it has in hand back to the core, for the next pump; it
is started with this signal blocked, so that none comes too early. Once the core is gone it goes on until nobody writes
any more.

Chatty workers do not wake it for every line: after a look at the pipes it rests for some milliseconds, unless they
fill up faster than that.
"""

from __future__ import annotations

import os
import signal
import time

from procman.kernel.poller import READ, WRITE, Poller
from procman.output.framing import Lines
from procman.output.outlet import Outlet
from procman.output.pipes import Pipe, Pipes
from procman.output.protocol import Channel, Message, put_state
from procman.output.readers import Readers
from procman.output.reports import Reports
from procman.output.ring import Rings
from procman.output.sinks import Sinks
from procman.output.workers import Workers

_REST_S = 0.004
_SHORTEST_REST_S = 0.001
_HALF_A_PIPE = 32768
_RETRY_S = 1.0
_CHANNEL, _STDOUT = 0, 1
_LAST_WAIT_S = 1.0
_HEAP = 4 << 20


class Pump:
    """One pump, from `begin` to its end."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._poller = Poller()
        self._rings = Rings()
        self._pipes = Pipes(self._take, self._gone)
        self._reports = Reports(channel)
        self._readers = Readers(self._poller, self._rings, self._pipes)
        self._workers: Workers | None = None
        self._over = False
        self._core_lives = True
        self._telling = False
        self._drained_at = 0.0
        self._poller.watch(channel.fd, READ, self._hear)
        self._poller.watch(self._pipes.fd, READ, self._look)
        self._seen = False

    def run(self) -> None:
        """Pump until it is over."""
        waked, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poller.watch(waked, READ, lambda _mask: self._retire())
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        while True:
            self._mind_the_reports()
            self._poller.poll(self._patience())
            if self._over:
                return  # nothing may be read, or written, once the state has been given back
            self._turn() if self._seen else self._flush()
            if not self._core_lives and not len(self._pipes):
                self._finish()
                return

    # --- the pipes ---------------------------------------------------------------------------------------

    def _look(self, _mask: int) -> None:
        self._seen = True

    def _turn(self) -> None:
        """Read what there is, send it on, and rest as long as the pipes can bear."""
        self._seen = False
        began = time.monotonic()
        read = self._pipes.drain()
        self._flush()
        rest = min(_REST_S, _HALF_A_PIPE * (began - self._drained_at) / (read or 1)) if read < _HALF_A_PIPE else 0.0
        self._drained_at = time.monotonic()
        if rest >= _SHORTEST_REST_S:
            self._poller.unwatch(self._pipes.fd)
            self._poller.poll(rest)
            self._poller.watch(self._pipes.fd, READ, self._look)

    def _take(self, pipe: Pipe, lines: Lines) -> None:
        now_ns = time.time_ns()
        for lane in pipe.lanes:
            lane.put(lines, now_ns)
        self._rings.put(now_ns, pipe.origin, lines, pipe.file)
        pipe.tail.take(lines)
        if pipe.wanted is not None and pipe.wanted.search(lines):
            pipe.wanted = None
            self._reports.send({"say": "ready", "worker": pipe.origin[:3]})
        if any(lane.must_wait for lane in pipe.lanes):
            self._pipes.pause(pipe)

    def _gone(self, pipe: Pipe) -> None:
        if self._workers:
            self._workers.gone(pipe)

    def _flush(self) -> None:
        """Write what there is to write."""
        if self._workers is None:
            return
        sinks = self._workers.sinks
        for outlet in tuple(sinks.busy):
            if outlet.pending and not outlet.watched:
                outlet.flush()
            self._reports.look(outlet)
            if not outlet.pending:
                sinks.busy.discard(outlet)
        self._readers.flush()
        sinks.sweep()

    def _patience(self) -> float | None:
        """How long nothing needs to be done unless something comes."""
        if self._over:
            return 0.0
        return _RETRY_S if self._workers and any(outlet.failure for outlet in self._workers.sinks.busy) else None

    def _resume(self) -> None:
        for pipe in self._pipes:
            if pipe.paused and not any(lane.must_wait for lane in pipe.lanes):
                self._pipes.resume(pipe)

    def _mind_the_reports(self) -> None:
        """Wait for room in the channel where something is to be told."""
        if self._reports.pending is not self._telling and self._core_lives:
            self._telling = self._reports.pending
            self._poller.watch(self._channel.fd, READ | (WRITE if self._telling else 0), self._hear)

    # --- the core ----------------------------------------------------------------------------------------

    def _hear(self, _mask: int) -> None:
        self._reports.flush()
        try:
            while (heard := self._channel.receive()) is not None:
                self._obey(*heard)
        except EOFError:
            self._core_lives = False
            self._poller.unwatch(self._channel.fd)

    def _obey(self, message: Message, descriptors: list[int]) -> None:
        match message["do"]:
            case "begin":
                sinks = Sinks(message["site"], os.dup(_STDOUT), message["colour"], self._poller, time.time_ns)
                sinks.opened = self._opened
                self._workers = Workers(sinks, self._pipes, self._rings)
                if descriptors:
                    self._workers.expect(descriptors[0])
                self._reports.send({"say": "begun"})  # before anything is read, or written
            case "open":
                assert self._workers is not None, "begin comes first"
                self._readers.join(self._workers.open(message, descriptors))
            case "end":
                self._end(message["id"])
            case "ring":
                self._rings.resize(message["size"])
            case "logs":
                select = [(group, task) for group, task in message["select"]]
                self._readers.add(descriptors[0], select, follow=message["follow"])
            case "reopen":
                if self._workers:
                    self._workers.sinks.reopen()
            case "ping":
                self._reports.send({"say": "pong"})

    def _opened(self, outlet: Outlet) -> None:
        outlet.eased = self._resume

    def _end(self, worker: int) -> None:
        """The run has ended: write all that it has said, and tell its last words."""
        pipes = self._pipes.of(worker)
        for pipe in pipes:
            self._pipes.empty(pipe)
        self._flush()
        words = self._workers.last_words(pipes) if self._workers else {}
        self._reports.send({"say": "ended", "id": worker, **words})

    def _retire(self) -> None:
        """Give everything back to the core, and end. Nobody is there to take it: write it."""
        if self._core_lives:
            self._hear(READ)  # what has been said already
        self._over = True
        if not self._core_lives:
            for pipe in self._pipes:
                self._pipes.empty(pipe)
            self._finish()
        elif self._workers is not None:
            self._flush()
            self._reports.last({"say": "retired"}, put_state(self._workers.state()))

    def _finish(self) -> None:
        """Nobody writes any more, and nobody asks: write what is left, as long as that makes sense."""
        deadline = time.monotonic() + _LAST_WAIT_S
        self._flush()
        while self._workers and any(outlet.watched for outlet in self._workers.sinks.busy):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._poller.poll(left)
            self._flush()


def main() -> int:
    """Pump for the core at the other end of descriptor 0; 1 is where what goes to procman's stdout goes."""
    bytes(_HEAP)  # glibc learns from this that such blocks come and go: it gives no memory back for each chunk
    Pump(Channel(_CHANNEL)).run()
    os._exit(0)  # nothing to tidy up, and no stream of others' to flush
