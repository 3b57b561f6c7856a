"""What all tables of a site file have in common. Knows none of them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

Effect = Literal["live", "restart", "up"]
"""What a change of an option does to what runs: nothing is replaced; its workers are; it waits for the next `up`."""


class Table(BaseModel):
    """What all tables have in common: they do not change, and a key that they do not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effect: ClassVar[Effect] = "live"
    """Of those of its options that do not say otherwise."""


class Takes(NamedTuple):
    """What an option says of itself beside its type."""

    effect: Effect


def option(default: Any, description: str, *, effect: Effect | None = None, **field: Any) -> Any:
    """An option; its default is written as a user would write it."""
    info: FieldInfo = Field(default, description=description, validate_default=True, **field)
    if effect is not None:
        info.metadata.append(Takes(effect))
    return info


def effect_of(table: type[Table], name: str) -> Effect:
    """What a change of a table's option does."""
    said = [one.effect for one in table.model_fields[name].metadata if isinstance(one, Takes)]
    return said[0] if said else table.effect


def or_off(type_: Any) -> BeforeValidator:
    """Of that type, or false: none, which TOML cannot say."""
    return BeforeValidator(_off, json_schema_input_type=type_ | Literal[False])


def _off(value: Any) -> Any:
    return None if value is False else value
