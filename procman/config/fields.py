"""The types of the options: what each accepts, how it is said in JSON Schema, and what is said when it is wrong.

Each is a plain validator, so that every message is ours. Nothing here knows which table an option stands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from procman import words
from procman.config import rights, values
from procman.config.values import BadValueError, show

MOST_WORKERS = 10_000
RESERVED = ("PROCMAN_SITE", "PROCMAN_GROUP", "PROCMAN_TASK_ID", "PROCMAN_GENERATION")
"""What procman tells every worker; a group's `env` cannot set it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise BadValueError(f"{show(value)} cannot be a name", "letters, digits, - _ and . only, at most 64 of them")
    return value


def env_name(value: str) -> str:
    """The name of an environment variable that a site may set. Raises BadValueError."""
    if not value or "=" in value or "\0" in value:
        raise BadValueError(f"{show(value)} cannot be the name of a variable", "a name is not empty and holds no =")
    if value in RESERVED:
        raise BadValueError(f"{value} is set by procman itself", "use another name")
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


def _env_value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and show(value) == str(value):
        return str(value)
    if not isinstance(value, str):
        hint = f'write it in quotes: "{show(value)}"'
        raise BadValueError(f"the value of a variable is text, not {show(value)}", hint)
    if "\0" in value:
        raise BadValueError("a variable cannot hold the character NUL", "leave \\u0000 out")
    return value


def _workers(value: Any) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        count = values.parse_integer(value)
    except BadValueError:
        hint = 'write a number, or "auto" for one per CPU'
        raise BadValueError(f"{show(value)} is no number of workers", hint) from None
    if count > MOST_WORKERS:
        raise BadValueError(f"{count} workers are too many for one group", f"at most {MOST_WORKERS}")
    return count if count > 0 else "auto"


def _outcome(item: Any) -> int | str:
    """An exit code as it is, a signal as its name."""
    if isinstance(item, int) and not isinstance(item, bool):
        if 0 <= item <= 255:
            return item
        raise BadValueError(f"{show(item)} is not an exit code", "exit codes lie between 0 and 255")
    if not isinstance(item, str) or item.strip().isdigit():
        hint = 'write exit codes as numbers, signals as names: [0, 3, "TERM"]'
        raise BadValueError(f"{show(item)} is neither an exit code nor the name of a signal", hint)
    return words.signal_name(values.parse_signal(item))


def _list_of(hint: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return value
        raise BadValueError(f"{show(value)} is not a list", f"write a list of {hint}")

    return check


def _passed_name(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValueError(f"{show(value)} is no name of a variable", 'for example ["PATH", "LANG", "LC_*"]')
    if "*" in value[:-1] or value == "*":
        raise BadValueError(f"{show(value)} is no name of a variable", 'a * stands at the end of a name: "LC_*"')
    return env_name(value)


def _schema_version(value: Any) -> int:
    if value != 1 or isinstance(value, bool):
        raise BadValueError(f"this procman knows schema 1, not {show(value)}", "write schema = 1")
    return 1


def _spelled(pattern: str, *others: dict[str, Any]) -> WithJsonSchema:
    """The JSON schema of a value that is a string of this form, or one of the others."""
    return WithJsonSchema({"anyOf": [*others, {"type": "string", "pattern": pattern}]})


_NUMBERS: dict[str, Any] = {"type": "number", "minimum": 0}
Duration = Annotated[float, PlainValidator(values.parse_duration), _spelled(values.DURATION_PATTERN, _NUMBERS)]
Command = Annotated[
    tuple[str, ...],
    PlainValidator(values.parse_command),
    _spelled(r"\S", {"type": "array", "items": {"type": "string"}, "minItems": 1}),
]
StopSignal = Annotated[
    int,
    PlainValidator(values.parse_stop_signal),
    _spelled(values.SIGNAL_PATTERN, {"type": "integer", "minimum": 1, "maximum": 64}),
]
Umask = Annotated[
    int,
    PlainValidator(values.parse_umask),
    _spelled(values.UMASK_PATTERN, {"type": "integer", "minimum": 0, "maximum": 0o777}),
]
Bool = Annotated[bool, PlainValidator(values.parse_bool), WithJsonSchema({"type": "boolean"})]
Count = Annotated[
    int, PlainValidator(lambda value: values.parse_integer(value, 0)), WithJsonSchema({"type": "integer", "minimum": 0})
]
Factor = Annotated[
    float,
    PlainValidator(lambda value: values.parse_number(value, 1, 1000)),
    WithJsonSchema({"type": "number", "minimum": 1, "maximum": 1000}),
]
Share = Annotated[
    float,
    PlainValidator(lambda value: values.parse_number(value, 0, 1)),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Workers = Annotated[
    int | Literal["auto"],
    PlainValidator(_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "maximum": MOST_WORKERS}, {"const": "auto"}]}),
]
Outcome = Annotated[
    int | str,
    PlainValidator(_outcome),
    _spelled(r"^(SIG)?[A-Z]", {"type": "integer", "minimum": 0, "maximum": 255}),
]
Success = Annotated[
    tuple[Outcome, ...],
    BeforeValidator(_list_of('exit codes and signal names: [0, 3, "TERM"]'), json_schema_input_type=list[Outcome]),
]
SchemaVersion = Annotated[int, PlainValidator(_schema_version), WithJsonSchema({"type": "integer", "const": 1})]
Text = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
Path = Annotated[str, PlainValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
PathOrOff = Annotated[
    str | Literal[False],
    PlainValidator(lambda value: False if value is False else _path(value)),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"const": False}]}),
]
Name = Annotated[str, PlainValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]
EnvName = Annotated[str, PlainValidator(env_name), WithJsonSchema({"type": "string", "pattern": "^[^=]+$"})]
EnvValue = Annotated[
    str, PlainValidator(_env_value), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]})
]
PassedName = Annotated[str, PlainValidator(_passed_name), WithJsonSchema({"type": "string", "pattern": r"^[^=*]+\*?$"})]
PassedNames = Annotated[
    tuple[PassedName, ...],
    BeforeValidator(_list_of('names: ["PATH", "LC_*"]'), json_schema_input_type=list[PassedName]),
]
Account = Annotated[
    int | str,
    PlainValidator(rights.parse_account),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}),
]
Accounts = Annotated[
    tuple[Account, ...],
    BeforeValidator(_list_of('groups: ["video", 1000]'), json_schema_input_type=list[Account]),
]
Capability = Annotated[int, PlainValidator(rights.parse_capability), _spelled(r"^([cC][aA][pP]_)?[A-Za-z_]+$")]
Capabilities = Annotated[
    tuple[Capability, ...],
    BeforeValidator(_list_of('names: ["NET_BIND_SERVICE"]'), json_schema_input_type=list[Capability]),
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
    _spelled(
        rights.CPUS_PATTERN,
        {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
    ),
]
