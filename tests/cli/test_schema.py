"""`procman schema` as a person calls it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from procman.cli.schema import SCHEMAS
from procman.config.schema import schema_text
from tests.cli.procmans import ROOT


def procman(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "procman", *args], capture_output=True, text=True, timeout=120, check=False
    )


def test_schema_prints_the_json_schema_and_nothing_else() -> None:
    done = procman("schema")
    assert (done.returncode, done.stdout, done.stderr) == (0, schema_text(), "")
    assert json.loads(done.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("of", SCHEMAS)
def test_each_file_in_schemas_is_what_the_command_prints(of: str) -> None:
    done = procman("schema", of)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "schemas" / f"{of}.schema.json").read_text(encoding="utf-8")


def test_there_is_no_other_file_in_schemas() -> None:
    assert sorted(path.name for path in (ROOT / "schemas").iterdir()) == sorted(f"{of}.schema.json" for of in SCHEMAS)


def test_schema_takes_no_files() -> None:
    done = procman("schema", "site.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "hint: " in done.stderr
