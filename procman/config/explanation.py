"""One key of a valid configuration: its value, its default, what it means, what a change does, and where it stands."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from procman.config import model
from procman.config.scalars.table import Effect, Table, effect_of
from procman.config.scalars.values import nearest
from procman.config.text.document import Document, Path, dotted
from procman.config.text.places import place_of

_NO_DEFAULT = "none: it must be given"


class UnknownKeyError(Exception):
    """There is no such key; the message, and a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class _Option(NamedTuple):
    """What a path names: an option of a table, or a table."""

    path: Path
    table: type[Table]
    """The table that it is; of an option, the one that it stands in."""
    name: str
    """Of the field; empty for a table as a whole."""


def explain_key(key: str, document: Document) -> dict[str, Any]:
    """All about a key, as plain data. Raises UnknownKeyError."""
    found = _find(key, document)
    if found.name:
        return _option(found, document)
    keys = [_option(_Option((*found.path, _alias(found.table, name)), found.table, name), document)
            for name in found.table.model_fields]  # fmt: skip
    about = (found.table.__doc__ or "").strip()
    return {"key": dotted(found.path), "description": about, "place": place_of(found.path, document), "keys": keys}


def _find(key: str, document: Document) -> _Option:
    """What a dotted key names. Groups may have dots in their names."""
    table: type[Table] = model.Site
    path: Path = ()
    rest = key
    groups = document.at(("group",)) or {}
    if rest == "group" or rest.startswith("group."):
        rest = rest[6:]
        name = max((name for name in groups if f"{rest}.".startswith(f"{name}.")), key=len, default=None)
        if name is None:
            asked = rest.partition(".")[0]
            near = nearest(asked, list(groups))
            hint = f"did you mean group.{near}?" if near else f"the groups are: {', '.join(groups)}"
            raise UnknownKeyError(f"there is no group `{asked}`" if asked else "which group?", hint)
        table, path, rest = model.Group, ("group", name), rest[len(name) + 1 :]
    while rest:
        step, _, rest = rest.partition(".")
        names = {_alias(table, name): name for name in table.model_fields if (table, name) != (model.Site, "group")}
        if step not in names:
            near = nearest(step, list(names))
            hint = f"did you mean {dotted((*path, near))}?" if near else f"known here: {', '.join(names)}"
            raise UnknownKeyError(f"there is no key {dotted((*path, step))}", hint)
        path = (*path, step)
        below = model.tables_below(table).get(names[step])
        if below is None or isinstance(document.at(path), (list, str)):
            return _Option((*path, rest) if rest else path, table, names[step])
        table = below
    return _Option(path, table, "")


def _option(found: _Option, document: Document) -> dict[str, Any]:
    field = found.table.model_fields[found.name]
    value, place = document.at(found.path), place_of(found.path, document)
    default = _NO_DEFAULT if field.is_required() else toml(field.default)
    effect: Effect = effect_of(found.table, found.name)
    origin = document.origin(found.path)[1]
    return {
        "key": dotted(found.path),
        "value": default if value is None else toml(_as_written(value, found.path)),
        "default": default,
        "description": field.description or "",
        "effect": effect,
        "place": "default" if value is None else f"{place} ([defaults])" if origin[:1] == ("defaults",) else place,
    }


def _alias(table: type[Table], name: str) -> str:
    return table.model_fields[name].alias or name


def _as_written(value: Any, path: Path) -> Any:
    """A value without the doubled dollar signs of a template."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [_as_written(item, path) for item in value]
    return {key: _as_written(item, path) for key, item in value.items()} if isinstance(value, dict) else value


def toml(value: Any) -> str:
    """A value as a site file has it."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (str, bool, int, float)) else str(value)
