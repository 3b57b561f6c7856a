"""The position scanner: every key and every value of random documents, rendered in random style, at its place."""

from __future__ import annotations

import json
from typing import Any

import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from procman.config.text.positions import Path, line_and_column, lost_at, scan

BARE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
KEYS = st.one_of(st.text(BARE, min_size=1, max_size=5), TEXTS)
SCALARS = ["1", "0x1F", "+1_000", "6.02e23", "inf", "nan", "true", "false", "1979-05-27 07:32:00Z", "07:32:00"]
BLANKS = ["", "\n", '  # note = [1] "x"\n', "\t\n\n"]
MULTILINE = ['"""a\n"b" \\"""\n# no note\n[x]\n""""', "'''a\n'b' \\\n'''''", '""""""', "''''''", '"""x"""""']


def quotations(text: str) -> list[str]:
    """The text in double quotes, once with escapes, and in single quotes if it can be."""
    escaped = "".join(f"\\U{ord(char):08x}" if ord(char) > 0xFFFF else f"\\u{ord(char):04X}" for char in text)
    return [json.dumps(text, ensure_ascii=False), f'"{escaped}"', *([f"'{text}'"] if "'" not in text else [])]


class Writer:
    """Renders a document in a random style and notes where it put what, as tomli's paths."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.text = ""
        self.keys: dict[Path, int] = {}
        self.values: dict[Path, int] = {}

    def pick(self, options: list[str]) -> str:
        return str(self.draw(st.sampled_from(options)))

    def space(self) -> None:
        self.text += self.pick(["", " ", "\t "])

    def key(self, key: str, path: Path) -> None:
        self.keys.setdefault(path, len(self.text))
        is_bare = bool(key) and all(char in BARE for char in key)
        self.text += self.pick([*quotations(key), *([key] if is_bare else [])])

    def dotted(self, keys: list[str], path: Path) -> None:
        for index, key in enumerate(keys):
            if index:
                self.space()
                self.text += "."
                self.space()
            self.key(key, (*path, *keys[: index + 1]))

    def value(self, path: Path, depth: int) -> None:
        self.values.setdefault(path, len(self.text))
        kind = self.draw(st.sampled_from(["scalar", "string", "lines", *(["list", "table"] if depth else [])]))
        match kind:
            case "scalar":
                self.text += self.pick(SCALARS)
            case "string":
                self.text += self.pick(quotations(self.draw(TEXTS)))
            case "lines":
                self.text += self.pick(MULTILINE)
            case "list":
                self.array(path, depth)
            case _:
                self.table(path, depth)

    def array(self, path: Path, depth: int) -> None:
        self.text += "["
        for index in range(self.draw(st.integers(0, 3))):
            self.text += "," if index else ""
            self.text += self.pick(BLANKS)
            self.keys.setdefault((*path, index), len(self.text))
            self.value((*path, index), depth - 1)
            self.text += self.pick(BLANKS)
        self.text += "]"

    def table(self, path: Path, depth: int) -> None:
        self.text += "{"
        for index, key in enumerate(self.draw(st.lists(KEYS, max_size=3, unique=True))):
            self.text += "," if index else ""
            self.space()
            self.pair([key], path, depth - 1)
        self.text += "}"

    def pair(self, keys: list[str], path: Path, depth: int) -> None:
        self.dotted(keys, path)
        self.space()
        self.text += "="
        self.space()
        start = len(self.text)
        self.value((*path, *keys), depth)
        for length in range(1, len(keys)):
            self.values.setdefault((*path, *keys[:length]), start)

    def body(self, path: Path) -> None:
        for key in self.draw(st.lists(KEYS, max_size=3, unique=True)):
            self.text += self.pick(BLANKS)
            self.space()
            more = self.draw(st.lists(KEYS, max_size=2))
            self.pair([key, *more], path, 2)
            self.text += self.pick(["\n", " # note\n", "\r\n"])

    def heading(self, keys: list[str], path: Path, brackets: int) -> Path:
        start = len(self.text)
        self.text += "[" * brackets
        self.space()
        self.dotted(keys, path)
        self.space()
        self.text += "]" * brackets
        for length in range(1, len(keys) + 1):
            self.values.setdefault((*path, *keys[:length]), start)
        return (*path, *keys)


@st.composite
def documents(draw: Any) -> Writer:
    writer = Writer(draw)
    writer.body(())
    # Headings with a prefix of their own each, so that none stands twice.
    for number in range(draw(st.integers(0, 3))):
        keys = [f"t{number}-", *draw(st.lists(KEYS, max_size=2))]
        if draw(st.booleans()):
            path = writer.heading(keys, (), 1)
            writer.text += writer.pick(["\n", " # [x]\n"])
            writer.body(path)
            continue
        for index in range(draw(st.integers(1, 3))):
            start = len(writer.text)
            path = writer.heading(keys, (), 2)
            writer.values.setdefault((*path, index), start)
            writer.text += "\n"
            writer.body((*path, index))
    return writer


def leaves(value: Any, path: Path = ()) -> list[Path]:
    """The paths of all nodes of a parsed document."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [one for key, inner in items for one in leaves(inner, (*path, key))]


@settings(max_examples=300, deadline=None)
@given(documents())
def test_every_key_and_every_value_is_found_at_its_place(document: Writer) -> None:
    text = document.text
    parsed = tomli.loads(text)
    marks = scan(text)
    assert set(leaves(parsed)) == set(marks)
    assert {path: mark.value[0] for path, mark in marks.items()} == document.values
    named = {path: mark.key[0] for path, mark in marks.items() if path in document.keys}
    assert named == document.keys


@settings(max_examples=200, deadline=None)
@given(documents())
def test_a_value_ends_where_the_next_character_does_not_belong_to_it(document: Writer) -> None:
    text = document.text.replace("\r\n", "\n")
    parsed = tomli.loads(text)
    for path, mark in scan(text).items():
        value: Any = parsed
        for step in path:
            value = value[step]
        if not isinstance(value, (dict, list)):
            again = tomli.loads(f"x = {text[slice(*mark.value)]}")["x"]
            assert repr(again) == repr(value)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(list("ab[]{}=.,#\"'\\\n \t1"))))
def test_the_scanner_survives_any_text(text: str) -> None:
    scan(text)
    lost = lost_at(text)
    assert lost is None or 0 <= lost <= len(text)


def test_only_wanted_paths_are_kept() -> None:
    assert list(scan("a = 1\nb = 2\n", {("b",)})) == [("b",)]


def test_lines_and_columns_are_counted_from_one_in_characters() -> None:
    text = "é = 1\n\tb = 2"
    assert [line_and_column(text, text.index(char)) for char in "1b"] == [(1, 5), (2, 2)]


def test_the_scanner_gets_lost_where_a_string_does_not_end() -> None:
    assert lost_at('a = """x\n"y"\n') == 4
