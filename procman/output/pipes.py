"""The pipes of the workers, from the reading end: what comes is framed, kept for who asks, and sent on its way."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from procman.output.backlog import Lane
from procman.output.framing import Framer, Lines
from procman.output.ring import Ring
from procman.output.rotate import FileOutlet
from procman.output.styles import Origin
from procman.output.tail import Tail

CHUNK = 1 << 16
"""So much of a pipe is in hand at most, and an unfinished line."""
_ROW = 4
"""So many chunks of a pipe are read in a row, before others have their turn."""
_AT_ONCE = 256
_INT = struct.Struct("i")


class Pipe:
    """One stream of one worker. Its lanes may become more: whoever reads along has one too."""

    __slots__ = (
        "fd",
        "file",
        "framer",
        "lanes",
        "origin",
        "paused",
        "ring",
        "tail",
        "tail_lines",
        "wanted",
        "worker",
    )

    def __init__(self, worker: int, fd: int, origin: Origin, lanes: Sequence[Lane], ring: Ring, max_line: int) -> None:
        """`worker` is the id by which the core knows the run."""
        self.worker, self.fd, self.origin, self.lanes, self.ring = worker, fd, origin, list(lanes), ring
        self.framer = Framer(max_line)
        self.tail = Tail()
        self.tail_lines = 0
        """How many of its last lines are told when its worker has ended."""
        self.file = next((lane.outlet.name for lane in lanes if isinstance(lane.outlet, FileOutlet)), "")
        self.paused = False
        self.wanted: re.Pattern[bytes] | None = None
        """A line like this makes the worker ready; None once it has come, or if none is wanted."""

    def waiting(self) -> int:
        """How many bytes are in the pipe."""
        answer = fcntl.ioctl(self.fd, termios.FIONREAD, bytes(_INT.size))
        return int(_INT.unpack(answer)[0])

    def state(self) -> dict[str, Any]:
        """What has been read of it and not sent on, for `restore` in another pump."""
        carry, beyond = self.framer.state
        return {
            "carry": carry.decode("latin-1"),
            "beyond": beyond,
            "tail": self.tail.state.decode("latin-1"),
            "ready": self.wanted is None,
        }

    def restore(self, state: dict[str, Any], max_line: int) -> None:
        """Take over what another's `state` was."""
        self.framer = Framer(max_line, state["carry"].encode("latin-1"), state["beyond"])
        self.tail = Tail(state["tail"].encode("latin-1"))
        if state["ready"]:
            self.wanted = None


class Pipes:
    """All of them. `take` gets what each has brought, in whole lines."""

    def __init__(self, take: Callable[[Pipe, Lines], None], gone: Callable[[Pipe], None]) -> None:
        """`gone` hears of a pipe that nobody writes to any more; it is closed already."""
        self._epoll = select.epoll()
        self._pipes: dict[int, Pipe] = {}
        self._take, self._gone = take, gone
        self.fd = self._epoll.fileno()
        """Readable while any of them is."""

    def __iter__(self) -> Iterator[Pipe]:
        return iter([*self._pipes.values()])

    def __len__(self) -> int:
        return len(self._pipes)

    def add(self, pipe: Pipe) -> None:
        """Read it from now on."""
        os.set_blocking(pipe.fd, False)  # this end alone: the workers write as ever
        self._pipes[pipe.fd] = pipe
        self._epoll.register(pipe.fd, select.EPOLLIN)

    def of(self, worker: int) -> list[Pipe]:
        """Those of one run."""
        return [pipe for pipe in self._pipes.values() if pipe.worker == worker]

    def drain(self) -> int:
        """Read each that has something: how many bytes there were."""
        total = 0
        for fd, _ in self._epoll.poll(0, _AT_ONCE):
            pipe = self._pipes[fd]
            for _ in range(_ROW):
                read = self._read(pipe, CHUNK)
                total += read
                if read < CHUNK or pipe.paused:
                    break
        return total

    def empty(self, pipe: Pipe) -> None:
        """Read all that is in it now, and end its last line. Who goes on writing is not waited for."""
        left = pipe.waiting()
        while left > 0 and (read := self._read(pipe, min(left, CHUNK))):
            left -= read
        if pipe.framer.unfinished:
            self._take(pipe, pipe.framer.flush())

    def pause(self, pipe: Pipe) -> None:
        """Do not read it: whoever writes to it is to wait."""
        if not pipe.paused:
            pipe.paused = True
            self._epoll.unregister(pipe.fd)

    def resume(self, pipe: Pipe) -> None:
        """Read it again."""
        if pipe.paused:
            pipe.paused = False
            self._epoll.register(pipe.fd, select.EPOLLIN)

    def _read(self, pipe: Pipe, most: int) -> int:
        try:
            chunk = os.read(pipe.fd, most)
        except BlockingIOError:
            return 0
        if not chunk:
            self._close(pipe)
            return 0
        if lines := pipe.framer.feed(chunk):
            self._take(pipe, lines)
        return len(chunk)

    def _close(self, pipe: Pipe) -> None:
        if pipe.framer.unfinished:
            self._take(pipe, pipe.framer.flush())
        del self._pipes[pipe.fd]
        with suppress(OSError):
            self._epoll.unregister(pipe.fd)
        os.close(pipe.fd)
        self._gone(pipe)
