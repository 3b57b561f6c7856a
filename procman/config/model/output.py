"""`output`: where it goes, what workers write."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema, model_validator

from procman import choices
from procman.config.scalars import fields, values
from procman.config.scalars.table import Table, option
from procman.config.scalars.values import BadValueError, show

_NAMES = ("auto", "inherit", "null", "prefix", "json", "syslog", "journald")
_HINT = 'write "inherit", "prefix", "json", "syslog", "journald", "null", or { file = "logs/${PROCMAN_GROUP}.log" }'
_PLACES = ("file", "syslog", "journald")
_LEAST_LINE, _MOST_LINE = 256, 1 << 20


def _size(least: int, most: int) -> Any:
    def parse(value: Any) -> int:
        size = values.parse_size(value)
        if not least <= size <= most:
            raise BadValueError(f"{show(value)} is out of range", f"between {least} and {most} bytes")
        return size

    return PlainValidator(parse)


_SIZE = fields.spelled(values.SIZE_PATTERN, {"type": "integer", "minimum": 0})
Size = Annotated[int, _size(4096, 1 << 50), _SIZE]
Buffer = Annotated[int, _size(65536, 1 << 32), _SIZE]
Line = Annotated[int, _size(_LEAST_LINE, _MOST_LINE), _SIZE]
Tail = Annotated[
    int,
    PlainValidator(lambda value: values.parse_integer(value, 0, 50)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 50}),
]


def _sink(value: Any) -> Any:
    if isinstance(value, str):
        if value not in _NAMES:
            near = values.nearest(value, list(_NAMES))
            raise BadValueError(f"output cannot go to {show(value)}", f'did you mean "{near}"?' if near else _HINT)
        return {"kind": value}
    if not isinstance(value, dict):
        raise BadValueError(f"output cannot go to {show(value)}", _HINT)
    return value


class Rotate(Table):
    """When a file is put aside, and how many of those are kept."""

    effect = "restart"

    size: Size | None = option(None, "A file is put aside before it becomes larger than this; not given: no limit.")
    keep: fields.Count = option(10, "How many files that were put aside are kept.")
    age: fields.Duration | None = option(
        None, "A file older than this is put aside before the next line is written; not given: no limit."
    )
    compress: fields.Bool = option(False, "True: what is put aside is compressed, with gzip.")


class Sink(Table):
    """Where a stream goes."""

    effect = "restart"

    kind: Literal["auto", "inherit", "null", "prefix", "json", "syslog", "journald"] | None = option(
        None, "The same as the name alone, instead of a table."
    )
    file: fields.Path | None = option(
        None, "A file, relative to this one; its directory is made. May hold ${PROCMAN_GROUP} and ${PROCMAN_TASK_ID}."
    )
    format: choices.FileFormat = option(
        "raw", "What the file gets: the very bytes, lines with a prefix, or JSON objects."
    )
    rotate: Rotate | None = option(None, "When the file is put aside; not given: never.")
    syslog: fields.Path | None = option(None, "The socket of a syslog; not given: /dev/log.")
    journald: fields.Path | None = option(None, "The socket of a journal; not given: /run/systemd/journal/socket.")

    @model_validator(mode="after")
    def _goes_to_one_place(self) -> Self:
        places = [name for name in ("kind", *_PLACES) if getattr(self, name) is not None]
        if len(places) != 1:
            what = f"{' and '.join(places)} are several places" if places else "this names no place"
            raise BadValueError(what, 'write one of { file = "…" }, { syslog = "…" }, { journald = "…" }')
        for name in ("format", "rotate"):
            if name in self.model_fields_set and self.file is None:
                raise BadValueError(f"only a file has `{name}`", 'it stands beside `file = "…"`', (name,))
        return self


_Named = Literal["auto", "inherit", "null", "prefix", "json", "syslog", "journald"]
To = Annotated[Sink, BeforeValidator(_sink, json_schema_input_type=_Named | Sink)]


class Output(Table):
    """What becomes of what workers write to their standard output and standard error."""

    effect = "restart"

    to: To = option(
        "auto",
        "Where both go. inherit: to procman's own streams, untouched; prefix: to procman's stdout, each line after "
        "group.task; json: there, an object a line; syslog, journald, null; or a file. auto: prefix if procman's "
        "stdout is a terminal, else inherit.",
    )
    stdout: To | None = option(None, "Where standard output goes, if elsewhere.")
    stderr: To | None = option(None, "Where standard error goes, if elsewhere.")
    tail: Tail = option(5, "So many last lines of standard error are in the event of a worker's end; 0: none.")
    on_full: choices.OnFull = option(
        "drop",
        "When lines come faster than they can be written (slow reader, full disk): drop the oldest and say how many, "
        "or block the workers until there is room.",
    )
    buffer: Buffer = option("1MiB", "How much may wait to be written, for each file or stream, before that.")
    max_line: Line = option("64KiB", "Longer lines are cut, with a mark.")
    timestamps: fields.Bool = option(False, "True: the time before each line (json has it in any case).")
    objects: choices.Objects = option(
        "merge",
        "With json, a line that is itself a JSON object: its fields are merged into ours, nested in `data`, "
        "or it is text as any line.",
    )


def _output(value: Any) -> Any:
    return {"to": value} if isinstance(value, str) else value


OutputOption = Annotated[Output, BeforeValidator(_output, json_schema_input_type=_Named | Output)]
