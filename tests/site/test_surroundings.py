"""What a worker finds when it begins: environment, directory, mask, descriptors, signals."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.site.running import ROOT, up
from tests.site.sites import FOREVER, group, python, site_of

PATHS = pytest.mark.parametrize("path", ["vfork", "fork"])
SHOW_ENVIRONMENT = ["env", "-0"]
SHOW_SIGNALS = "exec grep -E '^Sig(Blk|Ign)' /proc/self/status"
BLOCKED = "import os, signal, sys; signal.pthread_sigmask(0, range(1, 65)); os.execvp(sys.argv[1], sys.argv[1:])"
NO_SIGCHLD = (
    "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])"
)


def environment_of(folder: Path, *options: str, **more: Any) -> dict[str, str]:
    """What a job finds that is started with these options."""
    with up(folder, site_of(group("job", SHOW_ENVIRONMENT, 'kind = "job"', *options)), **more) as site:
        assert site.wait() == 0
        entries = [line for text in site.words for line in text.split("\0") if line]
        return dict(entry.split("=", 1) for entry in entries)


def test_an_env_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    lines = """\
# a comment
PLAIN=value
export QUOTED="two words"
SINGLE='with # and $HOME'
EQUALS=a=b=c
HASH=a#b
PERCENT=100%
EMPTY=
BOTH=file
OUTER=file
LAST=no newline"""
    (tmp_path / "my.env").write_text(lines, encoding="utf-8")
    outside = {"OUTER": "outside", "ONLY_OUTSIDE": "yes"}
    found = environment_of(tmp_path, 'env_file = "my.env"', 'env = { BOTH = "own" }', env=outside)
    expected = {
        "PLAIN": "value",
        "QUOTED": "two words",
        "SINGLE": "with # and $HOME",
        "EQUALS": "a=b=c",
        "HASH": "a#b",
        "PERCENT": "100%",
        "EMPTY": "",
        "BOTH": "own",
        "OUTER": "file",
        "LAST": "no newline",
        "ONLY_OUTSIDE": "yes",
    }
    assert {name: found.get(name) for name in expected} == expected


def test_a_missing_env_file_is_refused_unless_it_is_optional(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("job", "true", 'env_file = "missing.env"'))) as site:
        assert site.wait() == 78
        assert "missing.env" in "\n".join(site.foreign)
    found = environment_of(tmp_path, 'env_file = { path = "missing.env", optional = true }')
    assert found["PROCMAN_GROUP"] == "job"


@PATHS
def test_a_worker_knows_who_it_is_and_keeps_its_number_over_restarts(tmp_path: Path, path: str) -> None:
    tell = f"echo $PROCMAN_SITE $PROCMAN_GROUP $PROCMAN_TASK_ID $PROCMAN_GENERATION $OWN; {FOREVER}"
    own = 'env = { OWN = "${PROCMAN_GROUP}-${PROCMAN_TASK_ID}.${PROCMAN_GENERATION}" }'
    with up(tmp_path, site_of(group("api", tell, "workers = 3", own, f'spawn = "{path}"'))) as site:
        assert sorted(site.until_said("test", 3)) == [f"test api {task} 1 api-{task}.1" for task in range(3)]
        site.until("worker.running", count=3)
        os.kill(site.pids()["api:1"], signal.SIGKILL)
        assert site.until_said("test", 4)[3] == "test api 1 2 api-1.2"


@PATHS
@pytest.mark.parametrize(
    ("umask", "modes"), [("", "644 755"), ('umask = "0077"', "600 700"), ('umask = "0"', "666 777")]
)
def test_the_umask_is_the_inherited_one_or_the_one_configured(
    tmp_path: Path, umask: str, modes: str, path: str
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    show = "touch file; mkdir folder; echo $(stat -c %a file folder)"
    job = group("job", show, 'kind = "job"', f'cwd = "{work}"', umask, f'spawn = "{path}"')
    with up(tmp_path, site_of(job), before=("sh", "-c", 'umask 022; exec "$@"', "sh")) as site:
        assert site.wait() == 0
        assert site.words == [modes]


@PATHS
def test_a_worker_has_three_descriptors_whatever_procman_was_given(tmp_path: Path, path: str) -> None:
    show = "exec ls -l /proc/self/fd"
    gifts = [os.open("/etc/hostname", os.O_RDONLY) for _ in range(20)]
    log = f'file = "{tmp_path}/events"'
    jobs = [group(name, show, 'kind = "job"', f'spawn = "{path}"') for name in ("a", "b")]
    with up(tmp_path, site_of(*jobs, log=log), pass_fds=gifts) as site:
        assert site.wait() == 0
        links = [line.split()[-3:] for line in site.words if "->" in line]
        targets = {(name, target.partition(":")[0]) for name, _, target in links}
        assert {pair for pair in targets if pair[0] < "3"} == {("0", "/dev/null"), ("1", "pipe"), ("2", "pipe")}
        assert [pair for pair in targets if pair[0] > "3" or not pair[1].startswith(("/dev", "pipe", "/proc"))] == []
    for gift in gifts:
        os.close(gift)


@PATHS
@pytest.mark.parametrize(
    "before",
    [(), ("nohup",), (sys.executable, "-c", BLOCKED), (sys.executable, "-c", NO_SIGCHLD)],
    ids=["plain", "nohup", "blocked", "no CHLD"],
)
def test_a_worker_has_every_signal_at_its_default(tmp_path: Path, before: Sequence[str], path: str) -> None:
    job = group("job", SHOW_SIGNALS, 'kind = "job"', f'spawn = "{path}"')
    with up(tmp_path, site_of(job), before=before) as site:
        assert site.wait() == 0
        zero = "0" * 16
        assert site.words == [f"SigBlk:\t{zero}", f"SigIgn:\t{zero}"]
        assert [event["exit_code"] for event in site.told("worker.exited")] == [0]


def test_it_ends_on_a_signal_that_its_parent_had_blocked(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("api", FOREVER)), before=(sys.executable, "-c", BLOCKED)) as site:
        site.until("worker.running")
        assert site.stop() == 0


@PATHS
def test_a_worker_leads_a_session_of_its_own(tmp_path: Path, path: str) -> None:
    show = "import os; print(os.getpid() == os.getsid(0) == os.getpgid(0))"
    with up(tmp_path, site_of(group("job", python(show), 'kind = "job"', f'spawn = "{path}"'))) as site:
        assert site.wait() == 0
        assert site.words == ["True"]


@PATHS
def test_the_environment_reaches_the_worker_byte_by_byte(tmp_path: Path, path: str) -> None:
    strange = ["LATIN=caf\udce9", "SNOW=☃", "n\udcff-ame.1=\x01\x7f", "EMPTY=", "LONG=" + "x" * 100_000]
    given = [f"PATH={os.environ['PATH']}", f"PYTHONPATH={ROOT}", *strange]
    with up(
        tmp_path,
        site_of(group("job", SHOW_ENVIRONMENT, 'kind = "job"', f'spawn = "{path}"')),
        before=("env", "-i", *given),
    ) as site:
        assert site.wait() == 0
        digest = f"PROCMAN_DIGEST={site.told('site.started')[0]['digest']}"
        ours = ["PROCMAN_SITE=test", "PROCMAN_GROUP=job", "PROCMAN_TASK_ID=0", "PROCMAN_GENERATION=1", digest]
        assert sorted("".join(site.words).split("\0")) == sorted(["", *given, *ours])
