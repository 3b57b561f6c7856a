"""The pump: reads what workers write, and writes it where it is to go. A program of its own, a helper of the core.

It is told everything by the core (see `protocol.py`) and decides on no worker. It never waits for a reader, the core,
or a disk that is full or hangs (see `relay.py`). Asked to end by SIGTERM it hands all that it has in hand back to the
core, for the next pump; it is started with this signal blocked, so that none comes too early. Once the core is gone it
goes on until nobody writes any more.

Chatty workers do not wake it for every line: after a look at the pipes it rests for some milliseconds, unless they
fill up faster than that.
"""

from __future__ import annotations

import os
import time
from collections import deque
from itertools import chain
from typing import NoReturn

from procman.kernel.wait.poller import READ, WRITE, Poller
from procman.output.framing import Lines
from procman.output.outlet import Outlet
from procman.output.pipes import Pipe, Pipes
from procman.output.protocol import Channel, Message, put_state
from procman.output.readers import Readers
from procman.output.relay import Relay
from procman.output.reports import Reports
from procman.output.ring import Entry, Rings
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

    def __init__(self, channel: Channel, relay: Relay) -> None:
        self._channel, self._relay = channel, relay
        self._poller = Poller()
        self._rings = Rings()
        self._pipes = Pipes(self._take, self._gone)
        self._reports = Reports(channel)
        self._readers = Readers(self._poller, self._rings, self._pipes)
        self._workers: Workers | None = None
        self._ending: deque[int] = deque()
        """Runs that have ended, and whose last words are still to be told."""
        self._asked: deque[tuple[Message, int]] = deque()
        """Readers that come; they find all that had been said by those who had ended before."""
        self._core_lives = True
        self._telling = False
        self._drained_at = 0.0
        self._poller.watch(channel.fd, READ, self._hear)
        self._poller.watch(self._pipes.fd, READ, self._look)
        self._poller.watch(relay.fd, READ, lambda _mask: relay.land())
        self._seen = False

    def run(self) -> None:
        """Pump until it is over. If a write hangs this is left behind there, and called again by another thread."""
        while True:
            if self._ending:
                self._see_off()
            self._flush()
            self._serve()
            if self._relay.asked_to_end and not self._hangs():  # else who can say what has been written?
                self._retire()
                return  # nothing may be read, or written, once the state has been given back
            if not self._core_lives and not len(self._pipes):
                self._finish()
                return
            self._mind_the_reports()
            self._poller.poll(self._patience())
            if self._seen:
                self._turn()

    # --- the pipes ---------------------------------------------------------------------------------------

    def _look(self, _mask: int) -> None:
        self._seen = True

    def _turn(self) -> None:
        """Read what there is, send it on, and rest as long as the pipes can bear."""
        self._seen = False
        began = time.monotonic()
        read = self._pipes.drain()
        rest = min(_REST_S, _HALF_A_PIPE * (began - self._drained_at) / (read or 1)) if read < _HALF_A_PIPE else 0.0
        self._drained_at = time.monotonic()
        if rest >= _SHORTEST_REST_S:
            self._flush()
            self._poller.unwatch(self._pipes.fd)
            self._poller.poll(rest)
            self._poller.watch(self._pipes.fd, READ, self._look)

    def _take(self, pipe: Pipe, lines: Lines) -> None:
        """A chunk of it. All is in order before anything is written: a write that hangs never returns."""
        now_ns = time.time_ns()
        for lane in pipe.lanes:
            lane.put(lines, now_ns)
        pipe.ring.put(Entry(now_ns, pipe.origin, lines, pipe.file))
        pipe.tail.take(lines)
        if pipe.wanted is not None and pipe.wanted.search(lines):
            pipe.wanted = None
            self._reports.send({"say": "ready", "worker": pipe.origin[:3]})
        for lane in pipe.lanes:
            lane.outlet.mind()
            if lane.must_wait:
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
        if self._workers is None:
            return None
        return _RETRY_S if any(outlet.failure and not outlet.hangs for outlet in self._workers.sinks.busy) else None

    def _hangs(self) -> bool:
        return self._workers is not None and any(outlet.hangs for outlet in self._workers.sinks.busy)

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
                sinks = Sinks(
                    message["site"], os.dup(_STDOUT), message["colour"], message["widest"], self._poller, time.time_ns
                )
                sinks.opened = self._opened
                self._workers = Workers(sinks, self._pipes, self._rings)
                if descriptors:
                    self._workers.expect(descriptors[0])
                self._reports.send({"say": "begun"})  # before anything is read, or written
            case "open":
                assert self._workers is not None, "begin comes first"
                self._readers.join(self._workers.open(message, descriptors))
            case "end":
                self._ending.append(message["id"])
            case "ring":
                self._rings.resize(message["size"])
            case "logs":
                self._asked.append((message, descriptors[0]))
            case "reopen":
                if self._workers:
                    self._workers.sinks.reopen()
            case "ping":
                self._reports.send({"say": "pong"})

    def _opened(self, outlet: Outlet) -> None:
        outlet.eased = self._resume
        outlet.perform = self._relay.perform

    def _see_off(self) -> None:
        """Write all that those who have ended have said, and then tell their last words."""
        runs = {worker: self._pipes.of(worker) for worker in self._ending}
        for pipe in chain.from_iterable(runs.values()):
            self._pipes.empty(pipe)
        self._flush()
        for worker, pipes in runs.items():
            words = self._workers.last_words(pipes) if self._workers else {}
            self._reports.send({"say": "ended", "id": worker, **words})
        self._ending.clear()

    def _serve(self) -> None:
        while self._asked:
            message, fd = self._asked.popleft()
            select = [(group, task) for group, task in message["select"]]
            self._readers.add(fd, select, follow=message["follow"])

    def _retire(self) -> None:
        """Give everything back to the core, and end. Nobody is there to take it: write it."""
        if self._core_lives:
            self._hear(READ)  # what has been said already
            self._see_off()
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
        while self._hangs() or (self._workers and any(outlet.watched for outlet in self._workers.sinks.busy)):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._poller.poll(left)
            self._flush()


def main() -> NoReturn:
    """Pump for the core at the other end of descriptor 0; 1 is where what goes to procman's stdout goes."""
    bytes(_HEAP)  # glibc learns from this that such blocks come and go: it gives no memory back for each chunk
    relay = Relay()
    relay.run(Pump(Channel(_CHANNEL), relay).run)
