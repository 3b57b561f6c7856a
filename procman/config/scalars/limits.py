"""Resource limits: the table of them, and what each accepts. Knows nothing of what this machine permits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from procman.config.scalars.table import Table, option
from procman.config.scalars.values import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    BadValueError,
    parse_duration,
    parse_integer,
    parse_size,
    show,
)

UNLIMITED = -1
_LARGEST = 2**63 - 1
_UNLIMITED_NAMES = ("unlimited", "infinity")

SoftHard = tuple[int, int | None]
"""In the unit of setrlimit(2), -1 being unlimited; hard is None where only the soft limit is given."""


def parse_limit(value: Any, parse: Callable[[Any], int], hint: str) -> SoftHard:
    """`soft` or `"soft:hard"`, each of them a value that `parse` knows, or "unlimited". Raises BadValueError."""
    parts = value.split(":") if isinstance(value, str) else [value]
    if len(parts) > 2 or isinstance(value, bool):
        raise BadValueError(f"{show(value)} is not a limit", hint)
    soft, *hard = [_one(part, value, parse, hint) for part in parts]
    if hard and hard[0] != UNLIMITED and (soft == UNLIMITED or soft > hard[0]):
        raise BadValueError(f"the soft limit is above the hard one: {show(value)}", "write soft:hard")
    return soft, hard[0] if hard else None


def _one(part: Any, value: Any, parse: Callable[[Any], int], hint: str) -> int:
    if isinstance(part, str) and part.strip() in _UNLIMITED_NAMES:
        return UNLIMITED
    try:
        number = parse(part)
    except BadValueError:
        raise BadValueError(f"{show(value)} is not a limit", hint) from None
    if not 0 <= number <= _LARGEST:
        raise BadValueError(f"{show(value)} is out of range", hint)
    return number


def _seconds(value: Any) -> int:
    return math.ceil(parse_duration(value))


def _microseconds(value: Any) -> int:
    """A bare number counts microseconds, as setrlimit(2) does."""
    try:
        return parse_integer(value)
    except BadValueError:
        return math.ceil(parse_duration(value) * 1_000_000)


def _parsed(parse: Callable[[Any], int], example: str) -> PlainValidator:
    hint = f'write "SOFT" or "SOFT:HARD", for example {example}'
    return PlainValidator(lambda value: parse_limit(value, parse, hint))


def _written(pattern: str) -> WithJsonSchema:
    one = f"({pattern.strip('^$')}|{'|'.join(_UNLIMITED_NAMES)})"
    return WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{one}(:{one})?$"}]}
    )


Count = Annotated[SoftHard, _parsed(parse_integer, '1024, "1024:4096", "unlimited"'), _written("[0-9]+")]
Bytes = Annotated[SoftHard, _parsed(parse_size, '"64MiB", "64MiB:1GiB", "unlimited"'), _written(SIZE_PATTERN)]
Seconds = Annotated[SoftHard, _parsed(_seconds, '60, "1m:2m", "unlimited"'), _written(DURATION_PATTERN)]
Microseconds = Annotated[
    SoftHard, _parsed(_microseconds, '"200ms", "200ms:1s", "unlimited"'), _written(DURATION_PATTERN)
]


class Limits(Table):
    """Resource limits; a soft one alone leaves the hard one, or raises it to the soft one where that is higher."""

    effect = "restart"

    as_: Bytes | None = option(None, "Address space, in bytes.", alias="as")
    core: Bytes | None = option(None, "The size of a core dump, in bytes; 0: none.")
    cpu: Seconds | None = option(None, "CPU time, in seconds.")
    data: Bytes | None = option(None, "The data segment, in bytes.")
    fsize: Bytes | None = option(None, "The size of a file that is written, in bytes.")
    locks: Count | None = option(None, "File locks; Linux has not heeded it since 2.4.25.")
    memlock: Bytes | None = option(None, "Locked memory, in bytes.")
    msgqueue: Bytes | None = option(None, "POSIX message queues, in bytes.")
    nice: Count | None = option(None, "How far nice may be lowered: 20 minus the least value.")
    nofile: Count | None = option(None, "Open descriptors: one more than the highest number.")
    nproc: Count | None = option(None, "Processes and threads of the user; no limit for root.")
    rss: Bytes | None = option(None, "Resident memory, in bytes; Linux has not heeded it since 2.4.30.")
    rtprio: Count | None = option(None, "The highest real-time priority.")
    rttime: Microseconds | None = option(None, "CPU time of a real-time process without a blocking call; a number: µs.")
    sigpending: Count | None = option(None, "Queued signals of the user.")
    stack: Bytes | None = option(None, "The stack, in bytes; also bounds arguments and environment.")
