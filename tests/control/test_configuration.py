"""A running site and its configuration: the plan of a change, and the identity that everybody is told."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_plan import git
from tests.control.test_real import operated
from tests.site.running import Site, up
from tests.site.sites import FOREVER, group, site_of


def test_a_plan_is_compiled_by_the_sites_loader_with_its_environment_and_directory(tmp_path: Path) -> None:
    text = site_of(group("api", FOREVER, "workers = 2", 'env = { WHERE = "${HOME}/x" }'))
    with operated(tmp_path, text, workers=2) as one:
        assert one.run("plan").returncode == 0
        # Neither the operator's HOME nor its directory is the site's.
        elsewhere = dict(one.env) | {"HOME": "/nowhere"}
        one.env = elsewhere
        assert one.run("plan").returncode == 0
        one.site.file.write_text(text.replace("workers = 2", "workers = 3"), encoding="utf-8")
        said = one.run("plan", "--json")
        assert said.returncode == 4
        (change,) = json.loads(said.stdout)["groups"]["api"]["changed"]
        assert (change["key"], change["old"], change["new"]) == ("workers", "2", "3")
        assert change["old_place"] == change["new_place"] == f"{one.site.file}:9"
        assert len(one.site.pids()) == 2


def test_a_plan_of_an_invalid_configuration_is_its_diagnostics_and_changes_nothing(tmp_path: Path) -> None:
    text = site_of(group("api", FOREVER))
    with operated(tmp_path, text, workers=1) as one:
        one.site.file.write_text(text.replace("command", "comand"), encoding="utf-8")
        said = one.run("plan")
        assert (said.returncode, said.stdout) == (78, "")
        assert "did you mean `command`?" in said.stderr
        assert one.run("status", "--ready").returncode == 0


def test_another_file_is_planned_in_the_place_of_the_sites_own(tmp_path: Path) -> None:
    text = site_of(group("api", FOREVER))
    with operated(tmp_path, text, workers=1) as one:
        other = tmp_path / "other.toml"
        other.write_text(site_of(group("web", FOREVER)), encoding="utf-8")
        one.env = dict(one.env) | {"COLUMNS": "0"}
        said = one.run("plan", str(other))
        assert said.returncode == 4
        assert "- api  stopped: 1 worker" in said.stdout
        assert f"+ web  started: 1 worker  {other}:7" in said.stdout


def test_a_plan_needs_neither_pydantic_nor_rich_in_the_command(tmp_path: Path) -> None:
    with operated(tmp_path, site_of(group("api", FOREVER)), workers=1) as one:
        one.env = dict(one.env) | {"PYTHONPROFILEIMPORTTIME": "1"}
        said = one.run("plan")
        assert said.returncode == 0
        imported = {line.rpartition("|")[2].strip() for line in said.stderr.splitlines()}
        assert "procman.cli.changes" in imported
        assert not {"pydantic", "rich", "tomli"} & imported


def committed(folder: Path, text: str) -> str:
    """A repository of a site file: its commit."""
    git(folder, "init", "-q")
    (folder / "site.toml").write_text(text, encoding="utf-8")
    git(folder, "add", "site.toml")
    git(folder, "commit", "-q", "-m", "first")
    return git(folder, "rev-parse", "HEAD")


def identity(site: Site, worker: str) -> list[str]:
    """What a worker finds of it in its environment."""
    place = Path(f"/proc/{site.pids()[worker]}/environ")
    while not (environment := place.read_bytes()):  # in the midst of an exec it has none
        site.pause(0.01)
    return sorted(
        line for line in environment.decode().split("\0") if line.startswith(("PROCMAN_DIGEST", "PROCMAN_COMMIT"))
    )


def test_the_commit_and_its_dirty_mark_are_told_everywhere_and_never_cause_a_restart(tmp_path: Path) -> None:
    text = site_of(group("api", FOREVER))
    commit = committed(tmp_path, text)
    with operated(tmp_path, text, workers=1) as one:
        started = one.site.until("site.started")
        assert (started["commit"], started["dirty"]) == (commit, False)
        digest = started["digest"]
        assert identity(one.site, "api:0") == [f"PROCMAN_COMMIT={commit}", f"PROCMAN_DIGEST={digest}"]
        before = one.site.pids()["api:0"]
        one.site.reload("# a comment, so that it is dirty\n" + text)
        applied = one.site.until("config.applied")
        assert (applied["digest"], applied["commit"], applied["dirty"]) == (digest, commit, True)
        assert one.site.pids()["api:0"] == before
        status = json.loads(one.run("status", "--json").stdout)
        assert (status["digest"], status["commit"], status["dirty"]) == (digest, commit, True)
        assert f"{digest} ({commit[:7]}, dirty)" in one.run("status").stdout
        one.site.signal(15)
        stopping = one.site.until("site.stopping")
        assert (stopping["commit"], stopping["dirty"]) == (commit, True)


def test_a_site_outside_of_any_repository_has_no_commit(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("api", FOREVER))) as site:
        site.until("worker.running")
        started = site.until("site.started")
        assert "commit" not in started.fields
        assert identity(site, "api:0") == [f"PROCMAN_DIGEST={started['digest']}"]
