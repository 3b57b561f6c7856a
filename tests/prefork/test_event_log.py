"""`log=`: procman's own event log, line for line as a site writes it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from procman.log.fields import schema
from tests.prefork.program import events, program, run

BODY = """
    task = fork_processes(2, backoff={{"initial": "50ms", "factor": 3, "jitter": 0}}, log={log})
    if task == 1 and (once("first") or once("second") or once("third")):
        os._exit(1)
    """


@pytest.mark.parametrize("log", ['"events"', 'os.open("events", os.O_CREAT | os.O_WRONLY)'])
def test_every_line_is_one_that_the_schema_allows(tmp_path: Path, log: str) -> None:
    run(BODY.format(log=log), tmp_path)
    validator = Draft202012Validator(schema())
    lines = events(tmp_path / "events")
    assert [error.message for line in lines for error in validator.iter_errors(line)] == []
    assert [line["event"] for line in lines][:: len(lines) - 1] == ["site.started", "site.stopped"]
    assert {line["site"] for line in lines} == {"python"}


def test_restarts_wait_as_the_backoff_says(tmp_path: Path) -> None:
    run(BODY.format(log='"events"'), tmp_path)
    waits = [line for line in events(tmp_path / "events") if line["event"] == "worker.backoff"]
    assert [(line["task"], line["delay_s"], line["budget_left"]) for line in waits] == [
        (1, 0.0, 99),
        (1, 0.05, 98),
        (1, 0.15, 97),
    ]


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that takes nothing more until somebody reads; the reading end is the test's to close."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write, 4095 * b" " + b"\n")
    os.set_blocking(write, True)
    yield read, write
    for fd in (read, write):
        with suppress(OSError):
            os.close(fd)


def lines_of(read: int) -> list[dict[str, Any]]:
    """What comes out of a pipe until nobody has it open for writing."""
    with os.fdopen(read, encoding="utf-8") as log:
        return [json.loads(line) for line in log if line.strip()]


def test_a_pipe_that_nobody_reads_makes_nobody_wait(tmp_path: Path, full_pipe: tuple[int, int]) -> None:
    body = f"""
        fork_processes(1, log={full_pipe[1]})
        say("ready")
        signal.pause()
        """
    with program(body, tmp_path, fds=full_pipe[1:]) as it:
        it.wait_for("ready")
        it.signal(signal.SIGTERM)
        assert (it.rest(), it.code) == ([], -signal.SIGTERM)


def test_a_child_writes_nothing_of_what_its_parent_still_has_to_write(
    tmp_path: Path, full_pipe: tuple[int, int]
) -> None:
    """Room comes when the restarted child exists, and is not yet back from the call."""
    read, write = full_pipe
    body = f"""
        os.register_at_fork(after_in_child=lambda: say("forked"))
        fork_processes(1, log={write})
        if once("failed"):
            os._exit(1)
        """
    with program(body, tmp_path, fds=(write,)) as it:
        os.close(write)
        it.wait_for("forked")
        it.wait_for("forked")
        lines = lines_of(read)
        it.rest()
    moves = [(line["event"], line["generation"]) for line in lines if line["event"].startswith("worker.")]
    assert moves == [
        ("worker.starting", 1), ("worker.running", 1), ("worker.backoff", 1),
        ("worker.starting", 2), ("worker.running", 2), ("worker.exited", 2),
    ]  # fmt: skip


def test_what_is_not_yet_written_at_the_end_is_waited_for_a_second(tmp_path: Path, full_pipe: tuple[int, int]) -> None:
    read, write = full_pipe
    body = f"""
        tell()
        fork_processes(1, log={write})
        """
    with program(body, tmp_path, fds=(write,)) as it:
        os.close(write)
        it.wait_for("tornado.general INFO child 0 (pid PID) exited normally")
        lines = lines_of(read)
        assert (it.rest(), it.code) == ([], 0)
    assert [line["event"] for line in lines][-2:] == ["worker.exited", "site.stopped"]


def test_a_pipe_gets_every_line_of_a_flood_of_restarts(tmp_path: Path) -> None:
    read, write = os.pipe()
    with program(f"fork_processes(2, log={write}); os._exit(1)", tmp_path, fds=(write,)) as it:
        os.close(write)
        lines = lines_of(read)
        it.rest()
        assert it.code == 1
    assert sum(line["event"] == "worker.backoff" for line in lines) == 100
    assert [line["event"] for line in lines][-1] == "site.stopped"


@pytest.mark.parametrize(("log", "error"), [('"no/such/directory"', "FileNotFoundError"), ("999", "OSError")])
def test_a_log_that_cannot_be_opened_is_an_error_before_anything_is_forked(
    tmp_path: Path, log: str, error: str
) -> None:
    ended = run(f"fork_processes(1, log={log})", tmp_path)
    assert ([*ended], ended.code, ended.err.splitlines()[-1].partition(":")[0]) == ([], 1, error)
