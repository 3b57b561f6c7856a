"""Real processes, weighed: told when they are old, and when they have grown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from time import monotonic

import pytest

from procman.kernel.health.scales import Scales, resident
from procman.kernel.wait.alarms import Alarms
from procman.policy.events import Event, Outgrown, Weigh, WorkerId

WORKER = WorkerId("a", 0, 1)
GROWS = "import sys; print(flush=True); sys.stdin.readline(); held = b'x' * (64 << 20); print(flush=True); input()"


class Desk:
    """Alarms, rung by hand."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.alarms = Alarms()
        self.scales = Scales(self.alarms, self.told.append)

    def ring(self, seconds: float) -> None:
        """So much later."""
        self.alarms.due(monotonic() + seconds)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        one.stdout.readline()
        yield one
        one.kill()


def grow(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()


def test_one_that_has_grown_is_told_at_each_look_and_one_that_has_not_is_left_alone(
    process: subprocess.Popen[bytes],
) -> None:
    desk = Desk()
    desk.scales.weigh(Weigh(WORKER, process.pid, None, 60 << 20))
    desk.ring(11.0)
    assert desk.told == []
    grow(process)
    desk.ring(11.0)
    desk.ring(11.0)
    assert [isinstance(one, Outgrown) and one.rss is not None and one.rss > 60 << 20 for one in desk.told] == [True] * 2


def test_age_is_told_once_and_not_before() -> None:
    desk = Desk()
    desk.scales.weigh(Weigh(WORKER, 1, 60.0, None))
    desk.ring(59.0)
    assert desk.told == []
    desk.ring(61.0)
    desk.ring(1000.0)
    assert desk.told == [Outgrown(WORKER)]


def test_another_rule_and_the_end_of_the_worker_cancel_what_was_set() -> None:
    desk = Desk()
    desk.scales.weigh(Weigh(WORKER, 1, 60.0, 1))
    desk.scales.weigh(Weigh(WORKER, 1, 100.0, None))
    desk.ring(61.0)
    assert desk.told == []
    desk.scales.ended(WORKER)
    desk.ring(1000.0)
    assert (desk.told, desk.alarms.deadline) == ([], None)


def test_a_process_that_is_no_more_weighs_nothing_and_is_looked_at_no_more(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert resident(process.pid) is None
    desk = Desk()
    desk.scales.weigh(Weigh(WORKER, process.pid, None, 1))
    desk.ring(11.0)
    assert (desk.told, desk.alarms.deadline) == ([], None)
