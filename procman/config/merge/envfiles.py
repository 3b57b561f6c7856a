"""The env files that a document names, read and parsed by python-dotenv without interpolation: values as written.

Reads each file once. Tolerant of wrong types in the document: those are the model's to report.
"""

# ruff: noqa: PTH117, PTH118, PTH120
# names stay as they were written, for people to recognise; pathlib rewrites them.

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from dotenv.parser import Binding, parse_stream

from procman.config.model.environment import env_name
from procman.config.scalars.values import BadValueError
from procman.config.text.document import Document, Path, Place, Problem, Rejected, Source
from procman.config.text.read import read_source
from procman.config.text.revision import Revision

Pairs = list[tuple[str, str]]


class EnvFiles(NamedTuple):
    """What the env files say, by absolute path."""

    pairs: dict[str, Pairs]
    problems: list[Problem]


def read_env_files(document: Document, cwd: str, revision: Revision | None = None) -> EnvFiles:
    """All files that groups and defaults name; a missing optional one is simply not there."""
    files = EnvFiles({}, [])
    seen: dict[str, list[Problem]] = {}
    for path, name, optional in _named(document):
        source = document.origin(path)[0]
        absolute = env_path(source, name)
        if optional and not os.path.lexists(absolute):
            continue
        if absolute not in seen:
            shown = name if os.path.isabs(name) else os.path.join(os.path.dirname(source.name), name)
            seen[absolute] = _read(absolute, shown, cwd, files.pairs, revision)
        # Each place that names a file which cannot be read is told so; mistakes in it are told once.
        files.problems.extend(problem if problem.place else problem._replace(path=path) for problem in seen[absolute])
    return files


def env_path(source: Source, name: str) -> str:
    """The absolute path of an env file that a source names."""
    return os.path.normpath(os.path.join(source.base, name))


def _named(document: Document) -> Iterator[tuple[Path, str, bool]]:
    groups = document.at(("group",))
    tables: list[Path] = [("defaults",), *(("group", name) for name in (groups if isinstance(groups, dict) else ()))]
    for table in tables:
        path: Path = (*table, "env_file")
        value = document.at(path)
        items = (
            [((*path, index), item) for index, item in enumerate(value)] if isinstance(value, list) else [(path, value)]
        )
        for here, item in items:
            yield from _item(here, item)


def _item(path: Path, item: Any) -> Iterator[tuple[Path, str, bool]]:
    if isinstance(item, dict) and isinstance(item.get("path"), str):
        yield (*path, "path"), item["path"], item.get("optional") in (True, "true")
    elif isinstance(item, str):
        yield path, item, False


def _read(absolute: str, shown: str, cwd: str, pairs: dict[str, Pairs], revision: Revision | None) -> list[Problem]:
    """Parse one file into `pairs`. A problem without a place concerns whoever names the file."""
    try:
        # One that no commit has (it holds secrets, perhaps) is what it is now.
        past = revision if revision is not None and revision.read(absolute) is not None else None
        source = read_source(absolute, cwd, past)._replace(name=shown)
    except Rejected as rejected:
        problem = rejected.problems[0]
        if problem.place is not None and problem.place.source.text:
            place = problem.place
            return [problem._replace(place=place._replace(source=place.source._replace(name=shown)))]
        hint = f"looked for {absolute}; if it may be missing: {{ path = …, optional = true }}"
        missing = problem.message == "there is no such file"
        message = "there is no such env file" if missing else f"the env file {shown}: {problem.message}"
        return [Problem(message, hint if missing else problem.hint)]
    found = pairs.setdefault(absolute, [])
    return [problem for binding in parse_stream(io.StringIO(source.text)) for problem in _add(binding, source, found)]


def _add(binding: Binding, source: Source, pairs: Pairs) -> Iterator[Problem]:
    """Add a line's variable to `pairs`, or say what is wrong with the line."""
    if binding.key is None and not binding.error:
        return  # a comment, or blank
    if binding.error or binding.key is None or binding.value is None:
        yield Problem("this line is not NAME=value", "a comment begins with #", place=_place(binding, source))
        return
    try:
        pairs.append((env_name(binding.key), binding.value))
    except BadValueError as error:
        yield Problem(error.message, error.hint, place=_place(binding, source))


def _place(binding: Binding, source: Source) -> Place:
    lines = source.text.split("\n")
    start = sum(len(line) + 1 for line in lines[: binding.original.line - 1])
    text = binding.original.string
    start += len(text) - len(text.lstrip())
    return Place(source, start, start + len(text.strip().split("\n")[0]))
