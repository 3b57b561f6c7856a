"""Those who read along: `procman logs`. Each gets what the rings hold, and then, if it follows, what comes.

A reader that does not read loses lines, as any outlet does; it never holds up the pump.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from procman.kernel.wait.poller import READ, Poller
from procman.output.backlog import Lane
from procman.output.outlet import Outlet
from procman.output.pipes import Pipe, Pipes
from procman.output.ring import Entry, Packets, Rings, Selection, selects
from procman.output.rotate import FileOutlet
from procman.output.styles import Origin

_BEHIND = 1 << 20
"""Bytes that may wait for a reader besides what it was given at first."""


class Readers:
    """All of them."""

    def __init__(self, poller: Poller, rings: Rings, pipes: Pipes) -> None:
        self._poller, self._rings, self._pipes = poller, rings, pipes
        self._following: dict[Outlet, tuple[int, Selection]] = {}
        """With a descriptor that shows when it hangs up, and whom it wants to read."""
        self._leaving: set[Outlet] = set()
        """Those that go once they have got all."""
        self._to_files: dict[tuple[str, str, int], Lane] = {}
        """The latest way to each file, by its path and who has written there: they may have ended since."""

    def add(self, fd: int, wanted: Selection, *, follow: bool) -> None:
        """Serve the reader at the other end of this socket."""
        os.set_blocking(fd, False)
        entries = [*self._rings.select(wanted)]
        size = sum(len(entry.lines) + 256 for entry in entries)
        outlet = Outlet("reader", fd, size + _BEHIND, self._poller, time.time_ns)
        lanes: dict[Origin, Lane] = {}
        first = Lane(outlet, Origin("", 0, 0, None, ""), Packets(Origin("", 0, 0, None, "")))
        outlet.put(first, json.dumps({"files": self._files(wanted, entries)}).encode() + b"\n")
        for entry in entries:
            if entry.origin not in lanes:
                lanes[entry.origin] = Lane(outlet, entry.origin, Packets(entry.origin))
            lanes[entry.origin].put(entry.lines, entry.time_ns)
        outlet.put(first, b'{"live":true}\n')
        if follow:
            watch = os.dup(fd)
            self._following[outlet] = watch, wanted
            self._poller.watch(watch, READ, lambda _mask: self._leave(outlet))
            self.join(self._pipes)
        else:
            self._leaving.add(outlet)
        self.flush()

    def join(self, pipes: Iterable[Pipe]) -> None:
        """Have these pipes' lines go to those who follow them as well."""
        for pipe in pipes:
            for lane in pipe.lanes:
                if isinstance(lane.outlet, FileOutlet):
                    self._to_files[lane.outlet.name, pipe.origin.group, pipe.origin.task] = lane
            have = {lane.outlet for lane in pipe.lanes}
            for outlet, (_, wanted) in self._following.items():
                if outlet not in have and selects(wanted, pipe.origin):
                    pipe.lanes.append(Lane(outlet, pipe.origin, Packets(pipe.origin)))

    def flush(self) -> None:
        """Send what they take, and let go of those who have got all."""
        for outlet in (*self._following, *self._leaving):
            if outlet.pending and not outlet.watched:
                outlet.flush()
            if outlet.failure:
                self._leave(outlet)
        for outlet in [outlet for outlet in self._leaving if not outlet.pending]:
            self._leaving.remove(outlet)
            outlet.close()

    def _leave(self, outlet: Outlet) -> None:
        """It has hung up."""
        for pipe in self._pipes:
            pipe.lanes[:] = [lane for lane in pipe.lanes if lane.outlet is not outlet]
        self._leaving.discard(outlet)
        watch, _ = self._following.pop(outlet, (-1, []))
        if watch >= 0:
            self._poller.unwatch(watch)
            os.close(watch)
        outlet.close()

    def _files(self, wanted: Selection, entries: list[Entry]) -> list[dict[str, Any]]:
        """Where older lines of these workers are, and how many of the files' last lines the rings hold as well."""
        files: dict[str, dict[str, Any]] = {}
        for (name, group, task), lane in self._to_files.items():
            outlet, (sink, _) = lane.outlet, lane.about
            if outlet.hangs or not selects(wanted, lane.origin):
                continue
            with suppress(OSError):
                status = os.stat(name)  # noqa: PTH116
                kept = [entry for entry in entries if entry.file == name]
                lines = sum(bytes(entry.lines).count(b"\n") for entry in kept) - outlet.lines
                about = {"path": name, "inode": status.st_ino, "size": status.st_size, "format": sink["format"]}
                about |= {"kept": max(0, lines), "before_ns": kept[0].time_ns if kept else time.time_ns()}
                files.setdefault(name, {**about, "group": group, "task": task})
        return [*files.values()]
