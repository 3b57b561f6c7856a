"""What becomes of what a worker says by sd_notify: facts, each told when it is new; over a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from procman.kernel.health.speech import LONGEST_STATUS, Speech
from procman.kernel.wait.alarms import Alarms
from procman.kernel.wait.poller import Poller
from procman.plan import Health, Launch, Ready
from procman.policy.events import Checked, Event, Extended, Said, Spawn, WorkerId

WORKER = WorkerId("a", 0, 1)
DEADLINE_S = 60.0


class Room:
    """A worker that speaks, and what is told of it."""

    def __init__(self, folder: Path, health: Health | None = None) -> None:
        self.poller, self.alarms, self.path = Poller(), Alarms(), str(folder / "1")
        self.told: list[Event | tuple[bool, str]] = []
        spawn = Spawn(WORKER, Launch(("run",), "/"), Ready("notify"), health)
        self.named: list[str] = []
        self.speech = Speech(
            self.poller,
            self.alarms,
            self.path,
            spawn,
            self.told.append,
            lambda *one: self.told.append(one),
            self.named.append,
        )
        self.speech.led_by(os.getpid())

    def say(self, *messages: str) -> list[Event | tuple[bool, str]]:
        """Say this in the name of this very process: what is told then, and was not before."""
        self.told.clear()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            for message in messages:
                sock.sendto(message.encode(), self.path)
        self.poller.poll(0)
        return [*self.told]

    def until(self, done: Callable[[], bool]) -> None:
        end = monotonic() + DEADLINE_S
        while not done():
            now = monotonic()
            assert now < end, f"it never came: {self.told}"
            self.alarms.due(now)
            if not done():
                self.poller.poll(max(0.0, min(self.alarms.deadline or end, end) - now))

    def close(self) -> None:
        self.speech.close()
        self.poller.close()
        assert self.alarms.deadline is None


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.close()


def test_its_own_words_are_told_when_they_are_new_as_one_line_that_can_be_shown(room: Room) -> None:
    assert room.say("STATUS=\x1b[31m7\u202e clients\t ") == [Said(WORKER, "[31m7  clients", "")]
    assert room.say("STATUS=\x1b[31m7\u202e clients\t ") == []
    (long,) = room.say("STATUS=" + "x" * 1000)
    assert long == Said(WORKER, "x" * LONGEST_STATUS, "")
    assert room.say("STATUS=") == [Said(WORKER, "", "")]


def test_the_last_of_ready_reloading_and_stopping_counts(room: Room) -> None:
    assert room.say("READY=1") == [(True, "it says that it is ready")]
    assert room.say("RELOADING=1\nMONOTONIC_USEC=1") == [Said(WORKER, "", "reloading")]
    assert room.say("READY=1") == [Said(WORKER, "", ""), (True, "it says that it is ready")]
    assert room.say("RELOADING=1", "READY=1") == [(True, "it says that it is ready")]
    assert room.say("READY=1", "RELOADING=1") == [Said(WORKER, "", "reloading"), (True, "it says that it is ready")]
    stops = [Said(WORKER, "bye", "stopping"), (False, "it says that it is stopping")]
    assert room.say("STOPPING=1\nSTATUS=bye") == stops


def test_one_that_is_ready_and_stopping_in_one_breath_was_ready_first(room: Room) -> None:
    ready, stopping = (True, "it says that it is ready"), (False, "it says that it is stopping")
    assert room.say("READY=1", "STOPPING=1") == [Said(WORKER, "", "stopping"), ready, stopping]
    assert room.say("STOPPING=1\nREADY=1") == [Said(WORKER, "", ""), stopping, ready]


def test_more_time_is_asked_for_in_microseconds_and_nonsense_is_not_heard(room: Room) -> None:
    assert room.say("EXTEND_TIMEOUT_USEC=2500000") == [Extended(WORKER, 2.5)]
    for word in ("", "-1", "1e6", "\u0661", "9" * 21, "infinity"):
        assert room.say(f"EXTEND_TIMEOUT_USEC={word}") == []


def test_the_main_pid_is_told_once_for_each_that_it_names(room: Room) -> None:
    room.say("READY=1\nMAINPID=7", "MAINPID=7")
    room.say("MAINPID=7")
    room.say("MAINPID=8")
    assert room.named == ["7", "8"]


def test_its_watchdog_waits_for_as_long_as_it_asks_for(tmp_path: Path) -> None:
    health = Health("watchdog", interval=0.1)
    room, began = Room(tmp_path, health), monotonic()
    room.speech.watch(health)
    room.say("EXTEND_TIMEOUT_USEC=700000")
    room.told.clear()
    room.until(lambda: bool(room.told))
    assert monotonic() - began >= 0.7
    assert room.told == [Checked(WORKER, False, "it has not said for 100ms that it is alive")]
    room.close()
