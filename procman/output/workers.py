"""The runs that the pump reads: their pipes, the ways of their lines, their last words; and all of it as a state.

A state is what a pump that ends in order leaves to the next one. It holds all that has been read and not written.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from procman.output.backlog import Lane
from procman.output.pipes import Pipe, Pipes
from procman.output.protocol import Message, take_state
from procman.output.ring import Rings
from procman.output.rotate import FileOutlet
from procman.output.sinks import Sinks
from procman.output.styles import Origin

GAP = (
    "\N{HORIZONTAL ELLIPSIS} up to 64 KiB, a line, and what waited to be written, are missing or repeated here: "
    "the process that writes this was killed"
)


class Workers:
    """Opens and closes; `sinks` is where the lines go."""

    def __init__(self, sinks: Sinks, pipes: Pipes, rings: Rings) -> None:
        self.sinks, self._pipes, self._rings = sinks, pipes, rings
        self._former: dict[str, Any] = {}
        """What a former pump has left of each pipe that is not opened yet."""

    def expect(self, fd: int) -> None:
        """Take over a former pump's state from this descriptor."""
        state = take_state(fd)
        self._former = state["pipes"]
        self._rings.restore(state["rings"])
        lanes = [self.sinks.lane(Origin(*origin), sink, output) for origin, sink, output in state["lanes"]]
        for left in state["outlets"]:
            self.sinks.outlet(*left["about"]).restore(left, lambda number: lanes[number])
        for lane in lanes:
            if lane is not None:
                self.sinks.release(lane)

    def open(self, message: Message, descriptors: Sequence[int]) -> list[Pipe]:
        """Read a worker's pipes from now on."""
        output, opened = message["output"], []
        for stream, fd in zip(message["streams"], descriptors, strict=True):
            group, task, generation = message["worker"]
            origin = Origin(group, task, generation, message["pid"], stream)
            sink = output["stderr" if stream == "stderr" else "stdout"]
            lane = self.sinks.lane(origin, sink, output)
            pipe = Pipe(message["id"], fd, origin, [lane] if lane else [], self._rings.of(group), output["max_line"])
            pipe.tail_lines = output["tail"]
            if message.get("ready"):
                pipe.wanted = re.compile(message["ready"].encode(), re.MULTILINE)
            former = self._former.pop(_key(pipe), None)
            if former is not None:
                pipe.restore(former, output["max_line"])
            elif message.get("again") and lane is not None:
                lane.note(GAP, time.time_ns(), gap=True)
                lane.outlet.in_loss = True  # perhaps it was: then the core waits to hear that it is over
            self._pipes.add(pipe)
            opened.append(pipe)
        return opened

    def gone(self, pipe: Pipe) -> None:
        """A pipe has been closed."""
        for lane in pipe.lanes:
            if any(lane.outlet is outlet for outlet in self.sinks):
                self.sinks.release(lane)

    def last_words(self, pipes: Sequence[Pipe]) -> dict[str, Any]:
        """The `tail` and the `exception` of a run."""
        errors = next((pipe for pipe in pipes if pipe.origin.stream != "stdout"), None)
        if errors is None:
            return {"tail": [], "exception": ""}
        return {"tail": errors.tail.last(errors.tail_lines), "exception": errors.tail.exception()}

    def state(self) -> dict[str, Any]:
        """All that has been read, and not written."""
        lanes: list[Lane] = []

        def number_of(lane: Lane) -> int:
            if lane not in lanes:
                lanes.append(lane)
            return lanes.index(lane)

        outlets = []
        for outlet in self.sinks:
            told = not (outlet.lost_lines or outlet.in_loss)
            if outlet.pending or not told or (isinstance(outlet, FileOutlet) and outlet.torn):
                outlets.append(outlet.state(number_of))
        return {
            "pipes": {**self._former, **{_key(pipe): pipe.state() for pipe in self._pipes}},
            "rings": self._rings.state(),
            "outlets": outlets,
            "lanes": [(lane.origin, *lane.about) for lane in lanes],
        }


def _key(pipe: Pipe) -> str:
    return f"{pipe.worker}:{pipe.origin.stream}"
