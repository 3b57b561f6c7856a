"""Who has left its worker's tree is counted, and told when it becomes more."""

from __future__ import annotations

from procman.policy.events import Notice, Strays
from procman.policy.site.census import Census
from procman.policy.step import Step


def told(*numbers: int) -> list[tuple[int, int]]:
    """The number after each fact, and how many lines of the log it made."""
    census, found = Census(), []
    for number in numbers:
        step = Step(0.0)
        census.hear(Strays(number, "redis-server (pid 41)"), step)
        assert all(isinstance(record, Notice) and record.event == "site.strays" for record in step.records)
        found.append((census.strays, len(step.records)))
    return found


def test_only_more_strays_than_ever_before_are_worth_a_line() -> None:
    assert told(1, 0, 1, 3, 2) == [(1, 1), (0, 0), (1, 0), (3, 1), (2, 0)]
