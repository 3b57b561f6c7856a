"""Starts that fail: what is said, what is tried again, and what else runs on."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.site.running import limit, up
from tests.site.sites import FOREVER, group, python, site_of

STAYS = 'restart = { on_exhausted = "ignore" }'
SOON = 'restart = { max_restarts = 1000, backoff = { initial = "50ms", factor = 1.0, max = "50ms" } }'
AS_ANOTHER_USER = (
    *("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"),
    *("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"),
) * (os.getuid() == 0)
"""Root may start as many processes as it likes; another may not, but must be able to read what root may."""


def script(folder: Path, text: str, mode: int) -> str:
    path = folder / "program"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


CANNOT: dict[str, tuple[Callable[[Path], str], str]] = {
    "not found": (lambda _: "no-such-program", "no-such-program: command not found"),
    "no such file": (lambda folder: f"{folder}/nothing", "{folder}/nothing: no such file"),
    "no interpreter": (
        lambda folder: script(folder, "#!/no/such/shell\n", 0o755),
        "{folder}/program: its interpreter /no/such/shell is missing",
    ),
    "no x bit": (lambda folder: script(folder, "#!/bin/sh\n", 0o644), "{folder}/program: permission denied"),
    "a directory": (str, "{folder}: is a directory"),
    "no format": (lambda folder: script(folder, "true\n", 0o755), "{folder}/program: not an executable format"),
}


@pytest.mark.parametrize("path", ["vfork", "fork"])
@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_be_run_is_said_once_and_the_others_run_on(tmp_path: Path, case: str, path: str) -> None:
    command, reason = CANNOT[case]
    text = site_of(group("bad", [command(tmp_path)], STAYS, f'spawn = "{path}"'), group("good", FOREVER))
    with up(tmp_path, text) as site:
        failed = site.until("worker.failed", "bad:0")
        site.until("worker.running", "good:0")
        assert failed["reason"].startswith(f"cannot start: {reason.format(folder=tmp_path)}")
        assert site.states("bad:0") == ["starting", "failed"]
        assert site.zombies() == []
        os.kill(site.pids()["good:0"], signal.SIGTERM)
        site.until("worker.backoff", "good:0")
        assert site.stop() == 0


def test_a_site_whose_only_worker_cannot_start_ends_with_12(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("bad", ["no-such-program"]), group("good", FOREVER))) as site:
        assert site.wait() == 12
        assert [event["on_exhausted"] for event in site.told("group.failed")] == ["shutdown"]


@pytest.mark.parametrize("path", ["vfork", "fork"])
def test_a_worker_whose_directory_is_missing_starts_nowhere_else_and_comes_up_with_it(
    tmp_path: Path, path: str
) -> None:
    home = tmp_path / "home"
    text = site_of(group("api", f"echo $PWD; {FOREVER}", f'cwd = "{home}"', f'spawn = "{path}"', SOON))
    with up(tmp_path, text) as site:
        failed = site.until("worker.backoff", count=3)
        assert failed["reason"] == f"cannot start: working directory {home} does not exist"
        assert (failed["from"], failed["restarts"], site.words) == ("starting", 3, [])
        home.mkdir()
        site.until("worker.running")
        assert site.until_said("/") == [str(home)]


def test_without_descriptors_a_start_fails_and_succeeds_when_there_are_some(tmp_path: Path) -> None:
    text = site_of(group("api", FOREVER, "workers = 3", 'spawn = "fork"', SOON), group("quick", FOREVER, "workers = 3"))
    with up(tmp_path, text, before=("prlimit", "--nofile=1000:1000")) as site:
        site.until("worker.running", count=6)
        used = len(site.descriptors())
        limit(site.pid, f"--nofile={used}:1000")
        for pid in site.pids().values():
            os.kill(pid, signal.SIGKILL)
        failed = [site.until("worker.backoff", f"api:{task}", count=2) for task in range(3)]
        reason = "cannot start: cannot fork: EMFILE, Too many open files (ulimit -Hn is 1000)"
        assert [event["reason"] for event in failed] == [reason] * 3
        limit(site.pid, "--nofile=1000:1000")
        for task in range(3):
            site.until("worker.running", f"api:{task}", count=2)
            site.until("worker.running", f"quick:{task}", count=2)
        assert len(site.descriptors()) == used
        assert site.zombies() == []


def test_without_processes_a_start_fails_and_succeeds_when_there_are_some(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    with up(tmp_path, site_of(group("api", FOREVER, "workers = 3", SOON)), before=AS_ANOTHER_USER) as site:
        site.until("worker.running", count=3)
        most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
        limit(site.pid, "--nproc=1:", AS_ANOTHER_USER)
        for pid in site.pids().values():
            os.kill(pid, signal.SIGKILL)
        failed = [site.until("worker.backoff", f"api:{task}", count=2) for task in range(3)]
        lacking = "cannot start: cannot fork: EAGAIN, Resource temporarily unavailable"
        assert [event["reason"] for event in failed] == [lacking] * 3
        assert site.descendants() == []
        limit(site.pid, f"--nproc={most if most >= 0 else 'unlimited'}:", AS_ANOTHER_USER)
        for task in range(3):
            site.until("worker.running", f"api:{task}", count=2)


def test_an_argument_list_that_is_too_long_is_said(tmp_path: Path) -> None:
    text = site_of(
        group("long", ["true", "x" * 200_000], STAYS), group("fits", ["sh", "-c", "echo ${#1}", "sh", "x" * 100_000])
    )
    with up(tmp_path, text) as site:
        assert site.wait() == 12
        assert site.words == ["100000"]
        assert "its arguments and environment are too long" in site.told("worker.failed")[0]["reason"]


def test_strange_names_and_arguments_reach_the_worker_as_they_are(tmp_path: Path) -> None:
    words = ["", " ", "a b", "'\"\\", "*", "☃ 🎉", "line\nbreak", "\t", "--", "$HOME", "${HOME}", "$$"]
    show = [*python("import sys, json; print(json.dumps(sys.argv[1:]))"), *words]
    with up(tmp_path, site_of(group("job", show, 'kind = "job"'))) as site:
        assert site.wait() == 0
        assert [json.loads(line) for line in site.words] == [words]
