"""The JSON Schema (draft 2020-12) of the site file, made from the models: what editors complete and check with.

Knows no option: all of it comes from `model/` and `fields.py`, but for what TOML and this format have in common
(no null, keys beginning with `x-`, `${NAME}` in every string).
"""

from __future__ import annotations

import json
from typing import Any

from procman.config.model import Site

_REFERENCE = "#/$defs/Reference"
_OWN = "^x-"


def site_schema() -> dict[str, Any]:
    """The schema as plain data."""
    made = _tidy(Site.model_json_schema())
    made["$defs"]["Reference"] = {"type": "string", "pattern": r"\$\{", "description": "A string with ${NAME} in it."}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "procman site file", **made}


def schema_text() -> str:
    """What `procman schema` prints and `schemas/site.schema.json` holds."""
    return json.dumps(site_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(node: Any) -> Any:
    """A node without pydantic's titles and nulls, with what is allowed everywhere."""
    if not isinstance(node, dict):
        return node
    node = dict(node)
    if isinstance(node.get("title"), str):
        del node["title"]
    if "default" in node and node["default"] is None:
        del node["default"]
    for name in ("properties", "patternProperties", "$defs"):
        if name in node:
            node[name] = {key: _tidy(value) for key, value in node[name].items()}
    for name in ("items", "additionalProperties"):
        node |= {name: _tidy(node[name])} if name in node else {}
    if node.get("type") == "object":
        _allow_own_keys(node)
    return _choices(node)


def _allow_own_keys(node: dict[str, Any]) -> None:
    """Keys that begin with `x-` may hold anything."""
    patterns = {
        f"^(?!x-){pattern.removeprefix('^')}": value for pattern, value in node.pop("patternProperties", {}).items()
    }
    node["patternProperties"] = {_OWN: {}, **patterns}
    if patterns:
        node["additionalProperties"] = False


def _choices(node: dict[str, Any]) -> dict[str, Any]:
    """A node with its alternatives in one flat list, `${NAME}` among them wherever not every string will do."""
    about = {key: node.pop(key) for key in ("description", "default") if key in node}
    choices: list[Any] = []
    for choice in node.pop("anyOf", None) or [node]:
        tidied = _tidy(choice) if choice is not node else choice
        choices += tidied.get("anyOf", [tidied])
    choices = [choice for choice in choices if choice != {"type": "null"}]
    choices = [choice for index, choice in enumerate(choices) if choice not in choices[:index]]
    if any(_is_narrow(choice) for choice in choices) and not any(
        choice.get("type") == "string" and len(choice) == 1 for choice in choices
    ):
        reference = {"$ref": _REFERENCE}
        choices = [choice for choice in choices if choice != reference] + [reference]
    return {**about, **(choices[0] if len(choices) == 1 else {"anyOf": choices})}


def _is_narrow(choice: dict[str, Any]) -> bool:
    """Whether it is a scalar that a string with a reference in it may stand for."""
    return choice.get("type") in ("integer", "number", "boolean") or bool({"enum", "const", "pattern"} & choice.keys())
