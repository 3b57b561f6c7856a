"""The types of options: what each accepts, how it is said in JSON Schema, and what is said when it is wrong.

Each is a plain validator, so that every message is ours. Nothing here knows which table an option stands in; types
that serve one table only stand beside it in `model/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import PlainValidator, WithJsonSchema

from procman.config.scalars import rights, values
from procman.config.scalars.values import BadValueError, show

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise BadValueError(f"{show(value)} cannot be a name", "letters, digits, - _ and . only, at most 64 of them")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValueError(f"{show(value)} is no text", f'write it in quotes: "{show(value)}"')
    if not value or "\0" in value:
        if not value:
            raise BadValueError("this cannot be empty", "leave it out if you mean none")
        raise BadValueError("this cannot hold the character NUL", "leave \\u0000 out")
    return value


def _path(value: Any) -> str:
    text = _text(value)
    if text.startswith("~"):
        raise BadValueError(f"~ is not expanded: {show(text)}", 'write "${HOME}/…"')
    return text


def list_of(hint: str) -> Callable[[Any], Any]:
    """A validator that wants a list of something. Its items are checked after it."""

    def check(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return value
        raise BadValueError(f"{show(value)} is not a list", f"write a list of {hint}")

    return check


def spelled(pattern: str, *others: dict[str, Any]) -> WithJsonSchema:
    """The JSON schema of a value that is a string of this form, or one of the others."""
    return WithJsonSchema({"anyOf": [*others, {"type": "string", "pattern": pattern}]})


_NUMBERS: dict[str, Any] = {"type": "number", "minimum": 0}
Duration = Annotated[float, PlainValidator(values.parse_duration), spelled(values.DURATION_PATTERN, _NUMBERS)]
Command = Annotated[
    tuple[str, ...],
    PlainValidator(values.parse_command),
    spelled(r"\S", {"type": "array", "items": {"type": "string"}, "minItems": 1}),
]
StopSignal = Annotated[
    int,
    PlainValidator(values.parse_stop_signal),
    spelled(values.SIGNAL_PATTERN, {"type": "integer", "minimum": 1, "maximum": 64}),
]
Umask = Annotated[
    int,
    PlainValidator(values.parse_umask),
    spelled(values.UMASK_PATTERN, {"type": "integer", "minimum": 0, "maximum": 0o777}),
]
Bool = Annotated[bool, PlainValidator(values.parse_bool), WithJsonSchema({"type": "boolean"})]
Count = Annotated[
    int, PlainValidator(lambda value: values.parse_integer(value, 0)), WithJsonSchema({"type": "integer", "minimum": 0})
]
Text = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
Path = Annotated[str, PlainValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
PathOrOff = Annotated[
    str | Literal[False],
    PlainValidator(lambda value: False if value is False else _path(value)),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"const": False}]}),
]
Name = Annotated[str, PlainValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]
Account = Annotated[
    int | str,
    PlainValidator(rights.parse_account),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}),
]
