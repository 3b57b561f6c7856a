"""Problems to text: `file:line:col: message`, the source line with a caret, and a hint. All of them, in order.

Finds the places (the only caller of `positions`); decides nothing about what is wrong.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from textwrap import wrap
from typing import NamedTuple

from procman.config.text.document import Document, Path, Place, Problem, Source
from procman.config.text.positions import Mark, Span, line_and_column, scan

MOST_SHOWN = 100
MOST_LOCATED = 10_000
"""Further problems are only counted: a file of a million mistakes is not worth a million searches."""

_WIDTH, _NARROW = 100, 80


class Diagnosis(NamedTuple):
    """What is wrong, in one line and in full."""

    reason: str
    """`configs/site.toml: 2 errors`."""
    text: str
    """For people, many lines."""


def diagnose(problems: list[Problem], first: str, document: Document | None, *, colour: bool = False) -> Diagnosis:
    """All problems said once, sorted by place; `first` is the name of the file that stands for all of them."""
    placed = located(problems[:MOST_LOCATED], document)
    count = len(placed) + len(problems[MOST_LOCATED:])
    blocks = [_block(problem, place, colour=colour) for problem, place in placed[:MOST_SHOWN]]
    if count > MOST_SHOWN:
        blocks.append(f"… and {count - MOST_SHOWN} more\n")
    return Diagnosis(f"{_clean(first)}: {count} error{'s' if count != 1 else ''}", "\n".join(blocks))


def located(problems: Iterable[Problem], document: Document | None) -> list[tuple[Problem, Place]]:
    """Each problem with its place, in the order of the sources; of several at one place the first stays."""
    wanted = [(problem, *_origin(problem, document)) for problem in problems]
    paths: dict[Source, set[Path]] = {}
    for problem, source, path in wanted:
        if problem.place is None:
            paths.setdefault(source, set()).update(path[:length] for length in range(1, len(path) + 1))
    marks = {source: scan(source.text, all_paths) for source, all_paths in paths.items()}
    found: dict[tuple[Source, int], tuple[Problem, Place]] = {}
    order = {source: index for index, source in enumerate(document.sources)} if document else {}
    for problem, source, path in wanted:
        place = problem.place or Place(source, *_span(problem, source, path, marks[source]))
        found.setdefault((place.source, place.start), (problem, place))
        order.setdefault(place.source, len(order))
    return sorted(found.values(), key=lambda one: (order[one[1].source], one[1].start))


def _origin(problem: Problem, document: Document | None) -> tuple[Source, Path]:
    if problem.place is not None:
        return problem.place.source, ()
    if problem.source is not None:
        return problem.source, problem.path
    assert document is not None, "a path without a document"
    return document.origin(problem.path)


def _span(problem: Problem, source: Source, path: Path, marks: dict[Path, Mark]) -> Span:
    """The key's or the value's span; of what is not there (a missing key) that of its nearest parent."""
    for length in range(len(path), 0, -1):
        mark = marks.get(path[:length])
        if mark is not None:
            span = mark.key if problem.on == "key" or length < len(path) else mark.value
            needle = source.text.find(problem.needle, *span) if problem.needle else -1
            return (needle, needle + len(problem.needle)) if needle >= 0 else span
    equals = source.text.find("=")
    if source.path is None and equals >= 0:
        # `--set` with a VALUE that is no TOML.
        return (0, equals) if problem.on == "key" else (equals + 1, len(source.text))
    return 0, 1


def _block(problem: Problem, place: Place, *, colour: bool) -> str:
    """One diagnostic, two to four lines."""
    text = place.source.text
    line, column = line_and_column(text, place.start)
    bold, red, cyan, off = ("\x1b[1m", "\x1b[31m", "\x1b[36m", "\x1b[0m") if colour else ("",) * 4
    block = f"{bold}{_clean(place.source.name)}:{line}:{column}:{off} {red}{_clean(problem.message)}{off}\n"
    if text.strip():
        start = place.start - column + 1
        end = text.find("\n", start)
        whole = text[start : end if end >= 0 else len(text)]
        shown, caret = _excerpt(whole, column - 1, place.end - place.start)
        block += f"{line:5} | {shown}\n      | {red}{caret}{off}\n"
    return block + (f"{cyan}hint:{off} {_wrapped(problem.hint)}\n" if problem.hint else "")


def _wrapped(hint: str) -> str:
    """A hint in lines that a narrow terminal holds, where it is a long list."""
    if len(hint) <= _WIDTH:
        return _clean(hint)
    lines = wrap(_clean(hint), _NARROW - len("hint: "), break_long_words=False, break_on_hyphens=False)
    return "\n      ".join(lines)


def _excerpt(line: str, start: int, length: int) -> tuple[str, str]:
    """What fits of a line around its mark, and the carets below it."""
    length = max(min(length, len(line) - start), 1)
    if len(line) > _WIDTH:
        first = max(min(start - 20, len(line) - _WIDTH), 0)
        line = ("…" if first else "") + line[first : first + _WIDTH] + ("…" if first + _WIDTH < len(line) else "")
        start -= first - (1 if first else 0)
        length = max(min(length, _WIDTH - start), 1)
    before = "".join("\t" if char == "\t" else " " * _columns(char) for char in line[:start])
    return _clean(line), before + "^" * (sum(map(_columns, line[start : start + length])) or 1)


def _columns(char: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _clean(text: str) -> str:
    """Text that cannot move a terminal's cursor."""
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
