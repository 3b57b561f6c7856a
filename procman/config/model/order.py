"""`after` and `requires`: which groups a group waits for, and which it goes down with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from procman import choices
from procman.config.scalars.values import BadValueError, show


def _after(value: Any) -> dict[str, str]:
    hint = 'write ["cache"], or { migrate = "completed", cache = "ready" }'
    if isinstance(value, str):
        raise BadValueError(f"{show(value)} is neither a list nor a table", f'write it in brackets: ["{value}"]')
    if not isinstance(value, (list, tuple, dict)):
        raise BadValueError(f"{show(value)} is neither a list nor a table of groups", hint)
    if isinstance(value, dict):
        return value
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise BadValueError(f"{show(item)} is not the name of a group", hint, (index,))
    return dict.fromkeys(value, "ready")


def _names(value: Any) -> Any:
    if isinstance(value, str):
        raise BadValueError(f"{show(value)} is not a list", f'write it in brackets: ["{value}"]')
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
_Written = list[str] | dict[str, choices.Condition]
After = Annotated[dict[str, choices.Condition], BeforeValidator(_after, json_schema_input_type=_Written)]
