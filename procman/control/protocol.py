"""The language of the control socket: one JSON object a line, each with the version. Pure: it reads and writes nothing.

A client sends one request on a connection and reads replies until `done`, `refused`, `status` or `end`; then the
connection is closed. `schemas/control.schema.json` describes every line and is generated from `schema.py`.
"""

from __future__ import annotations

import json
from signal import valid_signals
from typing import Any, NamedTuple, TypeAlias, cast

from procman.plan import Scope
from procman.policy.requests import (
    Accepted,
    Done,
    Down,
    GroupStatus,
    Operate,
    Refused,
    Reply,
    Request,
    Scale,
    Selector,
    SendSignal,
    ShowStatus,
    SiteStatus,
    Verb,
    WorkerStatus,
)

VERSION = 1
MAX_REQUEST = 65536
"""Bytes of a request's line, its newline included."""
VERBS: tuple[Verb, ...] = ("start", "stop", "restart")

Object: TypeAlias = dict[str, Any]


class ShowEvents(NamedTuple):
    """Say what has happened; the server's own to answer, not the manager's."""

    follow: bool = False
    """And go on saying it."""
    last: int = 100
    """How many of the past, at most."""


class Told(NamedTuple):
    """One line of the log."""

    event: Object


class End(NamedTuple):
    """There are no more events."""


class Message(NamedTuple):
    """A request as it is sent."""

    request: Request | ShowEvents
    wait: bool = True


class ProtocolError(ValueError):
    """A line that is not of the language; the argument says what is wrong with it."""


def encode_request(message: Message) -> bytes:
    """The line of a request."""
    request = message.request
    match request:
        case Operate(verb, targets):
            fields: Object = {"do": verb, "targets": [*map(str, targets)], "wait": message.wait}
        case Scale(group, workers):
            fields = {"do": "scale", "group": group, "workers": workers, "wait": message.wait}
        case SendSignal(number, targets, scope):
            fields = {"do": "signal", "signal": int(number), "targets": [*map(str, targets)], "scope": scope}
        case ShowStatus():
            fields = {"do": "status"}
        case Down(now):
            fields = {"do": "down", "now": now, "wait": message.wait}
        case ShowEvents(follow, last):
            fields = {"do": "events", "follow": follow, "last": last}
    return _line(fields)


def decode_request(line: bytes | bytearray) -> Message:
    """What a line asks for. Raises ProtocolError."""
    fields = _object(line)
    do = _take(fields, "do", str)
    wait = _take(fields, "wait", bool, True)
    request: Request | ShowEvents
    if do in VERBS:
        request = Operate(cast("Verb", do), _targets(fields))
    elif do == "scale":
        request = Scale(_take(fields, "group", str), _take(fields, "workers", int))
    elif do == "signal":
        request = SendSignal(_signal(_take(fields, "signal", int)), _targets(fields), _scope(fields))
    elif do == "status":
        request = ShowStatus()
    elif do == "down":
        request = Down(_take(fields, "now", bool, False))
    elif do == "events":
        request = ShowEvents(_take(fields, "follow", bool, False), _take(fields, "last", int, 100))
    else:
        raise ProtocolError(f"nobody here can `{_shown(do)}`")
    if fields:
        raise ProtocolError(f"`{do}` has no `{_shown(next(iter(fields)))}`")
    return Message(request, wait)


def encode_reply(reply: Reply | End, about: Object | None = None) -> bytes:
    """The line of a reply; `about` is what a status says of procman itself."""
    match reply:
        case Refused():
            return _line({"say": "refused", **reply._asdict()})
        case Accepted():
            return _line({"say": "accepted", **reply._asdict()})
        case Done():
            return _line({"say": "done", **reply._asdict()})
        case End():
            return _line({"say": "end"})
        case SiteStatus():
            groups = [group._asdict() for group in reply.groups]
            workers = [worker._asdict() for worker in reply.workers]
            return _line({"say": "status", **reply._asdict(), "groups": groups, "workers": workers, **(about or {})})


def encode_event(line: bytes) -> bytes:
    """The reply that holds a line of the JSON log."""
    return b'{"procman":%d,"say":"event","event":%b}\n' % (VERSION, line.rstrip(b"\n"))


def decode_reply(line: bytes) -> Reply | Told | End:
    """What a line says. Raises ProtocolError. Fields of a status that are not known here are left out."""
    fields = _object(line)
    try:
        match fields["say"]:
            case "refused":
                return Refused(str(fields["reason"]), str(fields["hint"]))
            case "accepted":
                return Accepted(tuple(fields["workers"]), str(fields["note"]))
            case "done":
                return Done(tuple(fields["failures"]))
            case "event":
                return Told(dict(fields["event"]))
            case "end":
                return End()
            case "status":
                return _status(fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"a reply without what it should have: {error}") from None
    raise ProtocolError(f"a reply of an unknown kind: {_shown(fields['say'])}")


def decode_selector(text: str) -> Selector:
    """`GROUP` or `GROUP:TASK`. Raises ProtocolError."""
    group, colon, task = text.partition(":")
    if not group or (colon and not (task.isascii() and task.isdigit() and len(task) <= 6)):
        raise ProtocolError(f"`{_shown(text)}` is neither GROUP nor GROUP:TASK")
    return Selector(group, int(task) if colon else None)


def _line(fields: Object) -> bytes:
    return json.dumps({"procman": VERSION, **fields}, separators=(",", ":")).encode("ascii") + b"\n"


def _object(line: bytes | bytearray) -> Object:
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


def _take(fields: Object, name: str, kind: type, default: Any = None) -> Any:
    """A field of exactly this type, taken out. Raises ProtocolError."""
    value = fields.pop(name, default)
    if type(value) is not kind:
        raise ProtocolError(f"`{name}` is missing" if value is None else f"`{name}` is not of type {kind.__name__}")
    return value


def _targets(fields: Object) -> tuple[Selector, ...]:
    texts = _take(fields, "targets", list)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ProtocolError("`targets` names nobody: a list of GROUP and GROUP:TASK")
    return tuple(map(decode_selector, texts))


def _scope(fields: Object) -> Scope:
    scope = _take(fields, "scope", str, "leader")
    if scope not in ("leader", "tree"):
        raise ProtocolError("`scope` is neither leader nor tree")
    return cast("Scope", scope)


def _signal(number: int) -> int:
    if number not in valid_signals():
        raise ProtocolError(f"there is no signal {_shown(number)}")
    return number


def _status(fields: Object) -> SiteStatus:
    fields["groups"] = tuple(_only(GroupStatus, group) for group in fields["groups"])
    fields["workers"] = tuple(_only(WorkerStatus, worker) for worker in fields["workers"])
    fields["files"] = tuple(fields["files"])
    return cast("SiteStatus", _only(SiteStatus, fields))


def _only(kind: Any, fields: Object) -> Any:
    return kind(**{name: fields[name] for name in kind._fields})


def _shown(value: object) -> str:
    """What somebody else has written, short and without control characters."""
    text = str(value)[:40]
    return text if text.isprintable() else repr(text)
