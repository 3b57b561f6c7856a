"""Human lines: what a person sees, to the letter."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pytest

from procman.log.human import HumanLines
from procman.policy.events import Notice, Record, State, Transition, WorkerId
from procman.screen import without_colour
from tests.log.lines import CRASH, RECORDS

NOON_NS = int(time.mktime((2024, 5, 1, 12, 0, 7, 0, 0, -1))) * 1_000_000_000 + 1_234_567


def view(records: Sequence[Record], columns: int | None = None, *, colour: bool = False) -> list[str]:
    lines = HumanLines("shop", colour, lambda: columns).lines(NOON_NS, records)
    assert all(line.endswith(b"\n") and len(line) <= 4096 for line in lines)
    return b"".join(lines).decode().splitlines()


SCREEN = """\
12:00:07.001  shop             loading   a.toml · pid 1
12:00:07.001  shop             started   1 group, 2 workers · 0123456789ab
12:00:07.001  api:0            starting  first start
12:00:07.001  api:0            running   pid 4242
12:00:07.001  api:0            backoff   SIGKILL after 5.9s · restart 3/100 in …
12:00:07.001  api:0            stopping  SIGTERM
12:00:07.001  api:0            killing   still there after 8s of grace
12:00:07.001  api:0            stopped   SIGKILL after 1m1s
12:00:07.001  api:0            exited    exit 0 after 410ms
12:00:07.001  api:0            failed    exit 1 after 100ms …starts in 10m spent
12:00:07.001  api:0            failed    cannot start: /usr/… found; not retried
12:00:07.001  api              failed    api:0 failed for go…starts in 10m spent
12:00:07.001  api              blocked   blocked: migrate has failed
12:00:07.001  config           applied   started a · …tarted b, c · ba9876543210
12:00:07.001  config           rejected  a.toml: 1 error
a.toml:1:1: bad
    1 | x
12:00:07.001  config           proved    its probation of 30s is over
12:00:07.001  config           failed    b:0 failed 3 times,…last: exit status 1
12:00:07.001  plans            failed    cannot keep a good …pace left on device
12:00:07.001  plans            ignored   procman has not written 2.json
12:00:07.001  config           rolled back  b:0 failed 3 times…st: exit status 1
12:00:07.001  shop             internal error  ValueError: x
12:00:07.001  log              moved     the log goes on in /log
12:00:07.001  log              failed    cannot open /log: Permission denied
12:00:07.001  log              lost      2 lines lost
12:00:07.001  shop             stopping  SIGTERM
12:00:07.001  shop             strays    left their worker w… trace: sh (pid 41)
12:00:07.001  shop             draining  1 process (sh (pid 41)) left: killed
12:00:07.001  helper           ended     the guard was killed
12:00:07.001  a:0              unready   GET /health: 503
12:00:07.001  a:0              main pid  it says so: pid 43 instead of 41
12:00:07.001  a:0              ready     ready again
12:00:07.001  helper           ready     the zygote of a has imported app:run
12:00:07.001  helper           failed    the zygote of a failed: ImportError: no
12:00:07.001  a                halted    a:1 failed; the others stay as they are
12:00:07.001  output           lost      /l: no space left on device
12:00:07.001  output           resumed   /l takes lines
12:00:07.001  a                scaled    a: 5
12:00:07.001  a                signalled  SIGUSR1 to a:0
12:00:07.001  control          unavailable  no control socket:…n is no directory
12:00:07.001  a                missed    2 runs missed
12:00:07.001  a                skipped   a run is left out: the last one goes on
12:00:07.001  cgroup           unavailable  no cgroup can be m…-only file system
12:00:07.001  cgroup           abandoned  left in /cg/procman-demo by a procman
12:00:07.001  sockets          failed    cannot listen on tc… the port is in use
12:00:07.001  watch            blind     /srv/conf.d cannot be read
12:00:07.001  termination_log  failed    cannot write /t: No…pace left on device
12:00:07.001  shop             stopped   exit code 0 · 3 orphans reaped
"""


def test_every_kind_of_record_reads_well_at_80_columns() -> None:
    records = list(RECORDS.values())
    assert view(records, 80) == SCREEN.splitlines()


def test_without_a_width_nothing_is_left_out() -> None:
    assert view([RECORDS["gave up"]]) == [
        "12:00:07.001  api        failed    api:0 failed for good: exit status 1; 10 restarts in 10m spent"
    ]


def test_before_the_site_has_a_name_it_is_procman() -> None:
    (line,) = HumanLines(None, colour=False, columns=lambda: None).lines(NOON_NS, [RECORDS["loading"]])
    assert line.decode() == "12:00:07.001  procman    loading   a.toml · pid 1\n"


@pytest.mark.parametrize("columns", [64, 72, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    crash = CRASH._replace(worker=WorkerId("image-thumbs", 0, 1))
    widths = [len(line) for line in view([*RECORDS.values(), crash], columns)]
    assert max(widths) <= columns


def test_the_column_of_the_workers_grows_with_their_names() -> None:
    human = HumanLines("shop", colour=False, columns=lambda: None)
    long_name = CRASH._replace(worker=WorkerId("image-thumbs", 12, 1))
    starts = [
        line.decode().index("backoff")
        for record in (CRASH, long_name, CRASH)
        for line in human.lines(NOON_NS, [record])
    ]
    assert starts == [25, 31, 31]


def test_a_name_beyond_reason_loses_its_middle() -> None:
    endless = Transition(WorkerId("n" * 60, 7, 1), None, State.STOPPED, State.STARTING, "first start")
    assert view([endless]) == ["12:00:07.001  nnnnnnnnnnnnnn…nnnnnnnnnnn:7  starting  first start"]


def test_colours_change_nothing_but_the_colour() -> None:
    records = list(RECORDS.values())
    coloured = view(records, 80, colour=True)
    assert [without_colour(line) for line in coloured] == view(records, 80)
    assert [re.findall(r"\x1b\[([0-9;]*)m", line) for line in coloured[3:5]] == [
        ["2", "0", "32", "0"],
        ["2", "0", "33", "0", "33", "0", "2", "0"],
    ]


def test_a_text_cannot_command_the_terminal() -> None:
    notice = Notice("site.stopping", "info", "\x1b[2J\x07 undecodable: \udcff\nnext", {"digest": "", "exit_code": 0})
    assert view([notice]) == [
        r"12:00:07.001  shop       stopping  \x1b[2J\x07 undecodable: \udcff\nnext",
    ]


def test_a_line_beyond_the_bound_is_cut() -> None:
    (line,) = view([Notice("site.stopping", "info", "é" * 5000, {"digest": "", "exit_code": 0})])
    assert line.endswith("é…")
