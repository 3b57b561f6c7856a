"""Who begins after whom, who ends before whom, and what becomes of those whose turn cannot come."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.site.running import Site, up
from tests.site.sites import FOREVER, group, site_of, slow

CHAIN = site_of(group("c", slow("c"), 'after = ["b"]'), group("b", slow("b"), 'after = ["a"]'), group("a", slow("a")))


def position(site: Site, state: str, worker: str) -> int:
    """Where in the log a worker went to a state first."""
    return site.events.index(site.told(f"worker.{state}", worker)[0])


def test_a_chain_begins_in_its_order_and_ends_in_the_reverse(tmp_path: Path) -> None:
    with up(tmp_path, CHAIN) as site:
        site.until_said("up", 3)
        assert site.stop() == 0
        order = [("running", worker) for worker in ("a:0", "b:0", "c:0")]
        order += [(state, worker) for worker in ("c:0", "b:0", "a:0") for state in ("stopping", "stopped")]
        places = [position(site, state, worker) for state, worker in order]
        assert places == sorted(places)
        assert site.words[3:] == ["c ends", "b ends", "a ends"]


def test_those_who_depend_on_the_same_group_end_together_before_it(tmp_path: Path) -> None:
    rhombus = site_of(
        group("a", slow("a")),
        group("b", slow("b"), 'after = ["a"]'),
        group("c", slow("c"), 'after = ["a"]'),
        group("d", slow("d"), 'after = ["b", "c"]'),
    )
    with up(tmp_path, rhombus) as site:
        site.until_said("up", 4)
        assert site.stop() == 0
        d, b, c, a = (site.told("worker.stopping", f"{name}:0")[0] for name in "dbca")
        assert d.at < b.at == c.at < a.at
        assert position(site, "stopped", "d:0") < site.events.index(b)
        assert max(position(site, "stopped", "b:0"), position(site, "stopped", "c:0")) < site.events.index(a)


@pytest.mark.parametrize(
    ("groups", "members"),
    [({"a": "b", "b": "a"}, "a → b → a"), ({"a": "a"}, "a")],
    ids=["two", "itself"],
)
def test_a_cycle_is_refused_before_anything_runs(tmp_path: Path, groups: dict[str, str], members: str) -> None:
    text = site_of(*(group(name, FOREVER, f'after = ["{other}"]') for name, other in groups.items()))
    with up(tmp_path, text) as site:
        assert site.wait() == 78
        assert [event.name for event in site.events] == ["site.loading", "config.rejected", "site.stopped"]
        assert members in "\n".join(site.foreign)


def test_what_depends_on_a_group_that_failed_never_begins(tmp_path: Path) -> None:
    failing = group("a", "exit 1", 'restart = { when = "never", on_exhausted = "ignore" }')
    with up(tmp_path, site_of(failing, group("b", FOREVER, 'after = { a = "completed" }'))) as site:
        assert site.wait() == 10
        assert site.states("b:0") == []
        assert [(event["group"], event["reason"]) for event in site.told("group.blocked")] == [
            ("b", "blocked: a failed")
        ]


@pytest.mark.parametrize(
    ("end", "condition", "begins"),
    [
        ("exit 0", "completed", True),
        ("exit 1", "completed", False),
        ("kill -9 $$", "completed", False),
        ("exit 0", "ended", True),
        ("exit 1", "ended", True),
        ("kill -9 $$", "ended", True),
    ],
)
def test_a_job_that_others_wait_for(tmp_path: Path, end: str, condition: str, begins: bool) -> None:
    job = group("job", f"echo job; {end}", 'kind = "job"', 'restart = { on_exhausted = "ignore" }')
    after = group("next", "echo next", 'kind = "job"', f'after = {{ job = "{condition}" }}')
    with up(tmp_path, site_of(after, job)) as site:
        assert site.wait() == (0 if end == "exit 0" else 10)
        assert site.words == (["job", "next"] if begins else ["job"])


def test_a_group_goes_down_with_what_it_requires_and_comes_back_with_it(tmp_path: Path) -> None:
    text = site_of(group("db", FOREVER), group("api", FOREVER, 'requires = ["db"]'), group("other", FOREVER))
    with up(tmp_path, text) as site:
        site.until("worker.running", "api:0")
        os.kill(site.until("worker.running", "db:0")["pid"], signal.SIGKILL)
        assert site.until("worker.running", "api:0", 2)["reason"]
        assert site.told("worker.stopping", "api:0")[0]["reason"] == "db is down"
        again = site.told("worker.starting", "api:0")[1]["reason"]
        assert again in ("what it requires is up again", "wanted again")  # perhaps it was still on its way down
        assert position(site, "backoff", "db:0") < position(site, "stopping", "api:0")
        assert len(site.told("worker.running", "other:0")) == 1
        assert site.stop() == 0


def test_a_dependency_that_fails_while_its_dependents_start_does_not_take_them_with_it(tmp_path: Path) -> None:
    failing = group("a", f"read line < {tmp_path}/go; exit 1", 'restart = { when = "never", on_exhausted = "ignore" }')
    starting = group("b", "echo begun; exec sleep 1000", 'after = { a = "started" }', 'ready = { delay = "1s" }')
    os.mkfifo(tmp_path / "go")
    with up(tmp_path, site_of(failing, starting, group("c", FOREVER, 'after = ["b"]'))) as site:
        site.until_said("begun")
        with (tmp_path / "go").open("r+b", buffering=0) as go:
            go.write(b"\n")
            site.until("worker.failed", "a:0")
        site.until("worker.running", "c:0")
        assert position(site, "failed", "a:0") < position(site, "running", "b:0")
        assert (site.told("group.blocked"), site.told("worker.stopping")) == ([], [])
