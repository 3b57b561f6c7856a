"""A configuration that is read again: only what changed moves, and a bad one changes nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.site.running import Site, up
from tests.site.sites import DEAF, FOREVER, group, site_of

A, B, C = (group(name, FOREVER) for name in "abc")
B_CHANGED = group("b", FOREVER, 'env = { NEW = "1" }')


def running(site: Site) -> dict[str, int]:
    return dict(sorted(site.pids().items()))


def test_only_what_changed_moves(tmp_path: Path) -> None:
    with up(tmp_path, site_of(A, B, C)) as site:
        site.until("worker.running", count=3)
        before = running(site)
        site.reload(site_of(A, B_CHANGED, group("d", FOREVER)))
        site.until("worker.running", "d:0")
        site.until("worker.running", "b:0", count=2)
        site.until("worker.stopped", "c:0")
        after = running(site)
        assert sorted(after) == ["a:0", "b:0", "d:0"]
        assert after["a:0"] == before["a:0"]
        assert after["b:0"] != before["b:0"]
        applied = site.told("config.applied")[0].fields
        assert {name: applied[name] for name in ("started", "stopped", "restarted", "scaled", "changed")} == {
            "started": ["d"],
            "stopped": ["c"],
            "restarted": ["b"],
            "scaled": [],
            "changed": [],
        }


def test_a_new_number_of_workers_starts_and_stops_the_highest(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("api", FOREVER, "workers = 2"))) as site:
        site.until("worker.running", count=2)
        before = running(site)
        site.reload(site_of(group("api", FOREVER, "workers = 4")))
        site.until("worker.running", count=4)
        assert set(before.items()) <= set(running(site).items())
        site.reload(site_of(group("api", FOREVER, "workers = 1")))
        site.until("worker.stopped", count=3)
        assert {event.worker for event in site.told("worker.stopped")} == {"api:1", "api:2", "api:3"}
        assert running(site) == {"api:0": before["api:0"]}


@pytest.mark.parametrize(
    ("text", "diagnostic"),
    [
        ("[group.a\n", "site.toml:1:"),
        (site_of(A, B.replace("command", "comand")), "did you mean `command`?"),
        (site_of(group("a", FOREVER, 'after = ["b"]'), group("b", FOREVER, 'after = ["a"]')), "a → b → a"),
        (None, "site.toml"),
    ],
    ids=["syntax", "unknown key", "cycle", "file gone"],
)
def test_a_bad_file_leaves_all_as_it_is(tmp_path: Path, text: str | None, diagnostic: str) -> None:
    with up(tmp_path, site_of(A, B)) as site:
        site.until("worker.running", count=2)
        before = running(site)
        if text is None:
            site.file.unlink()
            site.signal(signal.SIGHUP)
        else:
            site.reload(text)
        rejected = site.until("config.rejected")
        assert diagnostic in rejected["diagnostics"]
        assert rejected["digest"] == site.told("site.started")[0]["digest"]
        assert running(site) == before
        os.kill(before["a:0"], signal.SIGKILL)
        site.until("worker.running", "a:0", count=2)
        site.reload(site_of(A, B_CHANGED))
        site.until("worker.running", "b:0", count=2)
        assert site.stop() == 0


def test_a_reload_during_the_backoff_begins_anew(tmp_path: Path) -> None:
    late = 'restart = { backoff = { initial = "1h", max = "1h" } }'
    with up(tmp_path, site_of(group("api", "exit 1", late), A)) as site:
        site.until("worker.backoff", count=2)
        site.reload(site_of(group("api", FOREVER, late), A))
        site.until("worker.running", "api:0", count=3)
        assert site.stop() == 0


def test_a_reload_during_a_stop_ends_in_the_last_state(tmp_path: Path) -> None:
    deaf = group("b", DEAF, 'stop = { grace = "1s" }')
    with up(tmp_path, site_of(A, deaf)) as site:
        site.until_said("deaf")
        site.reload(site_of(A))
        site.until("worker.stopping", "b:0")
        site.reload(site_of(A, deaf))
        site.until_said("deaf", 2)
        site.until("worker.running", "b:0", count=2)
        assert sorted(site.pids()) == ["a:0", "b:0"]
        assert len(site.told("worker.running", "b:0")) == 2
        assert len(site.told("worker.running", "a:0")) == 1


def test_a_storm_of_reloads_ends_in_the_last_configuration(tmp_path: Path) -> None:
    with up(tmp_path, site_of(A)) as site:
        site.until("worker.running")
        for count in range(1, 101):
            site.reload(site_of(A, group("b", FOREVER, f"workers = {count % 10 + 1}")))
        site.reload(site_of(A, C))
        site.until("worker.running", "c:0")
        site.signal(signal.SIGHUP)
        assert site.stop() == 0
        assert len(site.told("worker.running", "a:0")) == 1
        assert len(site.told("config.applied")) < 10
