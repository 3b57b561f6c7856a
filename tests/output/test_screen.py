"""The view for people at 80 columns, byte for byte: with colours, without, and with the time."""

from __future__ import annotations

from procman.output.styles import Column, Origin, Prefix

WEB, LONG = Origin("web", 0, 1, 41, "both"), Origin("a-group-with-a-very-long-name", 12, 1, 42, "both")
SAID = b"GET / 200\n\x1b[31mred\x1b[0m alert\n\x1b[2Jcleared\n"


def screen(colour: bool, timestamps: bool = False) -> str:
    column = Column()
    web, long = (Prefix(origin, column, colour=colour, timestamps=timestamps) for origin in (WEB, LONG))
    shown = bytes(web.lines(SAID, 0)) + bytes(long.lines(b"started\n", 0)) + web.note("… 3 lines lost", 0, {})
    return shown.decode()


def test_without_colours() -> None:
    lines = screen(False).splitlines()
    assert [line.split(" | ", 1)[1] for line in lines] == [
        "GET / 200", "red alert", "\\x1b[2Jcleared", "started", "… 3 lines lost",
    ]  # fmt: skip
    assert {line.index(" | ") for line in lines} == {24}
    assert all(len(line) <= 80 for line in lines)
    assert lines[3].startswith("a-group-with…")


def test_with_colours_each_group_has_its_own_and_a_line_ends_with_a_reset() -> None:
    lines = screen(True).splitlines()
    assert lines[0] == f"\x1b[36m{'web.0':<24} |\x1b[0m GET / 200"
    assert lines[1].endswith("| \x1b[31mred\x1b[0m alert\x1b[0m".replace("| ", "|\x1b[0m "))
    assert lines[2].endswith("\\x1b[2Jcleared")
    assert lines[3].startswith("\x1b[33ma-group-with…")


def test_with_the_time() -> None:
    assert screen(False, timestamps=True).splitlines()[0][8:13] == ".000 "
