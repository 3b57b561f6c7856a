"""`update`: how workers are replaced."""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

from procman import plan
from procman.config import fields, values
from procman.config.table import Table, option

Parallel = Annotated[
    int,
    PlainValidator(lambda value: values.parse_integer(value, 1)),
    WithJsonSchema({"type": "integer", "minimum": 1}),
]


class Update(Table):
    """How workers are replaced by a restart by hand, or by a reload that changed what they are started with."""

    order: plan.UpdateOrder = option(
        "stop-first",
        "stop-first: the old one ends, then a new one starts; start-first: the new one starts beside the old one, "
        "which ends once the new one is ready (that needs `ready`) and stays if it does not become so.",
    )
    parallel: Parallel = option(
        1,
        "So many are replaced at once; the next one's turn comes when a new one runs (or is ready).",
    )
    pause: fields.Duration = option("0s", "How long it rests between one that is done and the next one's turn.")
