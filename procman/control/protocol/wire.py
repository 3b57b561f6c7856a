"""A line of the language: one JSON object with the version, and how a field is taken out of it. Knows no message."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

VERSION = 1
MAX_REQUEST = 65536
"""Bytes of a request's line, its newline included."""

Object: TypeAlias = dict[str, Any]


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


def shown(value: object) -> str:
    """What somebody else has written, short and without control characters."""
    text = str(value)[:40]
    return text if text.isprintable() else repr(text)
