"""What is due in a simulated world, and when; what is due at one instant comes in random order."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from procman.kernel.world.escaped import Farewell
from procman.kernel.world.nursery import Import
from procman.kernel.world.script import Conduct, End, Incident
from procman.plan import Health
from procman.plan import Ready as ReadyRule
from procman.policy.events import (
    Checked,
    Execed,
    Extended,
    Loaded,
    LoadFailed,
    MainPid,
    Outgrown,
    Ready,
    Said,
    StartFailed,
    Unready,
    Weigh,
    WorkerId,
)

if TYPE_CHECKING:
    from random import Random


News: TypeAlias = Execed | StartFailed | Ready | Unready | Checked | Said | Extended | MainPid | Outgrown
"""What a process can be heard of."""


class Process:
    """A leader, and what is left of its tree once it has ended."""

    __slots__ = ("conduct", "outgrows", "pid", "reaped", "rest", "worker")

    def __init__(self, worker: WorkerId, pid: int, conduct: Conduct) -> None:
        self.worker = worker
        self.pid = pid
        self.conduct = conduct
        self.rest = conduct.rest
        self.outgrows = conduct.outgrows
        self.reaped = False
        """The leader is; `rest` may still be there."""

    def words(self, rule: ReadyRule | None) -> Iterator[tuple[float, News]]:
        """What it says of itself, and how long after its program has begun; of its readiness as far as it is to."""
        conduct, why = self.conduct, "it says so"
        for after, word in conduct.words:
            yield after, Extended(self.worker, word) if isinstance(word, float) else Said(self.worker, word, word)
        for after in conduct.hands_over:
            yield after, MainPid(self.worker, 0)  # somebody who has no number yet
        if rule is None or rule.by == "delay":
            return
        if conduct.ready_after is not None:
            for after, well in ((0.0, True), *conduct.moods):
                fact = Ready(self.worker, why) if well else Unready(self.worker, why)
                yield conduct.ready_after + after, fact
        elif conduct.gives_up:
            yield 0.25, Unready(self.worker, why)

    def checked(self, rule: Health) -> Iterator[tuple[float, News]]:
        """What its health checks find, and how long from now."""
        for number, well in enumerate(self.conduct.checks, 1):
            fact = Checked(self.worker, well, "well" if well else "no answer")
            yield rule.start_after + number * rule.interval, fact

    def weighed(self, action: Weigh) -> Iterator[tuple[float, News]]:
        """What is told of a limit that it reaches, and how long from now."""
        if self.outgrows and action.after is not None:
            self.outgrows -= 1
            yield action.after, Outgrown(self.worker)
        if self.outgrows and action.rss is not None:
            self.outgrows -= 1
            yield 0.5, Outgrown(self.worker, action.rss + 1)


class Death(NamedTuple):
    """The end of a leader."""

    process: Process
    end: End


class Clearance(NamedTuple):
    """The end of what a leader left behind."""

    process: Process


class Word(NamedTuple):
    """News over the exec-error pipe, what it says, and what checks find."""

    process: Process
    fact: News


Due: TypeAlias = Incident | Loaded | LoadFailed | Death | Clearance | Word | Farewell | Import


class Timetable:
    """A heap of what is due, by its time and a draw."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._heap: list[tuple[float, float, int, Due]] = []
        self._serial = 0

    @property
    def next(self) -> tuple[float, float] | None:
        """The least time and its draw, to be compared with those of a deadline; None if nothing is due ever."""
        return self._heap[0][:2] if self._heap else None

    def schedule(self, time: float, due: Due) -> None:
        """Have it come at this time."""
        self._serial += 1
        heappush(self._heap, (time, self._random.random(), self._serial, due))

    def pop(self) -> tuple[float, Due]:
        """The next one, taken out."""
        time, _, _, due = heappop(self._heap)
        return time, due
