"""The core's side of a real pump: one after the other, killed at the worst of moments, and the end of the site."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from procman.kernel.output.captured import Run
from procman.kernel.output.pump import Pump
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import Poller
from procman.plan import Output, Sink
from procman.policy.events import PumpRules, WorkerId

DEADLINE_S = 60.0
ORDER = PumpRules("shop", 65536)


class Pumps:
    """The pumps of a site with one worker, whose lines go to a fifo that is read here."""

    def __init__(self, folder: Path) -> None:
        self.told: list[object] = []
        self.poller = Poller()
        self.pump = Pump(self.poller, Spawner(), self.told.append, self.told.append)
        os.mkfifo(folder / "lines")
        self._lines = os.open(folder / "lines", os.O_RDWR | os.O_NONBLOCK)  # it never ends
        file = Sink("file", str(folder / "lines"))
        self.run = Run(1, WorkerId("web", 0, 1), Output(file, file))
        self.pump.follow(ORDER)
        self.pump.expect(self.run)
        self.run.pid = os.getpid()
        self.pump.open(self.run)

    def write(self, text: str) -> None:
        """What the worker does."""
        end = self.run.end_of("stdout")
        assert end is not None
        os.write(end, text.encode())

    def until(self, text: str) -> str:
        """Wait until this has been written: all that was."""
        got = ""
        while text not in got:
            assert select.select([self._lines], [], [], DEADLINE_S)[0], f"{text!r} never came, but {got!r}"
            got += os.read(self._lines, 65536).decode()
        return got

    def end(self, number: int) -> int:
        """Signal the pump that runs, and have it reaped: its exit code."""
        pid = self.pump.pid
        assert pid is not None
        os.kill(pid, number)
        _, status = os.waitpid(pid, 0)
        self.pump.ended()
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """The end of the site."""
        self.pump.close()
        self.poller.close()

    def rest(self) -> str:
        """What has been written since."""
        try:
            return os.read(self._lines, 65536).decode()
        except BlockingIOError:
            return ""
        finally:
            os.close(self._lines)


@pytest.fixture
def pumps(tmp_path: Path) -> Iterator[Pumps]:
    yield (made := Pumps(tmp_path))
    assert made.told == []


def test_what_a_pump_has_said_and_nobody_has_read_is_no_error_at_the_end(pumps: Pumps) -> None:
    pumps.write("one\n")
    pumps.pump.end(pumps.run)
    pumps.until("one\n")
    pumps.close()
    assert pumps.rest() == ""


def test_pumps_that_are_ended_before_their_first_instruction_lose_and_repeat_nothing(pumps: Pumps) -> None:
    pumps.write("one\ntw")
    assert pumps.until("one\n") == "one\n"
    assert pumps.end(signal.SIGTERM) == 0
    for number, code in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        pumps.pump.follow(ORDER)
        assert pumps.end(number) == code
    pumps.pump.follow(ORDER)
    pumps.write("o\n")
    assert pumps.until("two\n") == "two\n"
    pumps.close()
    assert pumps.rest() == ""


def test_a_site_that_ends_while_there_is_no_pump_has_all_written(pumps: Pumps) -> None:
    pumps.write("one\ntw")
    assert pumps.until("one\n") == "one\n"
    assert pumps.end(signal.SIGTERM) == 0
    pumps.write("o\nthr")
    pumps.close()
    assert pumps.rest() == "two\nthr\n"
