"""`env`, `env_file` and `pass_env`: what the environment of a worker is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from procman.config.scalars import fields
from procman.config.scalars.table import Table, option
from procman.config.scalars.values import BadValueError, show

RESERVED = (
    "PROCMAN_SITE",
    "PROCMAN_GROUP",
    "PROCMAN_TASK_ID",
    "PROCMAN_GENERATION",
    "PROCMAN_DIGEST",
    "PROCMAN_COMMIT",
)
"""What procman tells every worker; a group's `env` cannot set it."""


def env_name(value: str) -> str:
    """The name of an environment variable that a site may set. Raises BadValueError."""
    if not value or "=" in value or "\0" in value:
        raise BadValueError(f"{show(value)} cannot be the name of a variable", "a name is not empty and holds no =")
    if value in RESERVED:
        raise BadValueError(f"{value} is set by procman itself", "use another name")
    return value


def _env_value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and show(value) == str(value):
        return str(value)
    if not isinstance(value, str):
        hint = f'write it in quotes: "{show(value)}"'
        raise BadValueError(f"the value of a variable is text, not {show(value)}", hint)
    if "\0" in value:
        raise BadValueError("a variable cannot hold the character NUL", "leave \\u0000 out")
    return value


def _passed_name(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValueError(f"{show(value)} is no name of a variable", 'for example ["PATH", "LANG", "LC_*"]')
    if "*" in value[:-1] or value == "*":
        raise BadValueError(f"{show(value)} is no name of a variable", 'a * stands at the end of a name: "LC_*"')
    return env_name(value)


def _env_files(value: Any) -> list[Any]:
    items = value if isinstance(value, (list, tuple)) else [value]
    for index, item in enumerate(items):
        if not isinstance(item, (str, dict)):
            hint = 'write "prod.env", or { path = "prod.env", optional = true }, or a list of these'
            raise BadValueError(f"{show(item)} is no file", hint, (index,))
    return [{"path": item} if isinstance(item, str) else item for item in items]


EnvName = Annotated[str, PlainValidator(env_name), WithJsonSchema({"type": "string", "pattern": "^[^=]+$"})]


class SecretFile(Table):
    """Where a secret is."""

    effect = "restart"

    file: fields.Path = Field(
        description="A file, relative to the file that names it, whose text is the value, a last newline apart."
    )


class Secret(Table):
    """A value that is read at each start and stands nowhere else: in no plan, no digest, no state file and no log."""

    effect = "restart"

    secret: SecretFile = Field(description="Where it is read from.")


_Text = Annotated[str, PlainValidator(_env_value), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]})]
EnvValue = Annotated[
    Annotated[_Text, Tag("[text]")] | Annotated[Secret, Tag("[table]")],
    Discriminator(lambda value: "[table]" if isinstance(value, (dict, Secret)) else "[text]"),
]
PassedName = Annotated[str, PlainValidator(_passed_name), WithJsonSchema({"type": "string", "pattern": r"^[^=*]+\*?$"})]
PassedNames = Annotated[
    tuple[PassedName, ...],
    BeforeValidator(fields.list_of('names: ["PATH", "LC_*"]'), json_schema_input_type=list[PassedName]),
]


class EnvFile(Table):
    """A file of NAME=value lines."""

    effect = "restart"

    path: fields.Path = Field(description="The file, relative to the file that names it.")
    optional: fields.Bool = option(False, "Whether it may be missing.")


_Written = fields.Path | EnvFile | list[fields.Path | EnvFile]
EnvFiles = Annotated[tuple[EnvFile, ...], BeforeValidator(_env_files, json_schema_input_type=_Written)]
