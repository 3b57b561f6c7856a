"""Where the output of workers goes. Sizes are bytes, times seconds, paths absolute."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from procman.choices import FileFormat, Objects, OnFull, SinkKind


class Rotate(NamedTuple):
    """When a file is put aside, and what becomes of it."""

    size: int | None = None
    """No line that would make it longer is added; None is no limit."""
    keep: int = 10
    age: float | None = None
    """A file this old is put aside before the next line; None is no limit."""
    compress: bool = False


class Sink(NamedTuple):
    """Where a stream goes."""

    kind: SinkKind = "inherit"
    """`auto` is prefix where procman's stdout is a terminal, else inherit."""
    path: str | None = None
    """The file, a template as the strings of `Launch`; or the socket of syslog or journald, None for the usual one."""
    format: FileFormat = "raw"
    """Of a file."""
    rotate: Rotate | None = None

    @property
    def tells_streams_apart(self) -> bool:
        """Whether it matters there what came from stdout and what from stderr."""
        return self.kind not in ("prefix", "file") or (self.kind == "file" and self.format == "json")


class Output(NamedTuple):
    """What becomes of what a worker writes."""

    stdout: Sink = Sink()
    stderr: Sink = Sink()
    tail: int = 5
    """So many of its last lines on stderr are told when a worker has ended."""
    on_full: OnFull = "drop"
    """What gives when lines come faster than they can be written: the oldest lines, or the worker, which waits."""
    buffer: int = 1 << 20
    """So much may wait to be written, for each file or stream."""
    max_line: int = 65536
    timestamps: bool = False
    objects: Objects = "merge"
    """What the JSON form makes of a line that is itself a JSON object."""
