"""The calendar: whose turn it is at which instant, also where clocks are set, machines sleep, and summer begins."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from datetime import datetime
from zoneinfo import ZoneInfo

from procman.scheduler import LATE_S, MOST_MISSED, Calendar, Job, Timer, Turn, zone_of

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def instants(cron: str, zone: str, start: str, count: int) -> list[str]:
    """When it is due, in that zone's own time, from a start in UTC."""
    job, found = Job(cron, zone, at(start)), []
    for _ in range(count):
        assert job.next is not None
        found.append(datetime.fromtimestamp(job.next, ZoneInfo(zone)).isoformat())
        assert job.turn(job.next) == Turn(0, True)
    return found


def test_an_instant_is_told_once_and_not_before_its_time() -> None:
    job = Job("*/5 * * * *", "UTC", at("2024-05-01T12:00:00"))
    assert job.turn(at("2024-05-01T12:04:59")) is None
    assert job.turn(at("2024-05-01T12:05:00")) == Turn(0, True)
    assert job.turn(at("2024-05-01T12:05:30")) is None
    assert job.next == at("2024-05-01T12:10:00")


def test_what_is_late_by_less_than_a_minute_runs_and_what_is_later_was_missed() -> None:
    job = Job("0 * * * *", "UTC", at("2024-05-01T12:00:00"))
    assert job.turn(at("2024-05-01T13:00:00") + LATE_S - 1) == Turn(0, True)
    assert job.turn(at("2024-05-01T14:00:00") + LATE_S) == Turn(1, False)


def test_a_sleep_of_hours_is_told_as_one_number_of_missed_runs() -> None:
    job = Job("0 * * * *", "UTC", at("2024-05-01T12:00:00"))
    assert job.turn(at("2024-05-01T20:30:00")) == Turn(8, False)
    assert job.turn(at("2024-05-01T22:00:10")) == Turn(1, True)
    assert job.next == at("2024-05-01T23:00:00")


def test_a_clock_that_jumps_by_years_costs_no_endless_count() -> None:
    job = Job("* * * * *", "UTC", at("1970-01-02T00:00:00"))
    turn = job.turn(at("2024-05-01T12:00:30"))
    assert turn is not None
    assert turn.missed + turn.now == MOST_MISSED + 1
    assert job.next == at("2024-05-01T12:01:00")


def test_in_spring_a_daily_job_of_the_hour_that_is_not_there_runs_once() -> None:
    assert instants("30 2 * * *", BERLIN, "2024-03-30T00:00:00", 3) == [
        "2024-03-30T02:30:00+01:00",
        "2024-03-31T03:00:00+02:00",
        "2024-04-01T02:30:00+02:00",
    ]


def test_in_autumn_a_daily_job_of_the_hour_that_comes_twice_runs_once_and_one_of_every_hour_each_time() -> None:
    assert instants("30 2 * * *", BERLIN, "2024-10-26T12:00:00", 2) == [
        "2024-10-27T02:30:00+02:00",
        "2024-10-28T02:30:00+01:00",
    ]
    assert instants("30 * * * *", BERLIN, "2024-10-26T23:00:00", 4) == [
        "2024-10-27T01:30:00+02:00",
        "2024-10-27T02:30:00+02:00",
        "2024-10-27T02:30:00+01:00",
        "2024-10-27T03:30:00+01:00",
    ]


def test_a_clock_put_back_a_little_repeats_no_run_and_put_back_far_counts_anew() -> None:
    calendar = Calendar()
    calendar.follow([["a", "0 * * * *", "UTC"]], None, at("2024-05-01T11:30:00"))
    assert [*calendar.look(at("2024-05-01T12:00:00"))] == [("a", Turn(0, True))]
    assert [*calendar.look(at("2024-05-01T11:59:00"))] == []
    assert [*calendar.look(at("2024-05-01T12:00:05"))] == []
    assert calendar.next == at("2024-05-01T13:00:00")
    assert [*calendar.look(at("2024-05-01T06:30:00"))] == []
    assert calendar.next == at("2024-05-01T07:00:00")


def test_a_new_calendar_leaves_those_that_it_had_before_as_they_are() -> None:
    calendar = Calendar()
    hourly: list[str | None] = ["a", "0 * * * *", "UTC"]
    calendar.follow([hourly, ["b", "0 * * * *", "UTC"]], None, at("2024-05-01T11:30:00"))
    calendar.follow([hourly, ["c", "0 * * * *", None]], at("2024-05-01T11:50:00"), at("2024-05-01T12:00:05"))
    assert [*calendar.look(at("2024-05-01T12:00:06"))] == [("a", Turn(0, True)), ("c", Turn(0, True))]


def test_a_new_scheduler_tells_what_was_due_while_there_was_none() -> None:
    calendar = Calendar()
    calendar.follow([["a", "0 * * * *", "UTC"]], at("2024-05-01T09:30:00"), at("2024-05-01T12:30:00"))
    assert [*calendar.look(at("2024-05-01T12:30:00"))] == [("a", Turn(3, False))]


def test_the_machines_zone_is_that_of_tz_or_of_its_file() -> None:
    assert zone_of(BERLIN) == ZoneInfo(BERLIN)
    code = "import datetime, procman.scheduler as s; print(s.zone_of(None).utcoffset(datetime.datetime(2024, 7, 1)))"
    env = {name: value for name, value in os.environ.items() if name != "TZ"}
    for tz, offset in (("Asia/Tokyo", "9:00:00"), (":Asia/Kolkata", "5:30:00")):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env={**env, "TZ": tz}, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
        assert done.stdout.strip() == offset


def test_the_timer_wakes_at_its_moment() -> None:
    timer = Timer()
    poll = select.poll()
    poll.register(timer.fd, select.POLLIN)
    timer.set(None)
    assert poll.poll(0) == []
    timer.set(time.time() - 5)  # an instant that has passed is due at once
    assert poll.poll(60_000) == [(timer.fd, select.POLLIN)]
    timer.clear()
    timer.clear()  # once too often does no harm
    os.close(timer.fd)


def test_the_process_tells_whose_turn_it_is_and_ends_with_its_channel() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-c", "from procman.scheduler import main; raise SystemExit(main())"]
    with ours, subprocess.Popen(command, stdin=theirs.fileno()) as process:
        theirs.close()
        ours.settimeout(120)
        since = time.time() - 150
        ours.send(json.dumps({"entries": [["a", "* * * * *", "UTC"]], "since": since}).encode())
        group, missed, now = json.loads(ours.recv(1000))
        assert (group, now) == ("a", True)
        assert missed in (1, 2)  # of the last two minutes and a half; the last one is not older than a minute
        ours.send(json.dumps({"entries": [["b", "0 0 1 1 *", None]], "since": None}).encode())
        ours.close()
        assert process.wait(120) == 0
