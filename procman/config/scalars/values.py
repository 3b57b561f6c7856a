"""Scalars as people write them: durations, sizes, signals, commands, masks. Pure functions from a TOML value.

Each `parse_*` takes whatever TOML gave and returns the resolved value, or raises `BadValueError` with a message and
an example of the right form. Nothing here reads a file, the environment or a clock.

Because `${NAME}` always gives a string, a number or a truth value may be written as a string that holds one.
"""

from __future__ import annotations

import math
import re
import shlex
import signal
from typing import Any

from procman.words import signal_name, signal_number

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1, "B": 1, "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}
_SIZES |= {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_LONGEST = 3650 * 86400.0

DURATION_PATTERN = r"^\s*[0-9.]+\s*(ms|s|m|h|d)?(\s*[0-9.]+\s*(ms|s|m|h|d))*\s*$"
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?\s*(B|[kK]B|KiB|[MGT]i?B)?$"
SIGNAL_PATTERN = r"^(SIG)?[A-Z][A-Z0-9]*([+-][0-9]+)?$|^[0-9]+$"
UMASK_PATTERN = r"^(0o)?[0-7]{1,4}$"

_DURATION_HINT = 'write a number and a unit (ms, s, m, h, d): "500ms", "1.5s", "1h30m"'
_SIZE_HINT = 'write a number and a unit: "64KiB", "10MB", or a plain number of bytes'
_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(ms|s|m|h|d)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", re.ASCII)
_MASKED = re.compile(r"\$\$|\$\{[^}]*\}")
_WORD = re.compile("\0([0-9]+)\0")


class BadValueError(ValueError):
    """What is wrong with a value, for people; `hint` says what to do, `at` which key below it is meant."""

    def __init__(self, message: str, hint: str = "", at: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.at = message, hint, at


def show(value: Any) -> str:
    """A value as the user would recognise it, at most some 40 characters of it."""
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case str():
            # An f-string's repr would choose its quotes by content; TOML's are double.
            text = value if len(value) <= 40 else value[:37] + "…"
            return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in text) + '"'
        case _:
            # str() of an integer beyond 4300 digits raises.
            return "a huge number" if isinstance(value, int) and abs(value) > 1 << 128 else str(value)[:40]


def parse_duration(value: Any) -> float:
    """Seconds. A bare number is seconds, as systemd's are; units add up: "1h30m". At most ten years."""
    seconds: float | None = None
    match value:
        case bool():
            pass
        case int() | float():
            seconds = float(value) if abs(value) < 1e15 else math.inf
        case str():
            seconds = _duration(value.strip())
    if seconds is None or math.isnan(seconds):
        raise BadValueError(f"{show(value)} is not a duration", _DURATION_HINT)
    if seconds < 0:
        raise BadValueError(f"a duration cannot be negative: {show(value)}", _DURATION_HINT)
    if seconds > _LONGEST:
        raise BadValueError(f"{show(value)} is longer than ten years", _DURATION_HINT)
    return seconds


def _duration(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text)
    seconds, end = 0.0, 0
    while match := _PART.match(text, end):
        seconds += float(match[1]) * _UNITS[match[2]]
        end = match.end()
    return seconds if text and end == len(text) else None


def parse_size(value: Any) -> int:
    """Bytes. "64KiB" is 65536, "64kB" 64000, a bare number is bytes."""
    text = _text(value)
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _SIZES or len(text) > 30:
        raise BadValueError(f"{show(value)} is not a size", _SIZE_HINT)
    return int(float(match[1]) * _SIZES[match[2]]) if "." in match[1] else int(match[1]) * _SIZES[match[2]]


def parse_signal(value: Any) -> int:
    """A signal's number, from its name with or without SIG ("TERM", "RTMIN+1") or its number."""
    hint = 'write its name or number: "TERM", "SIGINT", "RTMIN+1", 15'
    text = _text(value)
    number = signal_number(text)
    if number is not None and 1 <= number <= signal.SIGRTMAX:
        return number
    near = nearest(text.upper().removeprefix("SIG"), [known.name.removeprefix("SIG") for known in signal.Signals])
    hint = f'did you mean "{near}"?' if near and isinstance(value, str) else hint
    raise BadValueError(f"{show(value)} is not a signal", hint)


def parse_stop_signal(value: Any) -> int:
    """As `parse_signal`, but only what can end a process."""
    number = parse_signal(value)
    if number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGCHLD):
        hint = 'use "TERM", "INT", "QUIT" or "HUP"'
        raise BadValueError(f"{signal_name(number)} does not ask a process to end", hint)
    return number


