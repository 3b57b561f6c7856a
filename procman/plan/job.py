"""When a job runs, other than once."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from procman.choices import Overlap


class Schedule(NamedTuple):
    """By a calendar, or again and again; one of `cron` and `every`."""

    cron: str | None = None
    """Five fields: minute, hour, day of month, month, day of week."""
    timezone: str | None = None
    """Of `cron`; None: the machine's."""
    every: float | None = None
    """Seconds from one start to the next; the first is at once."""
    overlap: Overlap = "skip"
    """What happens when a run is due and the last one goes on: it is left out, it waits, or it replaces the last."""
