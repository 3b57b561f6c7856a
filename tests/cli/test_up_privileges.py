"""`procman up` and `check` with privileges that this machine gives, and with some that it does not."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.procmans import COMMAND, DEADLINE_S, ROOT

HUMBLE = ["prlimit", "--nofile=1000:1000"]
"""Runs a command that cannot raise this limit."""
if os.geteuid() == 0:
    HUMBLE += ["setpriv", "--bounding-set=-sys_resource"]

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a worker to another user")


def run(folder: Path, command: str, text: str, prefix: list[str]) -> subprocess.CompletedProcess[str]:
    """A procman over a site of one job, to its end."""
    path = folder / "site.toml"
    job = f"schema = 1\n[site]\nname = 'shop'\n[group.job]\nkind = 'job'\ncwd = '/'\n{text}\n"
    path.write_text(job, encoding="utf-8")
    return subprocess.run(
        [*prefix, *COMMAND, command, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def events(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def test_a_limit_that_is_not_permitted_fails_its_worker_at_once_by_name_and_ends_with_12(tmp_path: Path) -> None:
    ended = run(tmp_path, "up", "command = 'true'\nlimits = { nofile = '20:2000' }\nrestart.max_restarts = 5", HUMBLE)
    assert ended.returncode == 12
    failed = [event["reason"] for event in events(ended.stderr) if event["event"].startswith("worker.fail")]
    why = "limits.nofile: cannot raise the hard limit above 1000 without CAP_SYS_RESOURCE"
    assert failed == [f"cannot start: {why}; not retried"]


def test_check_foresees_it(tmp_path: Path) -> None:
    checked = run(tmp_path, "check", "command = 'true'\nlimits = { nofile = '20:2000' }", HUMBLE)
    assert checked.returncode == 0
    warning = "warning: job: limits.nofile: cannot raise the hard limit above 1000 without CAP_SYS_RESOURCE"
    assert warning in " ".join(checked.stdout.split())


@root_only
def test_a_job_of_another_user_is_that_user_and_the_log_goes_on(tmp_path: Path) -> None:
    said = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME $SHELL; umask; ulimit -n"
    text = f"command = ['sh', '-c', '{said}']\nuser = 'nobody'\numask = '0077'\nlimits.nofile = '20:20'"
    log = tmp_path / "log" / "events"
    log.parent.mkdir(mode=0o700)
    ended = run(tmp_path, "up", f"{text}\n[log]\nfile = '{log}'", [])
    nobody = pwd.getpwnam("nobody")
    groups = " ".join(map(str, os.getgrouplist("nobody", nobody.pw_gid)))
    home = f"{nobody.pw_dir} nobody nobody {nobody.pw_shell}"
    assert ended.stdout.splitlines() == [str(nobody.pw_uid), str(nobody.pw_gid), groups, home, "0077", "20"]
    assert (ended.returncode, events(log.read_text(encoding="utf-8"))[-1]["event"]) == (0, "site.stopped")
