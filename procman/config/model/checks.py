"""`ready` and `health`: what a worker must show before it counts as running, and how it is seen to be well."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import PlainValidator, WithJsonSchema, model_validator

from procman import choices
from procman.config.scalars import fields, values
from procman.config.scalars.table import Table, option
from procman.config.scalars.values import BadValueError, show
from procman.plan.target import Target, http_target, tcp_target

_SHORTEST_S = 0.01


def _place(parse: Callable[[str], Target], what: str, hint: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        text = value if isinstance(value, str) else ""
        try:
            if not text:
                raise ValueError("it is no text" if not isinstance(value, str) else "it is empty")
            parse(sample(text))
        except ValueError as error:
            raise BadValueError(f"{show(value)} is no {what}: {error}", hint) from None
        return text

    return check


def sample(text: str) -> str:
    """An address as one of the workers would have it."""
    for name, value in (("PROCMAN_TASK_ID", "0"), ("PROCMAN_GENERATION", "1"), ("PROCMAN_GROUP", "group")):
        text = text.replace(f"${{{name}}}", value)
    return text.replace("$$", "$")


_HTTP_HINT = 'write "http://127.0.0.1:8000/health"; for anything else use `exec` with curl'
_TCP_HINT = 'write "127.0.0.1:6379", "[::1]:6379", "localhost:6379" or "unix:/run/redis.sock"'
_READY = ("notify", "fd", "http", "tcp", "exec", "log", "delay")
_HEALTH = ("http", "tcp", "exec", "watchdog")

Url = Annotated[
    str, PlainValidator(_place(http_target, "address to ask over HTTP", _HTTP_HINT)), fields.spelled("^http://")
]
Place = Annotated[str, PlainValidator(_place(tcp_target, "address to connect to", _TCP_HINT)), fields.spelled(":")]
Number = Annotated[
    int,
    PlainValidator(lambda value: values.parse_integer(value, 3, 255)),
    WithJsonSchema({"type": "integer", "minimum": 3, "maximum": 255}),
]
Times = Annotated[
    int, PlainValidator(lambda value: values.parse_integer(value, 1)), WithJsonSchema({"type": "integer", "minimum": 1})
]


LONGEST_PATTERN = 1000
"""Characters; it travels in one packet with the rest of what the pump is told of a worker."""


def _pattern(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    hint = "it is a regular expression of Python that is searched for in each line"
    if not 0 < len(text) <= LONGEST_PATTERN:
        raise BadValueError(f"{show(value)} is no text of 1 to {LONGEST_PATTERN} characters", hint)
    try:
        found = re.compile(text.encode(), re.MULTILINE).search(b"")
    except (re.error, OverflowError, RecursionError) as error:
        raise BadValueError(f"{show(value)} is no regular expression: {error}", hint) from None
    if found:
        raise BadValueError(f"{show(value)} matches an empty line, too", "say more of the line that shows it")
    return text


Pattern = Annotated[
    str,
    PlainValidator(_pattern),
    WithJsonSchema({"type": "string", "format": "regex", "minLength": 1, "maxLength": LONGEST_PATTERN}),
]


def _span(value: Any) -> float:
    seconds = values.parse_duration(value)
    if seconds < _SHORTEST_S:
        raise BadValueError(f"{show(value)} is too short", "10ms is the least")
    return seconds


Span = Annotated[float, PlainValidator(_span), fields.spelled(values.DURATION_PATTERN, {"type": "number"})]


def _only_one(table: Table, name: str, kinds: tuple[str, ...]) -> None:
    chosen = [kind for kind in kinds if getattr(table, kind) not in (None, False)]
    if len(chosen) > 1:
        raise BadValueError(f"`{name}` is either {chosen[0]} or {chosen[1]}", "leave one of them", (chosen[1],))
    if not chosen:
        raise BadValueError(f"`{name}` does not say how", f"give it one of {', '.join(kinds)}")


class Ready(Table):
    """What a worker must show before it counts as running. Exactly one of the kinds."""

    notify: fields.Bool = option(False, "It says READY=1 to the socket in NOTIFY_SOCKET, as sd_notify(3) does.")
    fd: Number | None = option(None, "It writes a line to this descriptor, as s6 has it.")
    http: Url | None = option(
        None, "It answers a GET of this http:// URL with a status from 200 to 399. May hold ${PROCMAN_TASK_ID}."
    )
    tcp: Place | None = option(
        None, "It accepts a connection to this address, or to unix:PATH. May hold ${PROCMAN_TASK_ID}."
    )
    exec: fields.Command | None = option(
        None, "This command, run as the worker is, ends with status 0. May hold ${PROCMAN_TASK_ID}."
    )
    log: Pattern | None = option(
        None,
        "It writes a line in which this regular expression (of Python) is found, to stdout or stderr. "
        "What it writes is read for that: `inherit` is `prefix` then.",
    )
    delay: fields.Duration | None = option(None, "It is still there so long after its start.")
    timeout: Span = option("30s", "A worker that is not ready so long after its start has failed.")
    interval: Span = option("1s", "http, tcp, exec: how often it is asked at least, and how long an answer may take.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        _only_one(self, "ready", _READY)
        return self


class Health(Table):
    """How a worker that runs is seen to be well. Exactly one of the kinds."""

    http: Url | None = option(None, "As `ready` has it; so are tcp and exec.")
    tcp: Place | None = option(None, "It accepts a connection to this address, or to unix:PATH.")
    exec: fields.Command | None = option(None, "This command, run as the worker is, ends with status 0.")
    watchdog: fields.Bool = option(
        False, "It says WATCHDOG=1 to the socket in NOTIFY_SOCKET at least once an `interval`, as sd_notify(3) does."
    )
    interval: Span = option("10s", "How often it is asked, or must say so.")
    timeout: Span = option("5s", "How long an answer may take; a command is killed then.")
    failures: Times = option(3, "So many failed checks in a row are too many.")
    start_after: fields.Duration = option("0s", "The checks begin so long after the worker is ready.")
    dump: fields.StopSignal | None = option(
        None, 'A signal that makes it leave a trace of what it was doing, sent before it is stopped: "ABRT".'
    )
    on_failure: choices.OnUnhealthy = option(
        "restart", "restart: the worker is stopped, and started again within its budget; ignore: it is marked unready."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        _only_one(self, "health", _HEALTH)
        return self
