"""Between the loop and the log: the line that tells a worker's end waits for what the worker has said last.

Only the writing waits, and what is to be written after it, for a tenth of a second at most; nothing that is decided or
done does. What came first stays first, answers to clients included.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from procman.lean import NamedTuple, Protocol
from procman.policy.events import Record, State, Transition, WorkerId
from procman.policy.events.requests import Answer

LONGEST_S = 0.1
Words = tuple[tuple[str, ...], str]
"""The last lines, and what a traceback among them says."""


class Log(Protocol):
    """Who gets the records."""

    def write(self, records: Sequence[Record], at_ns: int | None = None) -> None: ...
    def answer(self, action: Answer) -> None: ...


class Pump(Protocol):
    """Who hears what workers say."""

    said: Callable[[WorkerId, Words], None]

    def owes(self, worker: WorkerId) -> bool: ...


class _Turn(NamedTuple):
    """What one turn of the loop has to say."""

    at_ns: int
    until: float
    records: list[Record]
    answers: list[Answer]
    awaited: set[WorkerId]


class Tails:
    """The log, as the loop sees it."""

    def __init__(self, log: Log, pump: Pump, clock: Callable[[], float]) -> None:
        self._log, self._pump, self._clock = log, pump, clock
        self._turns: deque[_Turn] = deque()
        self._answers: list[Answer] = []
        self._early: dict[WorkerId, Words] = {}
        """Words that were there before the end was told."""
        pump.said = self._said

    @property
    def deadline(self) -> float | None:
        """When to call `due`."""
        return self._turns[0].until if self._turns else None

    def due(self, now: float) -> None:
        """Write what has waited long enough."""
        while self._turns and self._turns[0].until <= now:
            self._release()
        self._go_on()

    def answer(self, action: Answer) -> None:
        """Send an answer in its turn."""
        self._answers.append(action)

    def write(self, records: Sequence[Record], at_ns: int | None = None) -> None:
        """Write the records of a turn, or keep them until the last words are there."""
        answers, self._answers = self._answers, []
        if self._early:
            records = [_with_words(record, self._early) for record in records]
            self._early.clear()
        awaited = {
            record.worker
            for record in records
            if isinstance(record, Transition) and record.exit is not None and self._pump.owes(record.worker)
        }
        if not self._turns and not awaited:
            for answer in answers:
                self._log.answer(answer)
            self._log.write(records, at_ns)
        elif records or answers:
            until = self._clock() + LONGEST_S
            self._turns.append(_Turn(at_ns or time.time_ns(), until, [*records], answers, awaited))

    def close(self, poll: Callable[[float], None]) -> None:
        """Wait, by `poll`, for what is still to come, and write all there is."""
        while self._turns:
            now = self._clock()
            if self._turns[0].until > now:
                poll(self._turns[0].until - now)
            self.due(self._clock())

    def _said(self, worker: WorkerId, words: Words) -> None:
        for turn in self._turns:
            if worker in turn.awaited:
                turn.awaited.discard(worker)
                turn.records[:] = [_with_words(record, {worker: words}) for record in turn.records]
                self._go_on()
                return
        self._early[worker] = words

    def _go_on(self) -> None:
        while self._turns and not self._turns[0].awaited:
            self._release()

    def _release(self) -> None:
        turn = self._turns.popleft()
        for answer in turn.answers:
            self._log.answer(answer)
        self._log.write(turn.records, turn.at_ns)


def _with_words(record: Record, words: Mapping[WorkerId, Words]) -> Record:
    """The record with the last words of its worker, if it is the one that tells of a failed end."""
    if not isinstance(record, Transition) or record.worker not in words or not _tells_of_failure(record):
        return record
    tail, exception = words[record.worker]
    how, semicolon, why = record.reason.partition("; ")
    return record._replace(reason=f"{how}: {exception}{semicolon}{why}" if exception else record.reason, tail=tail)


def _tells_of_failure(record: Transition) -> bool:
    ended_well = record.to in (State.EXITED, State.STOPPED)
    return record.exit is not None and record.exit.exit_code != 0 and not ended_well
