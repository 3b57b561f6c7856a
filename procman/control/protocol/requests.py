"""Requests as lines, and back."""

from __future__ import annotations

from signal import valid_signals
from typing import NamedTuple, cast

from procman.control.protocol.wire import Object, ProtocolError, from_line, shown, take, to_line
from procman.plan import Scope
from procman.policy.requests import (
    Down,
    Operate,
    Reload,
    Request,
    Rollback,
    RunJob,
    Scale,
    Selector,
    SendSignal,
    ShowStatus,
    Verb,
)

VERBS: tuple[Verb, ...] = ("start", "stop", "restart")


class ShowEvents(NamedTuple):
    """Say what has happened; the server's own to answer, not the manager's."""

    follow: bool = False
    """And go on saying it."""
    last: int = 100
    """How many of the past, at most."""


class ShowLogs(NamedTuple):
    """Say what workers have written: the pump answers it, on the same connection, in its own words."""

    targets: tuple[Selector, ...] = ()
    """Nobody named: all."""
    follow: bool = False


class Message(NamedTuple):
    """A request as it is sent."""

    request: Request | ShowEvents | ShowLogs
    wait: bool = True


def encode_request(message: Message) -> bytes:
    """The line of a request."""
    request = message.request
    match request:
        case Operate(verb, targets):
            fields: Object = {"do": verb, "targets": [*map(str, targets)], "wait": message.wait}
        case RunJob(group):
            fields = {"do": "run", "group": group, "wait": message.wait}
        case Scale(group, workers):
            fields = {"do": "scale", "group": group, "workers": workers, "wait": message.wait}
        case SendSignal(number, targets, scope):
            fields = {"do": "signal", "signal": int(number), "targets": [*map(str, targets)], "scope": scope}
        case ShowStatus():
            fields = {"do": "status"}
        case Reload(reset):
            fields = {"do": "reload", "reset": reset, "wait": message.wait}
        case Rollback():
            fields = {"do": "rollback", "wait": message.wait}
        case Down(now):
            fields = {"do": "down", "now": now, "wait": message.wait}
        case ShowEvents(follow, last):
            fields = {"do": "events", "follow": follow, "last": last}
        case ShowLogs(targets, follow):
            fields = {"do": "logs", "targets": [*map(str, targets)], "follow": follow}
    return to_line(fields)


def decode_request(line: bytes | bytearray) -> Message:
    """What a line asks for. Raises ProtocolError."""
    fields = from_line(line)
    do = take(fields, "do", str)
    wait = take(fields, "wait", bool, True)
    request: Request | ShowEvents | ShowLogs
    if do in VERBS:
        request = Operate(cast("Verb", do), _targets(fields))
    elif do == "run":
        request = RunJob(take(fields, "group", str))
    elif do == "scale":
        request = Scale(take(fields, "group", str), take(fields, "workers", int))
    elif do == "signal":
        request = SendSignal(_signal(take(fields, "signal", int)), _targets(fields), _scope(fields))
    elif do == "status":
        request = ShowStatus()
    elif do == "reload":
        request = Reload(take(fields, "reset", bool, False))
    elif do == "rollback":
        request = Rollback()
    elif do == "down":
        request = Down(take(fields, "now", bool, False))
    elif do == "events":
        request = ShowEvents(take(fields, "follow", bool, False), take(fields, "last", int, 100))
    elif do == "logs":
        named = fields.get("targets") or fields.pop("targets", None)
        request = ShowLogs(_targets(fields) if named else (), take(fields, "follow", bool, False))
    else:
        raise ProtocolError(f"nobody here can `{shown(do)}`")
    if fields:
        raise ProtocolError(f"`{do}` has no `{shown(next(iter(fields)))}`")
    return Message(request, wait)


def decode_selector(text: str) -> Selector:
    """`GROUP` or `GROUP:TASK`. Raises ProtocolError."""
    group, colon, task = text.partition(":")
    if not group or (colon and not (task.isascii() and task.isdigit() and len(task) <= 6)):
        raise ProtocolError(f"`{shown(text)}` is neither GROUP nor GROUP:TASK")
    return Selector(group, int(task) if colon else None)


def _targets(fields: Object) -> tuple[Selector, ...]:
    texts = take(fields, "targets", list)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ProtocolError("`targets` names nobody: a list of GROUP and GROUP:TASK")
    return tuple(map(decode_selector, texts))


def _scope(fields: Object) -> Scope:
    scope = take(fields, "scope", str, "leader")
    if scope not in ("leader", "tree"):
        raise ProtocolError("`scope` is neither leader nor tree")
    return cast("Scope", scope)


def _signal(number: int) -> int:
    if number not in valid_signals():
        raise ProtocolError(f"there is no signal {shown(number)}")
    return number
