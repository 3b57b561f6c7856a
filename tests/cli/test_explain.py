"""`procman explain`: a key's value, default, meaning and effect, and where it comes from."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from procman.config import model
from tests.cli.test_plan import procman

SITE = """\
schema = 1
[defaults.stop]
grace = "10s"
[group.api]
command = "run --price $$5"
restart = { window = "1h" }
env = { LEVEL = "${LEVEL:-info}" }
[group."api.v2"]
command = "run"
"""


def explain(folder: Path, key: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "site.toml").write_text(SITE, encoding="utf-8")
    (folder / "prod.toml").write_text('[group.api]\numask = "0077"\n', encoding="utf-8")
    return procman(folder, "explain", key, "site.toml", *words)


def explained(folder: Path, key: str, *words: str) -> dict[str, Any]:
    said = explain(folder, key, *words, "--json")
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def test_a_key_is_explained_for_people(tmp_path: Path) -> None:
    assert explain(tmp_path, "group.api.restart.window").stdout == (
        'group.api.restart.window = "1h"\n'
        "  default   none\n"
        "  set in    site.toml:6\n"
        "  a change  live: nothing is restarted\n"
        "\n"
        "The budget is for any span of this length; false, or not given: for the group's whole life.\n"
    )


@pytest.mark.parametrize(
    ("key", "value", "default", "effect", "place"),
    [
        ("group.api.restart.window", '"1h"', "none", "live", "site.toml:6"),
        ("group.api.stop.grace", '"10s"', '"8s"', "live", "site.toml:3 ([defaults])"),
        ("group.api.umask", '"0077"', "none", "restart", "prod.toml:2"),
        ("group.api.workers", "3", "1", "live", "--set"),
        ("group.api.nice", "none", "none", "restart", "default"),
        ("group.api.env.LEVEL", '"info"', "{}", "restart", "site.toml:7"),
        ("group.api.command", '["run", "--price", "$5"]', "none", "restart", "site.toml:5"),
        ("group.api.v2.command", '["run"]', "none", "restart", "site.toml:9"),
        ("site.control", "none", "none", "up", "default"),
    ],
)
def test_a_value_comes_from_a_file_an_overlay_an_argument_the_defaults_or_nowhere(
    tmp_path: Path, key: str, value: str, default: str, effect: str, place: str
) -> None:
    found = explained(tmp_path, key, "-o", "prod.toml", "--set", "group.api.workers=3")
    assert (found["key"], found["description"] != "") == (key, True)
    assert (found["value"], found["default"], found["effect"], found["place"]) == (value, default, effect, place)


def test_a_table_lists_all_its_keys(tmp_path: Path) -> None:
    found = explained(tmp_path, "group.api")
    assert [one["key"].removeprefix("group.api.") for one in found["keys"]] == [*model.Group.model_fields]
    shown = explain(tmp_path, "group.api.restart").stdout
    assert shown.startswith('group.api.restart  site.toml:6\n\nwindow        "1h"')
    assert shown.count("default\n") == len(model.Restart.model_fields) - 1


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("group.ap.workers", "did you mean group.api?"),
        ("group.api.worker", "did you mean group.api.workers?"),
        ("sit.name", "did you mean site?"),
    ],
)
def test_a_key_that_is_none_is_wrong_usage_with_a_hint(tmp_path: Path, key: str, hint: str) -> None:
    said = explain(tmp_path, key)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.endswith(f"hint: {hint}\n")


def test_an_invalid_configuration_is_explained_by_its_diagnostics(tmp_path: Path) -> None:
    said = explain(tmp_path, "group.api", "--set", "group.api.workers=many")
    assert said.returncode == 78
    assert "is no number of workers" in said.stderr
