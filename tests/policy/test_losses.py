"""The account of lines that were not written: exact over outlets and pumps that count from the beginning again."""

from __future__ import annotations

from procman.policy.events import Notice, OutputLost
from procman.policy.helpers.losses import Losses
from procman.policy.step import Step


def told(*facts: OutputLost) -> tuple[Losses, list[tuple[str, int, int]]]:
    """The account after these, and the lines of the log: event, lines and bytes."""
    losses, step = Losses(), Step(0.0)
    for fact in facts:
        losses.hear(fact, step)
    notices = [record for record in step.records if isinstance(record, Notice)]
    return losses, [(notice.event, notice.fields["lines"], notice.fields["bytes"]) for notice in notices]


def test_a_loss_is_told_when_it_begins_and_when_it_is_over_and_every_line_counts_once() -> None:
    losses, events = told(
        OutputLost("/l", 10, 1000, "no space left on device", False),
        OutputLost("/l", 25, 2500, "no space left on device", False),
        OutputLost("/l", 0, 0, "no space left on device", True),
    )
    assert events == [("output.lost", 10, 1000), ("output.resumed", 35, 3500)]
    assert (losses.lines, losses.bytes) == (35, 3500)


def test_what_another_pump_loses_is_added_whether_it_is_less_or_more() -> None:
    facts = [OutputLost("/l", lines, 10 * lines, "no space left on device", True) for lines in (10, 3, 50)]
    losses, events = told(*facts, OutputLost("stdout", 1, 5, "nobody took them in time", False))
    assert [event for event in events if event[0] == "output.resumed"] == [
        ("output.resumed", 10, 100), ("output.resumed", 13, 130), ("output.resumed", 63, 630),
    ]  # fmt: skip
    assert (losses.lines, losses.bytes) == (64, 635)


def test_a_pump_after_a_killed_one_ends_the_loss_that_it_finds_and_begins_none() -> None:
    well = OutputLost("/l", 0, 0, "", True)
    losses, events = told(well, OutputLost("/l", 10, 1000, "no space left on device", False), well, well)
    assert events == [("output.lost", 10, 1000), ("output.resumed", 10, 1000)]
    assert (losses.lines, losses.bytes) == (10, 1000)
