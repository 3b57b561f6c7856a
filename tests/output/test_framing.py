"""Lines out of chunks: cut anywhere they are the same lines, and they are safe for JSON and for terminals."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procman.output.framing import Framer, for_json, for_terminal
from procman.output.styles import Json, Origin

TEXTS = st.binary(max_size=300) | st.lists(st.sampled_from([b"\n", b"a", "ü".encode(), b"\x1b[31m", b"{}", b"\r"])).map(
    b"".join
)
ORIGIN = Origin("web", 0, 1, 41, "stdout")


def framed(data: bytes, cuts: list[int], max_line: int = 65536) -> bytes:
    framer, out, at = Framer(max_line), b"", 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        if cut > at:
            out += framer.feed(data[at:cut])
            at = cut
    return out + framer.flush()


@given(TEXTS, st.lists(st.integers(0, 1000)))
def test_wherever_it_is_cut_the_lines_are_the_same(data: bytes, cuts: list[int]) -> None:
    assert framed(data, cuts) == (data if data.endswith(b"\n") or not data else data + b"\n")


@given(TEXTS, st.lists(st.integers(0, 1000)))
def test_wherever_it_is_cut_over_long_lines_are_cut_alike(data: bytes, cuts: list[int]) -> None:
    assert framed(data, cuts, 10) == framed(data, [], 10)


@given(TEXTS, st.sampled_from(["merge", "nest", "text"]))
def test_whatever_a_worker_writes_its_lines_are_json(data: bytes, objects: str) -> None:
    lines = framed(data, [])
    if lines:
        made = bytes(Json("shop", ORIGIN, objects).lines(lines, 0))
        found = [json.loads(line) for line in made.split(b"\n")[:-1]]
        assert len(found) == lines.count(b"\n")
        assert {one["group"] for one in found} == {"web"}


@given(TEXTS)
def test_nothing_that_a_worker_writes_reaches_a_terminal_as_a_control(data: bytes) -> None:
    text = for_terminal(framed(data, []), colour=False).decode()
    assert [char for char in text if not char.isprintable() and char not in "\n\t" and ord(char) < 0xA0] == []


@pytest.mark.parametrize(
    ("line", "json_text"),
    [
        (b'a "b" \\ c\n', rb"a \"b\" \\ c"),
        (b"\x88\x00\x1b[2J\n", rb"\\x88\u0000\u001b[2J"),
        ("grün\n".encode(), "grün".encode()),
        (b"tab\there\n", rb"tab\there"),
    ],
)
def test_lines_as_they_stand_in_json(line: bytes, json_text: bytes) -> None:
    assert for_json(line) == json_text + b"\n"


def test_colours_stay_where_they_are_wanted_and_end_with_their_line() -> None:
    assert for_terminal(b"\x1b[31mred\nplain\x1b[2J\n", colour=True) == b"\x1b[31mred\x1b[0m\nplain\\x1b[2J\n"
    assert for_terminal(b"\x1b[31mred\r\n", colour=False) == b"red\n"


def test_a_line_that_is_an_object_is_merged_nested_or_text() -> None:
    line = b'{"level":"info","pid":7}\n'
    made = {
        objects: json.loads(bytes(Json("shop", ORIGIN, objects).lines(line, 0)))
        for objects in ("merge", "nest", "text")
    }
    assert (made["merge"]["level"], made["merge"]["pid"], made["merge"]["pid_"]) == ("info", 41, 7)
    assert made["nest"]["data"] == {"level": "info", "pid": 7}
    assert made["text"]["message"] == '{"level":"info","pid":7}'


def test_a_line_without_an_end_is_cut_with_a_mark_and_takes_no_memory() -> None:
    framer = Framer(1000)
    for _ in range(20):
        assert framer.feed("ü".encode() * 32768) == b""
    assert len(framer.state[0]) == 1000
    assert framer.flush().decode() == "ü" * 500 + "… (1,309,720 bytes cut)\n"
