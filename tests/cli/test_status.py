"""The table of `procman status`, as it looks at several widths, and what counts as ready."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from procman.cli import table
from procman.cli.status import add_use, is_ready
from procman.control.protocol import encode_reply
from procman.policy.events.requests import GroupStatus, SiteStatus, WorkerStatus

API = WorkerStatus("api", 0, 3, "running", 4242, 754.0, None, False, "killed by SIGKILL", 183.0)
WAITS = WorkerStatus("api", 1, 6, "backoff", None, None, 1.75, False, "exit status 3", 0.25)
HELD = WorkerStatus("mail-sender", 0, 1, "stopped", None, None, None, True, None, None)
SITE = SiteStatus(
    "shop",
    "running",
    "a66b0f19b104",
    ("/srv/site.toml",),
    (GroupStatus("api", 2, 1, 7, 93, ""), GroupStatus("mail-sender", 1, 1, 0, 10, "waits for migrate")),
    (API, WAITS, HELD),
)
USE = {"cpu_s": 72.5, "memory_bytes": 34_500_000, "shared_bytes": 6_600_000}

AT_80 = """\
shop  running · 2 groups, 3 workers · a66b0f19b104 · pid 4000

WORKER         STATE     PID      UP  RESTARTS  LEFT    CPU    MEM  LAST EXIT
api:0          running  4242  12m34s         2    93  1m12s  32.9M  killed by S…
api:1          backoff     -       -         5    93      -      -  again in 1.…
mail-sender:0  stopped     -       -         0    10      -      -  by hand

api: 2 workers by hand (file: 1)
mail-sender: waits for migrate
"""
AT_120 = """\
shop  running · 2 groups, 3 workers · a66b0f19b104 · pid 4000

WORKER         STATE     PID      UP  RESTARTS  LEFT    CPU    MEM  SHARED  LAST EXIT
api:0          running  4242  12m34s         2    93  1m12s  32.9M    6.3M  killed by SIGKILL 3m3s ago
api:1          backoff     -       -         5    93      -      -       -  again in 1.8s · exit status 3 250ms ago
mail-sender:0  stopped     -       -         0    10      -      -       -  by hand

api: 2 workers by hand (file: 1)
mail-sender: waits for migrate
"""


def said(site: SiteStatus) -> dict[str, Any]:
    """What a site says, as a client has it."""
    status: dict[str, Any] = json.loads(encode_reply(site, {"pid": 4000, "uptime_s": 1.0}))
    return status


def render(site: SiteStatus, columns: int | None, *, colour: bool = False) -> str:
    """The screen, with what pid 4242 uses."""
    status = said(site)
    for worker in status["workers"]:
        worker.update(USE if worker["pid"] == 4242 else dict.fromkeys(USE))
    return table.render(status, colour, columns)


@pytest.mark.parametrize(("columns", "expected"), [(80, AT_80), (120, AT_120), (None, AT_120)])
def test_the_table_fits_the_terminal(columns: int | None, expected: str) -> None:
    assert render(SITE, columns) == expected


@pytest.mark.parametrize("columns", [1, 10, 40, 80])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    assert max(map(len, render(SITE, columns).splitlines()[2:])) <= columns


def test_lines_that_could_not_be_written_are_counted_below() -> None:
    text = render(SITE._replace(lost_lines=1204, lost_bytes=96_000), 80)
    assert text == AT_80 + "output: 1,204 lines not written (96 kB)\n"


AT_80_UNREADY = """\
shop  running · 1 group, 3 workers · a66b0f19b104 · pid 4000

WORKER  STATE       PID      UP  RESTARTS  LEFT    CPU    MEM  LAST EXIT
api:0   unready    4242  12m34s         2    93  1m12s  32.9M  killed by SIGKIL…
api:1   reloading  4243  12m34s         2    93      -      -  killed by SIGKIL…
api:2   stopping   4244  12m34s         2    93      -      -  killed by SIGKIL…

api: 2 workers by hand (file: 1)
api:0 is not ready: GET /health: 503
api:2 is not ready: it says that it is stopping
api:1 says: 12 requests under way, and a long story that is cut where the scree…
"""


def test_who_runs_and_is_not_ready_is_marked_and_what_workers_say_of_themselves_is_below() -> None:
    story = "12 requests under way, and a long story that is cut where the screen ends"
    workers = (
        API._replace(unready="GET /health: 503"),
        API._replace(task=1, pid=4243, doing="reloading", says=story),
        API._replace(task=2, pid=4244, doing="stopping", unready="it says that it is stopping"),
    )
    site = SITE._replace(groups=SITE.groups[:1], workers=workers)
    assert render(site, 80) == AT_80_UNREADY
    assert "\x1b[1;33munready\x1b[0m" in render(site, 80, colour=True)


def test_how_a_worker_has_failed_is_told_below_where_there_is_no_room_beside_it() -> None:
    workers = (API, API._replace(task=1, state="failed", pid=None, last_exit="cannot start: app.py: not found"))
    site = SITE._replace(groups=SITE.groups[:1], workers=workers)
    note = "api:1 has failed: cannot start: app.py: not found 3m3s ago"
    assert (note in render(site, 80), "has failed" in render(site, 160)) == (True, False)


def test_of_many_who_say_something_a_few_are_shown() -> None:
    workers = tuple(API._replace(task=task, says="all is well") for task in range(30))
    lines = render(SITE._replace(workers=workers), 80).splitlines()
    assert lines[-2:] == ["api:7 says: all is well", "… and 22 more lines of the like"]


def test_only_states_and_headings_have_colours() -> None:
    text = render(SITE, 80, colour=True)
    assert "\x1b[32mrunning\x1b[0m" in text
    assert "\x1b[33mbackoff\x1b[0m" in text


@pytest.mark.parametrize(
    ("worker", "group", "phase", "ready"),
    [
        (API, "", "running", True),
        (API._replace(state="exited"), "", "running", True),
        (API._replace(unready="GET /health: 503"), "", "running", False),
        (HELD, "", "running", True),
        (WAITS, "", "running", False),
        (API._replace(state="failed"), "", "running", False),
        (API._replace(state="stopped", pid=None), "waits for migrate", "running", False),
        (API, "runs on with the old code: no module named shop", "running", True),
        (API, "", "stopping", False),
    ],
)
def test_a_site_is_ready_when_all_that_is_wanted_runs(
    worker: WorkerStatus, group: str, phase: str, ready: bool
) -> None:
    site = SITE._replace(phase=phase, groups=(SITE.groups[0]._replace(note=group),), workers=(worker,))
    assert is_ready(said(site)) is ready


@pytest.mark.parametrize("state", ["stopped", "failed", "starting"])
def test_nobody_waits_for_a_group_that_comes_and_goes(state: str) -> None:
    nightly = GroupStatus("nightly", 1, 1, 0, 0, "waits for its schedule", rests=True)
    worker = HELD._replace(group="nightly", state=state, held=False)
    assert is_ready(said(SITE._replace(groups=(nightly, SITE.groups[0]), workers=(worker, API))))


def test_what_a_worker_uses_stands_beside_it() -> None:
    status = said(SITE._replace(workers=(API._replace(pid=os.getpgid(0)), WAITS)))
    add_use(status)
    ours, none = ({name: worker[name] for name in USE} for worker in status["workers"])
    assert none == dict.fromkeys(USE)
    assert ours["cpu_s"] > 0
    assert ours["memory_bytes"] > 1_000_000
