"""`procman check` as a person calls it: what is printed where, and the exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from procman.plan import digest, from_json

SITE = """\
schema = 1

[site]
name = "shop"

[defaults.restart]
max_restarts = 10
window = "10m"

[group.api]
command = ["python3", "-m", "uvicorn", "shop:app", "--title", "My Shop"]
workers = 2
after = { migrate = "completed", cache = "ready" }

[group.migrate]
kind = "job"
command = "python3 manage.py migrate --only ${PROCMAN_TASK_ID}"
restart.max_restarts = 0

[group.cache]
command = "cache | tee log"
stop = { signal = "INT", drain = "1s", grace = "2s" }
"""

SUMMARY = """\
site shop: 3 groups, 4 workers, digest DIGEST

api: 2 workers
  command  python3 -m uvicorn shop:app --title 'My Shop'
  in       /srv
  restart  on-failure, at most 10 in 10m, then the site shuts down
  backoff  0s, then 500ms, times 2, up to 30s
  stop     SIGTERM, SIGKILL after 8s
  after    migrate (completed), cache (ready)

migrate: job, 1 worker
  command  python3 manage.py migrate --only ${PROCMAN_TASK_ID}
  in       /srv
  restart  never; after a failure the site shuts down
  stop     SIGTERM, SIGKILL after 8s

cache: 1 worker
  command  cache '|' tee log
  in       /srv
  restart  on-failure, at most 10 in 10m, then the site shuts down
  backoff  0s, then 500ms, times 2, up to 30s
  stop     1s of drain, SIGINT, SIGKILL after 2s

stops within 16s at worst; as process 1 all is killed after 9s

warning: cache: `|` is passed to the program as it stands: no shell runs the
         command; for one write ["sh", "-c", "…"]
"""


def check(cwd: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "procman", "check", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    return tmp_path


def test_a_valid_site_is_summed_up_within_80_columns(folder: Path) -> None:
    done = check(folder, "site.toml", "--set", "defaults.cwd=/srv")
    plan = from_json(check(folder, "site.toml", "--set", "defaults.cwd=/srv", "--json").stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == SUMMARY.replace("DIGEST", digest(plan))
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_terminal_that_is_not_utf8_is_no_reason_to_fail(folder: Path) -> None:
    done = check(folder, "site.toml", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "shop: 3 groups" in done.stdout


def test_json_prints_the_plan_and_warns_on_stderr(folder: Path) -> None:
    done = check(folder, "site.toml", "--json")
    assert done.returncode == 0
    assert [group.name for group in from_json(done.stdout).groups] == ["api", "migrate", "cache"]
    assert done.stderr.startswith("warning: cache: `|` is passed")


def test_an_overlay_and_a_set_are_laid_over_the_file(folder: Path) -> None:
    (folder / "prod.toml").write_text("[group.api]\nworkers = 8\n", encoding="utf-8")
    plan = from_json(check(folder, "site.toml", "-o", "prod.toml", "--set", "site.name=prod", "--json").stdout)
    assert (plan.name, plan.groups[0].workers) == ("prod", 8)


def test_every_mistake_is_on_stderr_and_the_exit_code_is_78(folder: Path) -> None:
    (folder / "site.toml").write_text('schema = 1\n[group.web]\ncomand = "web"\nworkers = 1.5\n', encoding="utf-8")
    done = check(folder, "site.toml", "--json")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == (
        "site.toml:3:1: unknown key `comand` in [group.web]\n"
        '    3 | comand = "web"\n'
        "      | ^^^^^^\n"
        "hint: did you mean `command`?\n"
        "\n"
        "site.toml:4:11: 1.5 is no number of workers\n"
        "    4 | workers = 1.5\n"
        "      |           ^^^\n"
        'hint: write a number, or "auto" for one per CPU\n'
        "\n"
        "site.toml: 2 errors\n"
    )


@pytest.mark.parametrize("name", ["nowhere.toml", "/dev/zero", "."])
def test_a_file_that_cannot_be_read_is_an_invalid_configuration(folder: Path, name: str) -> None:
    done = check(folder, name)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"{name}:1:1: ")
    assert done.stderr.endswith(f"{name}: 1 error\n")


def test_the_command_line_is_read_without_the_models() -> None:
    code = "import procman.cli.check, procman.cli.schema, sys; print(sorted({'pydantic', 'tomli'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"


WRONG_USAGE = [[], ["--jsn", "site.toml"], ["site.toml", "--set", "workers"], ["site.toml", "--set", "=1"], ["-o"]]


@pytest.mark.parametrize("args", WRONG_USAGE)
def test_wrong_usage_is_2_with_a_hint(folder: Path, args: list[str]) -> None:
    done = check(folder, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: " in done.stderr
    assert "\nhint: " in done.stderr


def test_the_help_has_examples_and_exit_codes(folder: Path) -> None:
    done = check(folder, "--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert "78   the configuration is invalid" in done.stdout


def test_a_cycle_names_its_members_before_anything_runs(folder: Path) -> None:
    text = 'schema = 1\n[group.a]\ncommand = "a"\nafter = ["b"]\n[group.b]\ncommand = "b"\nafter = ["a"]\n'
    (folder / "site.toml").write_text(text, encoding="utf-8")
    done = check(folder, "site.toml")
    assert done.returncode == 78
    assert done.stderr.startswith("site.toml:7:10: these groups wait for each other: a → b → a\n")
