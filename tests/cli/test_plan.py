"""`procman plan` between two versions: what is shown, where things stand, and the exit codes.

The golden files are what a terminal of that width shows. After a deliberate change write them anew, and read them:

    PROCMAN_REGENERATE=1 python -m pytest tests/cli/test_plan.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.test_readme import README, blocks

GOLDEN = Path(__file__).parent / "golden"
OLD = """\
schema = 1
[site]
name = "shop"
[defaults.stop]
grace = "10s"
[group.api]
command = ["python3", "-m", "shop", "--port", "1"]
cwd = "/"
workers = 2
env = { LOG_LEVEL = "info", OLD = "1" }
[group.web]
command = "web serve"
cwd = "/"
restart = { max_restarts = 5, window = "5m", success = [0, "TERM"] }
[group.mailer]
command = "mailer"
cwd = "/"
"""
NEW = """\
schema = 1
[site]
name = "shop"
stop_timeout = "1m"
[defaults]
cwd = "/"
stop = { grace = "10s" }
[group.api]
command = ["python3", "-m", "shop", "--port", "2", "--title", "A title that is rather long for a terminal"]
workers = 4
env = { LOG_LEVEL = "debug" }
limits = { nofile = "1000:2000" }
umask = "0077"
listen = "tcp://127.0.0.1:8000"
[group.web]
command = "web serve"
restart = { max_restarts = 6, window = "1h", backoff = { factor = 3 } }
stop = { signal = "INT" }
[group.queue]
command = "queue"
after = ["web"]
"""
ALONE = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def procman(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "procman", *words],
        cwd=folder, env=os.environ | ALONE | env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    said = subprocess.run(
        ["git", *author, *words], cwd=folder, env=os.environ | ALONE, capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose only commit has OLD as configs/site.toml."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "site.toml").write_text(OLD, encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def two_files(folder: Path, old: str = OLD, new: str = NEW) -> None:
    (folder / "old.toml").write_text(old, encoding="utf-8")
    (folder / "new.toml").write_text(new, encoding="utf-8")


def changed(folder: Path, old: str, new: str) -> dict[str, Any]:
    """The groups that change between two versions, as JSON has them."""
    two_files(folder, old, new)
    groups: dict[str, Any] = json.loads(procman(folder, "plan", "old.toml", "new.toml", "--json").stdout)["groups"]
    return groups


@pytest.mark.parametrize("columns", [80, 120])
def test_two_files_are_compared_as_the_golden_file_says(tmp_path: Path, columns: int) -> None:
    two_files(tmp_path)
    said = procman(tmp_path, "plan", "old.toml", "new.toml", COLUMNS=str(columns))
    assert (said.returncode, said.stderr) == (4, "")
    golden = GOLDEN / f"plan-{columns}.txt"
    shown = re.sub(r"\b[0-9a-f]{12}\b", "0123456789ab", said.stdout)
    if os.environ.get("PROCMAN_REGENERATE"):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")
    assert max(map(len, said.stdout.splitlines())) <= columns


def test_where_two_long_values_differ_is_seen_on_a_narrow_terminal(tmp_path: Path) -> None:
    for name, port in (("old.toml", 8001), ("new.toml", 8002)):
        command = f"serve {'--verbose ' * 9}--port {port} --and --more"
        (tmp_path / name).write_text(f'schema = 1\n[group.api]\ncommand = "{command}"\n', encoding="utf-8")
    said = procman(tmp_path, "plan", "old.toml", "new.toml", COLUMNS="80").stdout
    shown = [line[14:].rpartition("  ")[0].rstrip() for line in said.splitlines() if "toml:" in line]
    assert shown == [f"\u2026verbose --port {port} --and --more" for port in (8001, 8002)]
    assert max(map(len, said.splitlines())) <= 80


def test_equal_files_are_no_change(tmp_path: Path) -> None:
    two_files(tmp_path, OLD, "# a comment\n" + OLD)
    said = procman(tmp_path, "plan", "old.toml", "new.toml")
    assert said.returncode == 0
    assert "nothing changes" in said.stdout


def test_an_invalid_file_is_explained_and_ends_with_78(tmp_path: Path) -> None:
    two_files(tmp_path, OLD, NEW.replace("workers", "wrokers"))
    said = procman(tmp_path, "plan", "old.toml", "new.toml")
    assert (said.returncode, said.stdout) == (78, "")
    assert "new.toml:10:1: unknown key `wrokers`" in said.stderr


def test_a_change_tells_both_values_and_both_places(tmp_path: Path) -> None:
    api = changed(tmp_path, OLD, NEW)["api"]
    assert api["effects"] == ["restarted", "scaled"]
    assert {one["key"]: (one["old"], one["new"], one["old_place"], one["new_place"]) for one in api["changed"]} == {
        "command": (
            "python3 -m shop --port 1",
            "python3 -m shop --port 2 --title 'A title that is rather long for a terminal'",
            "old.toml:7",
            "new.toml:9",
        ),
        "env.LOG_LEVEL": ("info", "debug", "old.toml:10", "new.toml:11"),
        "env.OLD": ("1", "-", "old.toml:10", None),
        "umask": ("-", "0077", None, "new.toml:13"),
        "limits.nofile": ("-", "1000:2000", None, "new.toml:12"),
        "workers": ("2", "4", "old.toml:9", "new.toml:10"),
        "listen.api": ("-", "tcp://127.0.0.1:8000", None, "new.toml:14"),
    }


def test_the_working_tree_is_compared_with_a_revision_of_the_repository(repository: Path) -> None:
    assert procman(repository, "plan", "--from", "main").returncode == 0
    (repository / "configs" / "site.toml").write_text(NEW, encoding="utf-8")
    said = procman(repository, "plan", "--from", "main")
    assert said.returncode == 4
    assert "+ queue  started: 1 worker  configs/site.toml:19" in said.stdout
    assert "- mailer  stopped: 1 worker  configs/site.toml:15" in said.stdout


def test_what_a_file_includes_is_read_from_the_revision_too(repository: Path) -> None:
    site = repository / "configs" / "site.toml"
    parts = repository / "configs" / "conf.d"
    parts.mkdir()
    (parts / "a.toml").write_text('[group.a]\ncommand = "a"\n', encoding="utf-8")
    site.write_text(OLD.replace("schema = 1", 'schema = 1\ninclude = ["conf.d/*.toml"]'), encoding="utf-8")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "second")
    (parts / "a.toml").rename(parts / "b.toml")
    assert procman(repository, "plan", "--from", "HEAD").returncode == 0
    (parts / "b.toml").write_text('[group.a]\ncommand = "b"\n', encoding="utf-8")
    said = procman(repository, "plan", "--from", "HEAD")
    assert said.returncode == 4
    assert "configs/conf.d/a.toml:2" in said.stdout
    assert "configs/conf.d/b.toml:2" in said.stdout


def test_a_file_that_the_revision_does_not_have_starts_everything(repository: Path) -> None:
    (repository / "site.toml").write_text(OLD, encoding="utf-8")
    said = procman(repository, "plan", "--from", "main", "site.toml")
    assert said.returncode == 4
    assert said.stdout.count("started: ") == 3


def test_a_revision_that_is_none_is_wrong_usage(repository: Path) -> None:
    said = procman(repository, "plan", "--from", "nowhere")
    assert said.returncode == 2
    assert f"there is no revision nowhere in {repository}\nhint: name a commit, a branch or a tag\n" in said.stderr
    said = procman(repository, "plan", "--from", "")
    assert (said.returncode, "GIT_REV is empty\nhint: is it a variable" in said.stderr) == (2, True)


def test_files_of_no_repository_have_no_revision(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('schema = 1\n[group.a]\ncommand = "true"\n', encoding="utf-8")
    said = procman(tmp_path, "plan", "--from", "HEAD")
    assert said.returncode == 2
    assert f"{tmp_path} is in no git repository\nhint: --from asks git, which has to be installed" in said.stderr


def test_a_hook_or_a_monitor_of_the_repository_is_never_run(repository: Path) -> None:
    spy = repository / "spy"
    spy.write_text(f"#!/bin/sh\ntouch '{repository}/has-run'\n", encoding="utf-8")
    spy.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(spy))
    git(repository, "config", "core.hooksPath", str(repository / "hooks"))
    git(repository, "config", "filter.spy.clean", str(spy))
    (repository / ".gitattributes").write_text("*.toml filter=spy\n", encoding="utf-8")
    assert procman(repository, "plan", "--from", "main").returncode == 0
    assert not (repository / "has-run").exists()


def test_the_lines_of_the_readme_for_ci_and_the_editor_work_as_written(repository: Path, tmp_path: Path) -> None:
    (lines,) = [block for block in blocks("sh") if "--from origin/main" in block]
    shim = tmp_path / "bin" / "procman"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m procman "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    ci, _, _, editor = (line for line in lines.splitlines() if line.startswith("procman"))
    git(repository, "update-ref", "refs/remotes/origin/main", "HEAD")
    (repository / "configs" / "site.toml").write_text(NEW, encoding="utf-8")
    path = f"{shim.parent}:{os.environ['PATH']}"
    said = subprocess.run(
        ["sh", "-e", "-c", f"{ci}\n{editor}"],
        cwd=repository, env=os.environ | ALONE | {"PATH": path, "PYTHONPATH": str(README.parent)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (said.returncode, said.stderr) == (0, "")
    assert "~ api  restarted" in said.stdout
    assert "properties" in json.loads((repository / "site.schema.json").read_text(encoding="utf-8"))


def test_the_pre_commit_hook_that_the_readme_names_checks_the_site(repository: Path) -> None:
    (config,) = [block for block in blocks("yaml") if "hooks:" in block]
    hook = (README.parent / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    name = re.search(r"- id: (.*)", config)
    words = re.search(r"args: \[(.*)\]", config)
    entry = re.search(r"entry: procman (.*)", hook)
    assert name is not None
    assert words is not None
    assert entry is not None
    assert f"- id: {name[1]}\n" in hook
    assert "pass_filenames: false" in hook
    command = [*entry[1].split(), *words[1].split(", ")]
    assert procman(repository, *command).returncode == 0
    (repository / "configs" / "site.toml").write_text(OLD.replace("workers", "wrokers"), encoding="utf-8")
    assert procman(repository, *command).returncode == 78
