"""What all tables of a site file have in common. Knows none of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Table(BaseModel):
    """What all tables have in common: they do not change, and a key that they do not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def option(default: Any, description: str, **field: Any) -> Any:
    """An option; its default is written as a user would write it."""
    return Field(default, description=description, validate_default=True, **field)


def or_off(type_: Any) -> BeforeValidator:
    """Of that type, or false: none, which TOML cannot say."""
    return BeforeValidator(_off, json_schema_input_type=type_ | Literal[False])


def _off(value: Any) -> Any:
    return None if value is False else value
