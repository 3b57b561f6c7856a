"""The JSON Schema of the control socket's language, made from the types of its messages. The core never imports it."""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from procman import choices
from procman.control.wire import VERSION
from procman.policy.events.requests import Accepted, Done, GroupStatus, Refused, Rejected, SiteStatus, WorkerStatus

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_YES_NO: dict[str, Any] = {"type": "boolean"}
_SELECTORS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "pattern": "^[^:]+(:[0-9]{1,6})?$", "description": "GROUP, or GROUP:TASK."},
}
_WAIT = {"type": "boolean", "default": True, "description": "Whether `done` comes only when it has come true."}


class Kind(NamedTuple):
    """A message: what it means, its fields, and those that may be left out."""

    meaning: str
    fields: dict[str, Any]
    optional: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it


_MOVE = {"wait": _WAIT}
REQUESTS: dict[str, Kind] = {
    "status": Kind("Say how everything is: answered with `status`.", {}, _MOVE),
    "start": Kind("Start workers.", {"targets": _SELECTORS}, _MOVE),
    "stop": Kind("Stop workers, until they are started.", {"targets": _SELECTORS}, _MOVE),
    "restart": Kind("Restart workers.", {"targets": _SELECTORS}, _MOVE),
    "run": Kind("Run a job now, whatever its schedule says.", {"group": _TEXT}, _MOVE),
    "scale": Kind("Run so many workers of a group.", {"group": _TEXT, "workers": {"type": "integer"}}, _MOVE),
    "signal": Kind(
        "Send a signal, by its number on this machine.",
        {"signal": {"type": "integer", "minimum": 1}, "targets": _SELECTORS},
        {"scope": {"enum": ["leader", "tree"], "default": "leader"}, **_MOVE},
    ),
    "reload": Kind(
        "Read the configuration again and apply what changed; answered once it is read.",
        {},
        {"reset": {"type": "boolean", "default": False, "description": "Drop what was changed by hand."}, **_MOVE},
    ),
    "rollback": Kind("Go back to the last good configuration.", {}, _MOVE),
    "down": Kind("End the site; `now` is without grace.", {}, {"now": _YES_NO, **_MOVE}),
    "logs": Kind(
        "Say what workers have written: the pump answers, with a line of JSON before each piece of so many bytes.",
        {},
        {"targets": {**_SELECTORS, "minItems": 0}, "follow": _YES_NO, **_MOVE},
    ),
    "plan": Kind("Say what configuration is in force: answered with `plan`.", {}, _MOVE),
    "compile": Kind(
        "Have the site's loader compile a configuration, or explain a key of one: answered with `compiled`.",
        {},
        {**dict.fromkeys(("files", "overlays", "sets"), _TEXTS), "here": _TEXT, "key": _TEXT, **_MOVE},
    ),
    "events": Kind(
        "Say what has happened, the last so many, and go on if told: answered with `event`s, then `end`.",
        {},
        {"follow": _YES_NO, "last": {"type": "integer"}, **_MOVE},
    ),
}


def schema() -> dict[str, Any]:
    """The schema of a line, in either direction."""
    about = {"pid": _COUNT, "uptime_s": {"type": "number", "minimum": 0}}
    status = {**_fields(SiteStatus), **about}
    status["groups"] = {"type": "array", "items": _object(_fields(GroupStatus))}
    status["workers"] = {"type": "array", "items": _object(_fields(WorkerStatus))}
    replies = {
        "refused": Kind("It cannot be done, and nothing was. The last reply.", _fields(Refused)),
        "rejected": Kind("The configuration has errors, and nothing was done. The last reply.", _fields(Rejected)),
        "accepted": Kind("It is under way, for these workers; `event`s and `done` follow.", _fields(Accepted)),
        "done": Kind("It is over; what did not come true, and why. The last reply.", _fields(Done)),
        "status": Kind("The whole site. The last reply.", status),
        "plan": Kind("The plan in force. The last reply.", {"digest": _TEXT, "plan": {"type": "object"}}),
        "compiled": Kind(
            "What the loader says: `plan` and `digest`, `explained`, or `reason` and `diagnostics`. The last reply.",
            {"answer": {"type": "object"}},
        ),
        "event": Kind("A line of the log; see event.schema.json.", {"event": {"type": "object"}}),
        "end": Kind("There are no more events. The last reply.", {}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line on procman's control socket: a request, or a reply to it",
        "oneOf": [*_messages("do", REQUESTS), *_messages("say", replies)],
    }


def schema_text() -> str:
    """The schema as `schemas/control.schema.json` has it."""
    return json.dumps(schema(), indent=2) + "\n"


def _messages(key: str, kinds: dict[str, Kind]) -> list[dict[str, Any]]:
    return [
        {
            "description": kind.meaning,
            **_object({"procman": {"const": VERSION}, key: {"const": name}, **kind.fields}, kind.optional),
        }
        for name, kind in kinds.items()
    ]


def _object(fields: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**fields, **(optional or {})},
        "required": [*fields],
        "additionalProperties": False,
    }


def _fields(kind: type) -> dict[str, Any]:
    """The fields of a NamedTuple."""
    return {name: _schema_of(hint) for name, hint in get_type_hints(kind, localns=vars(choices)).items()}


def _schema_of(hint: Any) -> dict[str, Any]:
    simple = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    if hint in simple:
        return {"type": simple[hint]}
    if getattr(hint, "__origin__", None) is tuple:
        return {"type": "array", "items": _schema_of(hint.__args__[0]) if hint.__args__[0] in simple else {}}
    if get_origin(hint) is Literal:
        return {"enum": list(get_args(hint))}
    return {"type": [simple[one] for one in hint.__args__]}
