"""The output of one run, from the core's side: where its streams go, and the pipes of those that the pump reads.

The core keeps both ends of each pipe: what is in it outlives a pump, and a worker never writes to nobody.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from procman.kernel.spawn.environment import expand, worker_variables
from procman.lean import TYPE_CHECKING, suppress
from procman.plan import Output, Sink
from procman.policy.events import WorkerId

if TYPE_CHECKING:
    from typing import Any

NOWHERE = ("inherit", "null")


class Run:
    """A run whose output is captured."""

    __slots__ = ("_output", "_pipes", "_streams", "_wanted", "again", "ended", "number", "pid", "worker")

    def __init__(self, number: int, worker: WorkerId, output: Output, wanted: str = "") -> None:
        """`number` is how the pump knows it, `wanted` a pattern of which it tells once a line matches.

        Raises OSError where no pipe is to be had.
        """
        self.number, self.worker, self._output = number, worker, output
        self._wanted = wanted
        self._streams = _streams(output, ("inherit",) if wanted else NOWHERE)
        self._pipes: list[tuple[int, int]] = []
        self.pid: int | None = None
        """None: not started yet."""
        self.ended = False
        self.again = False
        """Whether a pump that had it was killed."""
        try:
            for _ in self._streams:
                self._pipes.append(os.pipe2(os.O_CLOEXEC))
        except OSError:
            self.close()
            raise

    @property
    def read_ends(self) -> Sequence[int]:
        """What the pump reads."""
        return [ends[0] for ends in self._pipes]

    def end_of(self, stream: str) -> int | None:
        """What the worker writes to; None where that stream is not captured."""
        at = self._streams.index("both" if "both" in self._streams else stream)
        return self._pipes[at][1]

    def captures(self, stream: str) -> bool:
        """Whether the pump reads this stream."""
        return stream in self._streams or "both" in self._streams

    def message(self) -> dict[str, Any]:
        """How the pump is told of it."""
        output = {
            **self._output._asdict(),
            "stdout": _sink(self._output.stdout, self.worker),
            "stderr": _sink(self._output.stderr, self.worker),
        }
        return {
            "do": "open",
            "id": self.number,
            "worker": self.worker,
            "pid": self.pid,
            "streams": self._streams,
            "output": output,
            "ready": self._wanted,
            "again": self.again,
        }

    def close(self) -> None:
        """Let go of the pipes."""
        for ends in self._pipes:
            for end in ends:
                with suppress(OSError):
                    os.close(end)
        self._pipes = []


def _streams(output: Output, unread: Sequence[str]) -> list[str]:
    """One pipe for both where it does not matter which is which: so their lines stay in order."""
    if output.stdout == output.stderr and not output.stdout.tells_streams_apart:
        return ["both"]
    streams = (("stdout", output.stdout), ("stderr", output.stderr))
    return [stream for stream, sink in streams if sink.kind not in unread]


def _sink(sink: Sink, worker: WorkerId) -> dict[str, Any]:
    path = expand(sink.path, worker_variables(worker)) if sink.path and sink.kind == "file" else sink.path
    return {**sink._asdict(), "path": path, "rotate": sink.rotate and sink.rotate._asdict()}
