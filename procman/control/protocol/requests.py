"""Requests, as lines have them and as the core means them."""

from __future__ import annotations

from signal import valid_signals

from procman.control.wire import Object, ProtocolError, from_line, shown, split_selector, take
from procman.lean import TYPE_CHECKING, NamedTuple
from procman.policy.events.requests import (
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
)

if TYPE_CHECKING:
    from procman.choices import Scope


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
    """A request, and whether its client waits until it has come true."""

    request: Request | ShowEvents | ShowLogs | Compile
    wait: bool = True


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
            return ShowLogs(_targets(fields, nobody=True), take(fields, "follow", bool, False))
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


def _texts(fields: Object, name: str) -> tuple[str, ...]:
    texts = take(fields, name, list, [])
    if not all(isinstance(text, str) for text in texts):
        raise ProtocolError(f"`{name}` is not a list of texts")
    return tuple(texts)


def _targets(fields: Object, *, nobody: bool = False) -> tuple[Selector, ...]:
    targets = tuple(Selector(*split_selector(text)) for text in _texts(fields, "targets"))
    if not targets and not nobody:
        raise ProtocolError("`targets` names nobody: a list of GROUP and GROUP:TASK")
    return targets


def _scope(fields: Object) -> Scope:
    scope: Scope = take(fields, "scope", str, "leader")
    if scope not in ("leader", "tree"):
        raise ProtocolError("`scope` is neither leader nor tree")
    return scope


def _signal(number: int) -> int:
    if number not in valid_signals():
        raise ProtocolError(f"there is no signal {shown(number)}")
    return number
