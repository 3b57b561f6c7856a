"""What a Python group says of its program, beside what every group says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from procman.config.scalars import fields
from procman.config.scalars.values import BadValueError, show

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_MODULE = re.compile(_DOTTED)
_CALLABLE = re.compile(f"{_DOTTED}:{_DOTTED}")


def _callable(value: Any) -> str:
    if isinstance(value, str) and _CALLABLE.fullmatch(value):
        return value
    raise BadValueError(f"{show(value)} names no callable", 'write "package.module:function"')


def _module(value: Any) -> str:
    if isinstance(value, str) and _MODULE.fullmatch(value):
        return value
    raise BadValueError(f"{show(value)} is no name of a module", 'write "package.module"')


def _argument(value: Any) -> str | int | float:
    if isinstance(value, (str, int, float)):
        return value
    raise BadValueError(f"{show(value)} cannot be an argument", "write a text, a number, true or false")


CallableName = Annotated[
    str,
    PlainValidator(_callable),
    WithJsonSchema({"type": "string", "pattern": r"^[^\W\d][\w.]*:[^\W\d][\w.]*$"}),
]
_Module = Annotated[str, PlainValidator(_module), WithJsonSchema({"type": "string", "pattern": r"^[^\W\d][\w.]*$"})]
_Argument = Annotated[
    str | int | float, PlainValidator(_argument), WithJsonSchema({"type": ["string", "number", "boolean"]})
]


Arguments = Annotated[
    tuple[_Argument, ...],
    BeforeValidator(fields.list_of("texts and numbers"), json_schema_input_type=list[_Argument]),
]
Modules = Annotated[
    tuple[_Module, ...],
    BeforeValidator(fields.list_of('modules: ["package.module"]'), json_schema_input_type=list[_Module]),
]
ModulePath = Annotated[
    tuple[fields.Path, ...],
    BeforeValidator(fields.list_of('directories: ["src"]'), json_schema_input_type=list[fields.Path]),
]


def check_program(command: object, name: str | None, said: Sequence[str]) -> None:
    """Either a command or a callable, and what is said of a callable only with one. Raises BadValueError."""
    if command is None and name is None:
        hint = 'add a command = ["python3", "-m", "http.server"], or a callable = "package.module:function"'
        raise BadValueError("this group has nothing to run", hint)
    if command is not None and name is not None:
        raise BadValueError("there is a command already", "a group runs a command or a callable", ("callable",))
    for key in said:
        if name is None:
            raise BadValueError(f"`{key}` is for a callable, and this group runs a command", "leave it out", (key,))
