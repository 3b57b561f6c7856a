"""The identity of a configuration: the commit that it is checked out from, and whether it still is what that has."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman.config.text.repository import Commit, identify
from tests.cli.test_plan import git
from tests.config.sites import LEAST, plan_of


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "site.toml").write_text(LEAST, encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_plan_knows_its_commit_and_whether_its_file_is_as_committed(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    origin = plan_of(repository, LEAST).origin
    assert (origin.commit, origin.dirty) == (head, False)
    origin = plan_of(repository, LEAST + "workers = 2\n").origin
    assert (origin.commit, origin.dirty) == (head, True)


def test_a_file_that_the_commit_does_not_have_makes_it_dirty_but_an_env_file_does_not(repository: Path) -> None:
    more, secrets = repository / "more.toml", repository / "prod.env"
    for file in (more, secrets):
        file.write_text("\n", encoding="utf-8")
    site = str(repository / "site.toml")
    assert identify([site, str(more)]).dirty
    assert not identify([site], [str(secrets)]).dirty


def test_what_lies_outside_of_the_repository_is_not_looked_at(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "more.toml"
    outside.write_text("\n", encoding="utf-8")
    assert not identify([str(repository / "site.toml"), str(outside)]).dirty


def test_without_a_repository_or_without_a_commit_there_is_no_identity(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(LEAST, encoding="utf-8")
    assert identify([str(site)]) == Commit()
    git(tmp_path, "init", "-q")
    assert identify([str(site)]) == Commit()


def test_without_git_there_is_no_identity(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert identify([str(repository / "site.toml")]) == Commit()


def test_the_identity_and_the_places_are_no_part_of_the_digest(tmp_path: Path) -> None:
    from procman.plan import Origin, diff, digest

    plan = plan_of(tmp_path, LEAST)
    other = plan._replace(origin=Origin("abc", True, "group.web elsewhere.toml:1"))
    assert digest(other) == digest(plan)
    assert diff(plan, other) == []
