"""What the options that make a worker's rights and its share of the machine accept."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from procman.config.scalars import fields, rights, values

Accounts = Annotated[
    tuple[fields.Account, ...],
    BeforeValidator(fields.list_of('groups: ["video", 1000]'), json_schema_input_type=list[fields.Account]),
]
Capability = Annotated[int, PlainValidator(rights.parse_capability), fields.spelled(r"^([cC][aA][pP]_)?[A-Za-z_]+$")]
Capabilities = Annotated[
    tuple[Capability, ...],
    BeforeValidator(fields.list_of('names: ["NET_BIND_SERVICE"]'), json_schema_input_type=list[Capability]),
]
Memory = Annotated[
    int, PlainValidator(values.parse_size), fields.spelled(values.SIZE_PATTERN, {"type": "integer", "minimum": 1})
]
CpuShare = Annotated[
    float,
    PlainValidator(lambda value: values.parse_number(value, 0.01, 4096)),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 4096}),
]
Pids = Annotated[
    int,
    PlainValidator(lambda value: values.parse_integer(value, 1, 1 << 22)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 1 << 22}),
]
Nice = Annotated[
    int,
    PlainValidator(lambda value: values.parse_integer(value, -20, 19)),
    WithJsonSchema({"type": "integer", "minimum": -20, "maximum": 19}),
]
OomScore = Annotated[
    int,
    PlainValidator(lambda value: values.parse_integer(value, -1000, 1000)),
    WithJsonSchema({"type": "integer", "minimum": -1000, "maximum": 1000}),
]
Cpus = Annotated[
    tuple[int, ...],
    PlainValidator(rights.parse_cpus),
    fields.spelled(
        rights.CPUS_PATTERN,
        {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
    ),
]
