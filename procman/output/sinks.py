"""From what the plan says of a stream to the outlet and the look that its lines get.

Outlets are shared by what they lead to. Nothing here reads a pipe, and no outlet is closed while a lane leads to it.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable, Iterator
from typing import Any

from procman.output import datagrams
from procman.output.backlog import Lane
from procman.output.datagrams import DatagramOutlet
from procman.output.outlet import Outlet, Waiting
from procman.output.rotate import FileOutlet, Rotation
from procman.output.styles import Column, Json, Origin, Prefix, Raw, Stamped, Style

STDOUT = "stdout"
Spec = dict[str, Any]
"""An OutputPlan, as JSON has it."""


class Sinks:
    """All outlets of a pump, by name."""

    def __init__(
        self, site: str, stdout: int, colour: bool, widest: int, waiting: Waiting, clock: Callable[[], int]
    ) -> None:
        """`stdout` is procman's; None of the outlets ever makes it non-blocking for others."""
        self._site, self._stdout, self._colour = site, stdout, colour
        self._waiting, self._clock = waiting, clock
        self._column = Column(widest)
        self._outlets: dict[str, Outlet] = {}
        self._users: dict[str, int] = {}
        self._unused: set[str] = set()
        self.busy: set[Outlet] = set()
        """Those that have something to write, or to report."""
        self.opened: Callable[[Outlet], None] = lambda _outlet: None
        """Called with each new outlet."""

    def __iter__(self) -> Iterator[Outlet]:
        return iter([*self._outlets.values()])

    def lane(self, origin: Origin, sink: Spec, output: Spec) -> Lane | None:
        """The way of a stream to where it goes; None if that is nowhere."""
        kind = sink["kind"]
        if kind in ("null", "inherit"):
            return None
        outlet = self.outlet(sink, output)
        self._users[outlet.name] += 1
        lane = Lane(outlet, origin, self._style(kind, origin, sink, output), block=output["on_full"] == "block")
        lane.about = sink, output
        return lane

    def release(self, lane: Lane) -> None:
        """Nothing more comes by this lane."""
        name = lane.outlet.name
        self._users[name] -= 1
        if not self._users[name]:
            self._unused.add(name)

    def sweep(self) -> None:
        """Close the outlets that nobody uses any more, once all is written."""
        for name in tuple(self._unused):
            outlet = self._outlets[name]
            if self._users[name] or name == STDOUT:
                self._unused.remove(name)
            elif not outlet.pending:
                self._unused.remove(name)
                del self._users[name], self._outlets[name]
                self.busy.discard(outlet)
                outlet.close()

    def reopen(self) -> None:
        """Open the files anew."""
        for outlet in self:
            if isinstance(outlet, FileOutlet):
                outlet.reopen()

    def outlet(self, sink: Spec, output: Spec) -> Outlet:
        """The outlet to there; it goes once it is empty if no lane leads to it."""
        kind, limit = sink["kind"], output["buffer"]
        path = sink["path"] or {"syslog": datagrams.SYSLOG, "journald": datagrams.JOURNAL}.get(kind, STDOUT)
        outlet = self._outlets.get(path)
        rotation = Rotation(**sink["rotate"]) if sink["rotate"] else Rotation()
        if outlet is None:
            if kind == "file":
                outlet = FileOutlet(path, rotation, limit, self._waiting, self._clock)
            elif kind in ("syslog", "journald"):
                outlet = DatagramOutlet(path, limit, self._waiting, self._clock)
            else:
                outlet = open_stream(STDOUT, self._stdout, limit, self._waiting, self._clock)
            outlet.busy = self.busy
            self._outlets[path], self._users[path] = outlet, 0
            self._unused.add(path)
            self.opened(outlet)
        elif isinstance(outlet, FileOutlet):
            outlet.rotation = rotation
        outlet.limit, outlet.about = limit, (sink, output)
        return outlet

    def _style(self, kind: str, origin: Origin, sink: Spec, output: Spec) -> Style:
        look = sink["format"] if kind == "file" else kind
        match look:
            case "prefix":
                colour = self._colour and kind != "file"
                return Prefix(origin, self._column, colour=colour, timestamps=output["timestamps"])
            case "json":
                return Json(self._site, origin, output["objects"])
            case "syslog":
                return datagrams.Syslog(origin)
            case "journald":
                return datagrams.Journal(self._site, origin)
            case _:
                return Stamped() if output["timestamps"] else Raw()


class SharedOutlet(Outlet):
    """To a stream that is shared with others and cannot be opened anew: it is asked first, and written to in small."""

    def write(self, pieces: list[memoryview]) -> int:
        """See `Outlet`."""
        question = select.poll()
        question.register(self.fd, select.POLLOUT)
        if not question.poll(0):  # an error is an answer too: then the write says it, and does not block
            raise BlockingIOError
        return os.write(self.fd, pieces[0][: select.PIPE_BUF])


def open_stream(name: str, fd: int, limit: int, waiting: Waiting, clock: Callable[[], int]) -> Outlet:
    """An outlet to a stream that was inherited; the descriptor is its own from now on."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return Outlet(name, fd, limit, waiting, clock)  # through the offset that all share
    try:
        if stat.S_ISFIFO(mode) or os.isatty(fd):
            own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            os.close(fd)
            return Outlet(name, own, limit, waiting, clock)
    except OSError:
        pass  # somebody else's terminal, no reader, or no /proc
    return SharedOutlet(name, fd, limit, waiting, clock)
