"""Requests as lines, and back."""

from __future__ import annotations

from signal import valid_signals
from typing import TYPE_CHECKING, NamedTuple, cast

from procman.control.protocol.wire import Object, ProtocolError, from_line, shown, take, to_line
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
    ShowPlan,
    ShowStatus,
    Verb,
)

if TYPE_CHECKING:
    from procman.plan import Scope

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


class Compile(NamedTuple):
    """Have the site's loader compile a configuration, or explain a key of one; the server's own to answer as well."""

    files: tuple[str, ...] = ()
    """Empty: those that the site was started with; so with the overlays."""
    overlays: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    here: str = ""
    """What these names are relative to; empty is where the site was started."""
    key: str = ""
    """What to explain, as `group.api.restart.window`; empty: compile all of it."""


Question = ShowStatus | ShowPlan | ShowEvents | ShowLogs | Compile
"""What moves nothing."""


_WAITED_FOR = (Operate, RunJob, Scale, Reload, Rollback, Down)
"""Of the others the answer is there at once, whether somebody would wait or not."""


class Message(NamedTuple):
    """A request as it is sent."""

    request: Request | ShowEvents | ShowLogs | Compile
    wait: bool = True


def encode_request(message: Message) -> bytes:
    """The line of a request."""
    request = message.request
    if isinstance(request, ShowStatus | ShowPlan | Compile | ShowEvents | ShowLogs):
        return to_line(_question_fields(request))
    match request:
        case Operate(verb, targets):
            fields: Object = {"do": verb, "targets": [*map(str, targets)], "wait": message.wait}
        case RunJob(group):
            fields = {"do": "run", "group": group, "wait": message.wait}
        case Scale(group, workers):
            fields = {"do": "scale", "group": group, "workers": workers, "wait": message.wait}
        case SendSignal(number, targets, scope):
            fields = {"do": "signal", "signal": int(number), "targets": [*map(str, targets)], "scope": scope}
        case Reload(reset):
            fields = {"do": "reload", "reset": reset, "wait": message.wait}
        case Rollback():
            fields = {"do": "rollback", "wait": message.wait}
        case Down(now):
            fields = {"do": "down", "now": now, "wait": message.wait}
    return to_line(fields)


def decode_request(line: bytes | bytearray) -> Message:
    """What a line asks for. Raises ProtocolError."""
    fields = from_line(line)
    do = take(fields, "do", str)
    wait = take(fields, "wait", bool, True)
    question = _question(do, fields)
    request = _wish(do, fields) if question is None else question  # one without fields is false
    if fields:
        raise ProtocolError(f"`{do}` has no `{shown(next(iter(fields)))}`")
    return Message(request, wait) if isinstance(request, _WAITED_FOR) else Message(request)


def _question_fields(request: Question) -> Object:
    """What a request that moves nothing says."""
    match request:
        case ShowStatus():
            return {"do": "status"}
        case ShowPlan():
            return {"do": "plan"}
        case Compile():
            return {"do": "compile", **request._asdict()}
        case ShowEvents(follow, last):
            return {"do": "events", "follow": follow, "last": last}
        case ShowLogs(targets, follow):
            return {"do": "logs", "targets": [*map(str, targets)], "follow": follow}


def _question(do: str, fields: Object) -> Question | None:
    """The request, if it is one that moves nothing."""
    match do:
        case "status":
            return ShowStatus()
        case "plan":
            return ShowPlan()
        case "compile":
            files, overlays, sets = (_texts(fields, name) for name in ("files", "overlays", "sets"))
            return Compile(files, overlays, sets, take(fields, "here", str, ""), take(fields, "key", str, ""))
        case "events":
            return ShowEvents(take(fields, "follow", bool, False), take(fields, "last", int, 100))
        case "logs":
            named = fields.get("targets") or fields.pop("targets", None)
            return ShowLogs(_targets(fields) if named else (), take(fields, "follow", bool, False))
        case _:
            return None


def _wish(do: str, fields: Object) -> Request:
    """The request, if it is one that moves something."""
    match do:
        case "start" | "stop" | "restart":
            return Operate(do, _targets(fields))
        case "run":
            return RunJob(take(fields, "group", str))
        case "scale":
            return Scale(take(fields, "group", str), take(fields, "workers", int))
        case "signal":
            return SendSignal(_signal(take(fields, "signal", int)), _targets(fields), _scope(fields))
        case "reload":
            return Reload(take(fields, "reset", bool, False))
        case "rollback":
            return Rollback()
        case "down":
            return Down(take(fields, "now", bool, False))
        case _:
            raise ProtocolError(f"nobody here can `{shown(do)}`")


def decode_selector(text: str) -> Selector:
    """`GROUP` or `GROUP:TASK`. Raises ProtocolError."""
    group, colon, task = text.partition(":")
    if not group or (colon and not (task.isascii() and task.isdigit() and len(task) <= 6)):
        raise ProtocolError(f"`{shown(text)}` is neither GROUP nor GROUP:TASK")
    return Selector(group, int(task) if colon else None)


def _texts(fields: Object, name: str) -> tuple[str, ...]:
    texts = take(fields, name, list, [])
    if not all(isinstance(text, str) for text in texts):
        raise ProtocolError(f"`{name}` is not a list of texts")
    return tuple(texts)


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
