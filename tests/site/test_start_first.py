"""A real worker that is replaced start-first: the old one ends when the new one has said that it is ready."""

from __future__ import annotations

from pathlib import Path

from tests.site.running import up
from tests.site.sites import group, site_of

START_FIRST = 'update = { order = "start-first" }'
WELL = "trap 'echo bye $PROCMAN_GENERATION; exit 0' TERM; echo >&5; while :; do sleep 1000 & wait $!; done"
"""It is ready at once, and says which one it is when it ends."""


def shop(command: str, timeout: str = "30s", release: int = 1) -> str:
    env = f'env = {{ RELEASE = "{release}" }}'
    return site_of(group("a", command, f'ready = {{ fd = 5, timeout = "{timeout}" }}', START_FIRST, env))


def test_the_old_one_ends_when_the_new_one_is_ready(tmp_path: Path) -> None:
    with up(tmp_path, shop(WELL)) as site:
        old = site.until("worker.running", "a:0")
        site.reload(shop(WELL, release=2))
        new = site.until("worker.running", "a:0", 2)
        gone = site.until("worker.stopped", "a:0")
        order = [(event["to"], event["generation"]) for event in site.events if event.worker == "a:0"]
        assert order[2:] == [("starting", 2), ("running", 2), ("stopping", 1), ("stopped", 1)]
        assert (gone["generation"], gone["exit_code"], old["pid"] != new["pid"]) == (1, 0, True)
        assert site.until_said("bye") == ["bye 1"]
        assert site.stop() == 0
        assert site.words == ["bye 1", "bye 2"]


def test_a_new_one_that_is_never_ready_is_ended_and_the_old_one_stays(tmp_path: Path) -> None:
    with up(tmp_path, shop(WELL)) as site:
        site.until("worker.running", "a:0")
        site.reload(shop("exec sleep 1000", "200ms", 2))
        halted = site.until("group.halted")
        assert halted["reason"].startswith("the successor of a:0 failed: not ready within 200ms")
        failed = site.until("worker.failed", "a:0")
        assert (failed["generation"], len(site.told("worker.starting", "a:0"))) == (2, 2)
        assert site.stop() == 0
        assert site.words == ["bye 1"]


def test_a_stop_while_both_are_there_ends_both(tmp_path: Path) -> None:
    with up(tmp_path, shop(WELL)) as site:
        site.until("worker.running", "a:0")
        site.reload(shop("echo begun; exec sleep 1000", release=2))
        site.until_said("begun")
        assert site.stop() == 0
        assert sorted(event["generation"] for event in site.told("worker.stopped", "a:0")) == [1, 2]
