"""Where the log goes and in which form: what the command line, the plan and the terminal say."""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from procman.choices import LogFormat
from procman.kernel.wait.poller import Poller
from procman.log import Log
from procman.plan import LogPlan
from procman.policy.events import Record
from procman.screen import wants_colour
from tests.log.lines import CRASH, RECORDS, parsed

RUNNING = RECORDS["running"]


class Ends:
    """A stream for the log to write to, and what has come out of it."""

    def __init__(self, read: int, write: int) -> None:
        self.read, self.write = read, write
        os.set_blocking(read, False)

    def text(self) -> str:
        try:
            return os.read(self.read, 1 << 16).decode().replace("\r\n", "\n")
        except BlockingIOError:
            return ""


@pytest.fixture
def pipe() -> Iterator[Ends]:
    ends = Ends(*os.pipe())
    yield ends
    os.close(ends.read)
    os.close(ends.write)


@pytest.fixture
def terminal() -> Iterator[Ends]:
    ends = Ends(*os.openpty())
    termios.tcsetwinsize(ends.write, (24, 80))
    yield ends
    os.close(ends.read)
    os.close(ends.write)


def said(ends: Ends, *records: Record, form: LogFormat | None = None, plan: LogPlan | None = None) -> str:
    """What a log of its own writes there."""
    poller = Poller()
    log = Log(poller, ends.write, form, colour=False)
    if plan is not None:
        log.configure("shop", plan)
    log.write(records)
    poller.poll(0)
    text = ends.text()
    log.close()
    return text


def is_json(text: str) -> bool:
    return text.startswith("{")


@pytest.mark.parametrize(
    ("command_line", "plan", "on_pipe", "on_terminal"),
    [
        (None, "auto", "json", "human"),
        (None, "json", "json", "json"),
        (None, "human", "human", "human"),
        ("auto", "human", "json", "human"),
        ("json", "human", "json", "json"),
        ("human", "json", "human", "human"),
    ],
)
def test_the_form_is_what_the_command_line_says_then_the_plan_then_the_stream(
    command_line: LogFormat | None, plan: LogFormat, on_pipe: str, on_terminal: str, pipe: Ends, terminal: Ends
) -> None:
    texts = [said(ends, RUNNING, form=command_line, plan=LogPlan(plan)) for ends in (pipe, terminal)]
    assert [is_json(text) for text in texts] == [on_pipe == "json", on_terminal == "json"]


def test_the_site_has_no_name_until_a_plan_gives_it_one(pipe: Ends) -> None:
    assert [parsed(said(pipe, RUNNING, plan=plan).encode())["site"] for plan in (None, LogPlan())] == [None, "shop"]


def test_lines_are_shortened_to_the_width_that_the_terminal_has_now(terminal: Ends) -> None:
    poller = Poller()
    log = Log(poller, terminal.write, colour=False)
    widths = []
    for columns in (80, 70, 200):
        termios.tcsetwinsize(terminal.write, (24, columns))
        log.write([RECORDS["cannot start"]])
        poller.poll(0)
        widths.append(len(terminal.text().rstrip("\n")))
    assert widths == [80, 70, 131]
    log.close()


@pytest.mark.parametrize(
    ("environment", "on_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_the_environment_says_whether_there_are_colours(
    environment: dict[str, str], on_terminal: bool, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (wants_colour(True), wants_colour(False)) == (on_terminal, elsewhere)


def test_a_plan_moves_the_log_to_a_file_and_says_so_where_it_was(pipe: Ends, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    moved = parsed(said(pipe, CRASH, plan=LogPlan(file=str(path))).encode())
    (line,) = path.read_bytes().splitlines(keepends=True)
    assert (moved["event"], moved["file"]) == ("log.moved", str(path))
    assert (parsed(line)["event"], path.stat().st_mode & 0o7777 & ~0o644) == ("worker.backoff", 0)


def test_a_file_that_cannot_be_opened_leaves_the_log_where_it_is(pipe: Ends, tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "events.jsonl")
    failed, crash = [parsed(line.encode() + b"\n") for line in said(pipe, CRASH, plan=LogPlan(file=path)).splitlines()]
    assert failed["reason"] == f"cannot open {path}: No such file or directory"
    assert crash["event"] == "worker.backoff"


def test_a_plan_without_a_file_brings_the_log_back(pipe: Ends, tmp_path: Path) -> None:
    poller = Poller()
    log = Log(poller, pipe.write)
    log.configure("shop", LogPlan(file=str(tmp_path / "events.jsonl")))
    pipe.text()
    log.configure("shop", LogPlan())
    log.write([CRASH])
    poller.poll(0)
    assert parsed(pipe.text().encode())["event"] == "worker.backoff"
    log.close()


def test_reopened_after_the_file_was_moved_away_it_begins_a_new_one(pipe: Ends, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = Log(Poller(), pipe.write)
    log.configure("shop", LogPlan(file=str(path)))
    log.write([RUNNING])
    old = path.rename(tmp_path / "events.jsonl.1")
    log.write([RUNNING])
    log.reopen()
    log.write([CRASH])
    log.close()
    assert [len(file.read_bytes().splitlines()) for file in (old, path)] == [2, 1]


def test_lines_that_nobody_took_are_told_as_an_event(pipe: Ends) -> None:
    poller = Poller()
    log = Log(poller, pipe.write)
    sent = 8000
    for _ in range(sent):
        log.write([RUNNING])
    text = ""
    while chunk := pipe.text():
        text += chunk
        poller.poll(0)  # the reader reads again, so the log goes on
    lines = text.splitlines(keepends=True)
    (lost,) = [parsed(line.encode()) for line in lines if '"log.lost"' in line]
    assert len(lines) - 1 + lost["lines"] == sent
    log.close()


def test_the_lines_of_one_turn_of_the_loop_are_written_together_before_it_sleeps(pipe: Ends) -> None:
    poller = Poller()
    log = Log(poller, pipe.write)
    log.write([RUNNING])
    log.write([CRASH])
    before = pipe.text()
    poller.poll(0)
    assert (before, len(pipe.text().splitlines())) == ("", 2)
    log.close()


def test_lines_are_written_at_the_latest_when_they_fill_one_write(pipe: Ends) -> None:
    log = Log(Poller(), pipe.write)
    size = 0
    while not (text := pipe.text()):
        log.write([CRASH])
        size += 1
    assert len(text.splitlines()) == size > 1
    log.close()


def test_what_was_said_before_the_log_moves_stays_where_it_was_said(tmp_path: Path, pipe: Ends) -> None:
    paths = [tmp_path / name for name in ("one", "two")]
    log = Log(Poller(), pipe.write)
    for path in paths:
        log.configure("shop", LogPlan(file=str(path)))
        log.write([RUNNING])
    log.close()
    events = [[parsed(line + b"\n")["event"] for line in path.read_bytes().splitlines()] for path in paths]
    assert events == [["worker.running", "log.moved"], ["worker.running"]]
