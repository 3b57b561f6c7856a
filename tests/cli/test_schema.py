"""`procman schema` as a person calls it."""

from __future__ import annotations

import json
import subprocess
import sys

from procman.config.schema import schema_text


def procman(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "procman", *args], capture_output=True, text=True, timeout=120, check=False
    )


def test_schema_prints_the_json_schema_and_nothing_else() -> None:
    done = procman("schema")
    assert (done.returncode, done.stdout, done.stderr) == (0, schema_text(), "")
    assert json.loads(done.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_schema_takes_no_files() -> None:
    done = procman("schema", "site.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "hint: " in done.stderr
