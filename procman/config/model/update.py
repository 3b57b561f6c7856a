"""`update` and `recycle`: how workers are replaced, and when without any other reason than their age or size."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from procman import choices
from procman.config.model.output import Size
from procman.config.model.restart import Share
from procman.config.scalars import fields, values
from procman.config.scalars.table import Table, option
from procman.config.scalars.values import BadValueError, show

Parallel = Annotated[
    int,
    PlainValidator(lambda value: values.parse_integer(value, 1)),
    WithJsonSchema({"type": "integer", "minimum": 1}),
]


def _age(value: Any) -> float:
    seconds = values.parse_duration(value)
    if seconds < 1:
        raise BadValueError(f"{show(value)} is too short a life", 'for example "1d"; 1s is the least')
    return seconds


Age = Annotated[float, PlainValidator(_age), fields.spelled(values.DURATION_PATTERN, {"type": "number"})]


class Update(Table):
    """How workers are replaced: by a restart by hand, by a reload that changed their start, or by `recycle`."""

    order: choices.UpdateOrder = option(
        "stop-first",
        "stop-first: the old one ends, then a new one starts; start-first: the new one starts beside the old one, "
        "which ends once the new one is ready (that needs `ready`) and stays if it does not become so.",
    )
    parallel: Parallel = option(
        1,
        "So many are replaced at once; the next one's turn comes when a new one runs (or is ready).",
    )
    pause: fields.Duration = option("0s", "How long it rests between one that is done and the next one's turn.")


class Recycle(Table):
    """When a worker that runs well is replaced all the same, by the rule of `update`. It counts on no budget."""

    max_age: Age | None = option(None, "A worker that has run for so long is replaced; not given: none is for its age.")
    max_rss: Size | None = option(
        None,
        "A worker whose leader has more resident memory than this is replaced; it is looked at every 10s. Not given: "
        "none is for its size.",
    )
    jitter: Share = option(
        0.1, "By up to this share of its limit a worker is replaced before it, each by another: not all at once."
    )
