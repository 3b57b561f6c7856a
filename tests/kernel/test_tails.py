"""The line of a worker's end waits for what the worker has said last, and so does what comes after it; but not long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from procman.kernel.tails import LONGEST_S, Tails, Words
from procman.policy.events import Exit, Notice, Record, State, Transition, Usage, WorkerId
from procman.policy.events.requests import Answer, Done

WEB = WorkerId("web", 0, 1)
ENDED = Exit(1, None, 1.0, Usage(0.0, 0))
FAILED = Transition(WEB, 41, State.RUNNING, State.FAILED, "exit status 1; not retried", exit=ENDED)
LATER = Notice("site.stopping", "info", "later")
SAID: Words = (("one", "ValueError: two"), "ValueError: two")


class Played:
    """A log, a pump that owes words of whom it is told, and a clock that is set."""

    def __init__(self, *owed: WorkerId) -> None:
        self.written: list[str] = []
        self.said: Callable[[WorkerId, Words], None]
        self._owed = owed
        self.now = 0.0
        self.tails = Tails(self, self, lambda: self.now)

    def owes(self, worker: WorkerId) -> bool:
        return worker in self._owed

    def write(self, records: Sequence[Record], at_ns: int | None = None) -> None:
        assert at_ns is not None
        self.written += [f"{record.reason} {list(getattr(record, 'tail', ()))} {at_ns}" for record in records]

    def answer(self, action: Answer) -> None:
        self.written.append(f"answer {action.client}")


def test_the_end_has_the_last_words_and_what_comes_after_it_stays_after_it() -> None:
    play = Played(WEB)
    play.tails.write([FAILED], 1)
    play.tails.answer(Answer(7, Done()))
    play.tails.write([LATER], 2)
    assert play.written == []
    play.said(WEB, SAID)
    end = "exit status 1: ValueError: two; not retried ['one', 'ValueError: two'] 1"
    assert play.written == [end, "answer 7", "later [] 2"]
    assert play.tails.deadline is None


def test_words_that_come_first_are_kept_for_the_end() -> None:
    play = Played()
    play.said(WEB, SAID)
    play.tails.write([FAILED], 1)
    assert play.written == ["exit status 1: ValueError: two; not retried ['one', 'ValueError: two'] 1"]


def test_words_that_never_come_are_not_waited_for_longer_than_a_tenth_of_a_second() -> None:
    play = Played(WEB)
    play.tails.write([FAILED], 1)
    play.tails.write([LATER], 2)
    assert play.tails.deadline == LONGEST_S == 0.1
    play.now = LONGEST_S / 2
    play.tails.due(play.now)
    assert play.written == []
    play.now = LONGEST_S
    play.tails.due(play.now)
    assert play.written == ["exit status 1; not retried [] 1", "later [] 2"]
    play.said(WEB, SAID)  # too late


def test_the_end_of_who_owes_nothing_is_written_at_once() -> None:
    play = Played()
    play.tails.write([FAILED, LATER], 1)
    assert play.written == ["exit status 1; not retried [] 1", "later [] 1"]
