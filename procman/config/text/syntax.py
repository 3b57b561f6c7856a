"""What tomli could not read, in the words of someone who wants to repair it. Pure: an error and a text to a Problem."""

from __future__ import annotations

import re

import tomli

from procman.config.text.document import Place, Problem, Source
from procman.config.text.positions import lost_at

_HINTS = (
    (r"(?:True|False)\b", "TOML writes true and false in lower case"),
    (r"(?:null|nil|None)\b", "TOML has no null: leave the key out"),
    (r"[\u201c\u201d\u2018\u2019\u201e\u00ab]", "these are typographic quotes: use \" or '"),
    (r"0[0-9]", 'a number cannot begin with 0: write an octal one as a string, "0077"'),
    (r"[0-9.]+ ?(?:ms|s|m|h|d|[kKMGT]i?B)\b", "a number with a unit is written in quotes"),
    (r"[\n#]|$", "a value is missing behind ="),
    (r"[A-Za-z_./~$-]", "text is written in quotes"),
)


def syntax_problem(source: Source, error: tomli.TOMLDecodeError) -> Problem:
    """The problem at the place where tomli stopped."""
    text = source.text
    start = min(error.pos, len(text))
    message = error.msg
    match message:
        case "Invalid value":
            return _value(source, start, start)
        case "Expected newline or end of document after a statement" | "Unclosed array" | "Unclosed inline table":
            return _behind(source, start, message)
        case "Expected '=' after a key in a key/value pair":
            colon = text[start : start + 1] == ":"
            hint = "TOML writes key = value, not key: value" if colon else "each line is key = value, or [table]"
            return _at(source, start, "there is no = after the key", hint)
        case "Invalid statement" | "Invalid initial character for a key part":
            return _at(source, start, "neither a key nor a [table] can begin like this", _statement_hint(text, start))
        case "Unterminated string" | 'Expected "\'"':
            return _at(source, *_opening(text, start), "a string is not closed", "close it with the same quotes")
        case "Cannot overwrite a value" | "Cannot mutate immutable namespace":
            return _twice(source, start)
        case "Unescaped '\\' in a string" | "Invalid hex value":
            hint = "write the text in single quotes, or \\\\ for each backslash"
            return _at(source, start, "a backslash in double quotes begins an escape such as \\n", hint)
    if twice := re.fullmatch(r"Cannot declare \((.*?),?\) twice", message):
        name = ".".join(part.strip().strip("'\"") for part in twice[1].split(","))
        hint = "put the keys of both under one heading; for another group choose another name"
        line = _line_start(text, start)
        heading = len(text[line:].split("\n", 1)[0])
        return _at(source, line, line + heading, f"the table [{name}] stands twice", hint)
    if message.startswith(("Found invalid character", "Illegal character")):
        newline = text[start : start + 1] == "\n"
        what = "a string is not closed" if newline else "a control character stands here"
        begin = _opening(text, start) if newline else (start, start + 1)
        return _at(source, *begin, what, "text of several lines is written in three quotes" if newline else "remove it")
    if message.startswith("Expected ']' at the end of"):
        return _at(source, start, "the heading of the table is not closed: ] is missing", "write [group.NAME]")
    return _at(source, start, message[0].lower() + message[1:], "")


def _at(source: Source, start: int, *rest: object) -> Problem:
    """A problem over one character, or up to an end that stands before the message."""
    end = start + 1
    if isinstance(rest[0], int):
        end, rest = rest[0], rest[1:]
    # At the end of the document the last line says more than an empty one.
    if start >= len(source.text.rstrip("\n")):
        start = max(len(source.text.rstrip("\n")) - 1, 0)
        end = start + 1
    return Problem(str(rest[0]), str(rest[1]), place=Place(source, start, end))


def _behind(source: Source, start: int, message: str) -> Problem:
    """Something that does not belong there behind a value, or glued to it (`5s`, `0077`)."""
    glued = re.search(r"[\w.+:-]*\Z", source.text[max(start - 100, 0) : start])
    begin = start - len(glued[0]) if glued else start
    if begin < start and source.text[start : start + 1].strip():
        return _value(source, begin, start)
    if message.startswith("Unclosed"):
        what = "list" if "array" in message else "table"
        return _at(source, start, f"a comma or the end of the {what} is missing", "separate values with commas")
    return _at(source, start, "something stands behind the value", "write one key = value a line")


def _value(source: Source, begin: int, start: int) -> Problem:
    """A value that is none: it begins at `begin`, and up to `start` it could have been one."""
    text = source.text
    word = re.compile(r"[^\s,#\]}]*").match(text, begin)
    end = max(word.end() if word else begin, start, begin + 1)
    hint = next((hint for pattern, hint in _HINTS if re.compile(pattern).match(text, begin)), "see toml.io")
    if hint.endswith("in quotes"):
        hint += f': "{text[begin:end][:40]}"'
    return _at(source, begin, end, "this is no value", hint)


def _statement_hint(text: str, start: int) -> str:
    if text.lstrip().startswith("{"):
        return "this looks like JSON; a site file is TOML: schema = 1, [group.NAME], key = value"
    if text.startswith("//", start) or text.startswith(";", start):
        return "a comment begins with #"
    return 'a key with other characters than letters, digits, - and _ is written in quotes: "key" = …'


def _twice(source: Source, start: int) -> Problem:
    text = source.text
    line = _line_start(text, max(start - 1, 0) if text[start : start + 1] in ("\n", "") else start)
    key = re.compile(r"[ \t]*([^=\n]*?)[ \t]*(?:=|\n|$)").match(text, line)
    begin, end = key.span(1) if key and key[1] else (start, start + 1)
    return _at(source, begin, end, f"`{text[begin:end][:40]}` stands twice", "keep one of the two")


def _opening(text: str, start: int) -> tuple[int, int]:
    """Where the string that does not end begins; if that cannot be told, where the parser stopped."""
    lost = lost_at(text)
    begin = lost if lost is not None and lost <= start and text[lost : lost + 1] in ("'", '"') else start
    return begin, begin + 1


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, max(offset, 0)) + 1
