"""Where workers' output goes, with every path absolute."""

from __future__ import annotations

from procman import choices, plan
from procman.config import model
from procman.config.compile.paths import absolute, base_of
from procman.config.compile.surroundings import Surroundings
from procman.config.merge.expand import literal


def output_of(name: str, group: model.Group, around: Surroundings) -> plan.Output:
    """What becomes of what the workers of a group write. Nobody can read what is inherited, to find a line in it."""
    output = group.output
    path = ("group", name, "output")
    both = _sink((*path, "to"), output.to, around)
    out = _sink((*path, "stdout"), output.stdout, around) if output.stdout else both
    err = _sink((*path, "stderr"), output.stderr, around) if output.stderr else both
    if group.ready is not None and group.ready.log is not None:
        out, err = [plan.Sink("prefix") if sink.kind in ("auto", "inherit") else sink for sink in (out, err)]
    return plan.Output(
        stdout=out,
        stderr=err,
        tail=output.tail,
        on_full=output.on_full,
        buffer=output.buffer,
        max_line=output.max_line,
        timestamps=output.timestamps,
        objects=output.objects,
    )


def _sink(path: tuple[str, ...], sink: model.Sink, around: Surroundings) -> plan.Sink:
    places: tuple[tuple[choices.SinkKind, str | None], ...] = (
        ("file", sink.file),
        ("syslog", sink.syslog),
        ("journald", sink.journald),
    )
    for kind, where in places:
        if where is not None:
            place = absolute(literal(base_of((*path, kind), around)), where)
            rotate = None if sink.rotate is None else plan.Rotate(**dict(sink.rotate))
            return plan.Sink(kind, place, sink.format, rotate)
    return plan.Sink(sink.kind or "auto")
