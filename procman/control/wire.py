"""A line of the language: one JSON object with the version, and how a field is taken out of it. Knows no message.

Both ends import it, and a command is to be quick: it loads nothing but `json`, not even `typing`.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from typing import Any

Object = dict[str, "Any"]
VERSION = 1
MAX_REQUEST = 65536
"""Bytes of a request's line, its newline included."""


class ProtocolError(ValueError):
    """A line that is not of the language; the argument says what is wrong with it."""


def to_line(fields: Object) -> bytes:
    """The object as a line, with the version."""
    return json.dumps({"procman": VERSION, **fields}, separators=(",", ":")).encode("ascii") + b"\n"


def from_line(line: bytes | bytearray) -> Object:
    """The object in a line, without the version. Raises ProtocolError."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise ProtocolError("that is no JSON") from None
    if not isinstance(fields, dict):
        raise ProtocolError("that is no JSON object")
    version = fields.pop("procman", None)
    if version != VERSION or isinstance(version, bool):
        raise ProtocolError(f"that is not version {VERSION} of the protocol")
    return fields


def take(fields: Object, name: str, kind: type, default: Any = None) -> Any:
    """A field of exactly this type, taken out. Raises ProtocolError."""
    value = fields.pop(name, default)
    if type(value) is not kind:
        raise ProtocolError(f"`{name}` is missing" if value is None else f"`{name}` is not of type {kind.__name__}")
    return value


def split_selector(text: str) -> tuple[str, int | None]:
    """The group, and the task if it is one worker: `GROUP` or `GROUP:TASK`. Raises ProtocolError."""
    group, colon, task = text.partition(":")
    if not group or (colon and not (task.isascii() and task.isdigit() and len(task) <= 6)):
        raise ProtocolError(f"`{shown(text)}` is neither GROUP nor GROUP:TASK")
    return group, int(task) if colon else None


def shown(value: object) -> str:
    """What somebody else has written, short and without control characters."""
    text = str(value)[:40]
    return text if text.isprintable() else repr(text)