def parse_command(value: Any) -> tuple[str, ...]:
    """An argv: a list of words, or a string split as a shell splits words (never run by a shell).

    `${NAME}` in a string stays in one word, whatever it will stand for.
    """
    hint = 'write ["python3", "-m", "http.server"] or "python3 -m http.server"'
    match value:
        case str():
            words = split_command(value)
        case list() | tuple():
            words = list(value)
        case _:
            raise BadValueError(f"{show(value)} is not a command", hint)
    for index, word in enumerate(words):
        if not isinstance(word, str):
            raise BadValueError(f"{show(word)} is no text, but a word of a command is", f'write "{word}"', (index,))
        if "\0" in word:
            raise BadValueError("a command cannot hold the character NUL", "leave \\u0000 out")
    if not words or not words[0]:
        raise BadValueError("the command is empty", hint)
    return tuple(words)


def split_command(text: str) -> list[str]:
    """The words of a command line. `$$` and `${…}` are opaque to it, whatever they hold. Raises BadValueError."""
    if "\0" in text:
        raise BadValueError("a command cannot hold the character NUL", "leave \\u0000 out")
    opaque: list[str] = []

    def mask(match: re.Match[str]) -> str:
        opaque.append(match[0])
        return f"\0{len(opaque) - 1}\0"

    try:
        words = shlex.split(_MASKED.sub(mask, text))
    except ValueError as error:
        what = "a quote is not closed" if "quotation" in str(error) else "a backslash stands at the end"
        raise BadValueError(f"the command cannot be split into words: {what}", "write it as a list of words") from None
    return [_WORD.sub(lambda match: opaque[int(match[1])], word) for word in words]


def parse_umask(value: Any) -> int:
    """A file mode creation mask, from an octal string ("0077") or an integer (TOML's 0o077)."""
    hint = 'write it as an octal string: "0022", "0077"'
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and re.fullmatch(UMASK_PATTERN, value.strip(), re.ASCII):
        number = int(value, 8)
    else:
        raise BadValueError(f"{show(value)} is not a umask", hint)
    if not 0 <= number <= 0o777:
        raise BadValueError(f"{show(value)} is not a umask: it lies between 0 and 0o777", hint)
    return number


def parse_mode(value: Any) -> int:
    """The permissions of a file, from an octal string: "0660"."""
    if isinstance(value, str) and re.fullmatch(UMASK_PATTERN, value.strip(), re.ASCII) and int(value, 8) <= 0o777:
        return int(value, 8)
    raise BadValueError(f"{show(value)} is no mode of a file", 'write it as an octal string: "0660"')


def parse_integer(value: Any, least: int | None = None, most: int | None = None) -> int:
    """A whole number, within the bounds if there are any."""
    text = _text(value)
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise BadValueError(
            f"{show(value)} is not a whole number", _bounds(least, most) or "write it without quotes: 3"
        )
    number = int(text)
    if (least is not None and number < least) or (most is not None and number > most):
        raise BadValueError(f"{number} is out of range", _bounds(least, most))
    return number


def parse_number(value: Any, least: float, most: float) -> float:
    """A number within the bounds."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = str(value).strip() if isinstance(value, (str, float)) else _text(value)
    if not is_number and not _NUMBER.fullmatch(text):
        raise BadValueError(f"{show(value)} is not a number", _bounds(least, most))
    number = float(text or "nan")
    if not least <= number <= most:
        raise BadValueError(f"{show(value)} is out of range", _bounds(least, most))
    return number


def _bounds(least: float | None, most: float | None) -> str:
    if least is None:
        return ""
    return f"a number, {least:g} or more" if most is None else f"a number between {least:g} and {most:g}"


def parse_bool(value: Any) -> bool:
    """True or false; never 0, 1, yes or no."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise BadValueError(f"{show(value)} is neither true nor false", "write true or false, without quotes")


def _text(value: Any) -> str:
    """A string or an integer as text; empty for whatever else, and for what is absurdly long."""
    if isinstance(value, str) and len(value) <= 100:
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 128 else ""


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that was probably meant."""
    # Imported here: a file without mistakes never pays for it.
    from difflib import get_close_matches

    folded = {name.lower().replace("-", "_"): name for name in known}
    found = get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None
