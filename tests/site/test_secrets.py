"""Secrets: read at each start by the worker itself, and to be found nowhere else."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.control.test_real import operated
from tests.output.disks import root_only, silent_disk
from tests.site.running import up
from tests.site.sites import FOREVER, group, site_of

VALUE = "hunter2-is-secret"
SAYS = 'echo "value $TOKEN"; exec sleep 3600'


def test_a_secret_is_read_at_each_start_and_told_to_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{VALUE}\n", encoding="utf-8")
    text = site_of(group("api", SAYS, 'env = { TOKEN = { secret = { file = "token" } } }'))
    with operated(tmp_path, text, workers=1) as one:
        assert one.site.until_said("value") == [f"value {VALUE}"]
        file.write_text(f"{VALUE}-2", encoding="utf-8")
        assert one.run("restart", "api").returncode == 0
        assert one.site.until_said("value", 2)[1] == f"value {VALUE}-2"
        one.site.file.write_text(text.replace("TOKEN =", "OTHER ="), encoding="utf-8")
        planned = one.run("plan")
        assert planned.returncode == 4
        assert f"secret in {file}" in one.run("plan", "--json").stdout
        said = [planned, one.run("status", "--json"), one.run("events"), one.run("explain", "group.api.env.OTHER")]
        everything = "".join(done.stdout + done.stderr for done in said) + str([e.fields for e in one.site.events])
        assert VALUE not in everything
        assert VALUE not in Path(f"/proc/{one.site.pid}/environ").read_text(encoding="utf-8")


def test_a_secret_that_is_not_there_is_a_failed_start_that_is_retried_and_names_its_file(tmp_path: Path) -> None:
    options = 'env = { TOKEN = { secret = { file = "token" } } }\nrestart = { backoff = { initial = "100ms" } }'
    with up(tmp_path, site_of(group("api", SAYS, options))) as site:
        failed = site.until("worker.backoff", "api:0")
        assert f"TOKEN: cannot read the secret {tmp_path}/token: No such file or directory" in failed["reason"]
        (tmp_path / "token").write_text(VALUE, encoding="utf-8")
        assert site.until_said("value") == [f"value {VALUE}"]


def test_a_changed_reference_restarts_and_a_changed_secret_does_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    text = site_of(group("api", FOREVER, 'env = { TOKEN = { secret = { file = "a" } } }'))
    with operated(tmp_path, text, workers=1) as one:
        (tmp_path / "a").write_text("changed", encoding="utf-8")
        assert one.run("plan").returncode == 0
        one.site.file.write_text(text.replace('"a"', '"b"'), encoding="utf-8")
        groups = json.loads(one.run("plan", "--json").stdout)["groups"]
        assert groups["api"]["effects"] == ["restarted"]


PROGRAM = """
import os
print("imported", os.environ.get("TOKEN"), flush=True)
def main():
    print("value", os.environ["TOKEN"], len(os.listdir("/proc/self/fd")), flush=True)
    import signal
    while True:
        signal.pause()
"""
CALLABLE = """schema = 1
[site]
name = "test"
[group.api]
callable = "program:main"
path = ["."]
env = { TOKEN = { secret = { file = "token" } }, PYTHONDONTWRITEBYTECODE = "1" }
"""


def test_the_workers_of_a_callable_have_the_secret_and_their_zygote_never_does(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    file = tmp_path / "token"
    file.write_text(f"{VALUE}\n", encoding="utf-8")
    text = CALLABLE + "workers = 2\n"
    with operated(tmp_path, text, workers=2) as one:
        said = one.site.until_said("value", 2)
        assert {line.split()[1] for line in said} == {VALUE}
        assert one.site.until_said("imported") == ["imported None"]
        file.write_text(f"{VALUE}-2", encoding="utf-8")
        one.run("signal", "KILL", "api:0")
        again = one.site.until_said("value", 3)[2]
        assert again.split()[1:] == [f"{VALUE}-2", said[0].split()[2]]
        read = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/environ") if one.site.owns(int(path.parts[2]))]
        kept = [path.read_bytes() for path in (one.folder / "test.plans").iterdir()]
        shown = [one.run("status", "--json").stdout.encode(), one.run("events").stdout.encode()]
        assert (len(kept), VALUE.encode() in b"".join([*read, *kept, *shown])) == (1, False)
        file.unlink()
        one.run("signal", "KILL", "api:1")
        one.site.until("worker.starting", "api:1", count=2)
        failed = [one.site.until("worker.backoff", "api:1", count=count) for count in (1, 2)][-1]
        assert f"TOKEN: cannot read the secret {file}: No such file or directory" in failed["reason"]


def test_a_secret_that_is_no_text_fails_the_start_of_a_callables_worker(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "token").write_bytes(b"\0")
    with up(tmp_path, CALLABLE) as site:
        for count in (1, 2):  # after the second there is a pause: nobody is half born when the site is stopped
            reason = site.until("worker.backoff", "api:0", count)["reason"]
        assert "TOKEN: the secret is no text of at most 64 KiB" in reason


@pytest.mark.parametrize(
    "text", [site_of(group("api", SAYS, 'env = { TOKEN = { secret = { file = "token" } } }')), CALLABLE]
)
def test_a_secret_whose_opening_would_wait_is_a_failed_start_and_nobody_waits(tmp_path: Path, text: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    os.mkfifo(tmp_path / "token")
    text += 'restart = { max_restarts = 1, on_exhausted = "ignore" }\n' + group("db", FOREVER)
    with operated(tmp_path, text, workers=1) as one:
        failed = one.site.until("worker.failed", "api:0")
        assert f"TOKEN: cannot read the secret {tmp_path}/token: it is no regular file" in failed["reason"]
        assert "db:0    running" in one.run("status").stdout


@root_only
@pytest.mark.skipif(not os.access("/dev/fuse", os.W_OK), reason="no FUSE here")
@pytest.mark.parametrize("kind", ["a command", "a callable"])
def test_a_secret_on_a_file_system_that_hangs_holds_up_its_worker_and_nobody_else(tmp_path: Path, kind: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    with silent_disk(tmp_path) as disk:
        command = site_of(group("api", SAYS, 'env = { TOKEN = { secret = { file = "token" } } }'))
        text = (command if kind == "a command" else CALLABLE).replace('"token"', f'"{disk}/token"')
        with operated(tmp_path, text + group("db", FOREVER), workers=1) as one:
            one.site.until("worker.starting", "api:0")
            if kind == "a callable":
                one.site.until_descendants(lambda pids: any(map(_is_courier, pids)))
            assert one.run("restart", "db").returncode == 0
            assert re.search(r"api:0 +starting", one.run("status").stdout)
            assert one.run("stop", "api").returncode == 0
            assert one.run("start", "api", "--no-wait").returncode == 0
            one.site.until("worker.starting", "api:0", count=2)
            assert one.site.stop() == 0
            assert one.site.told("site.stopped")[0]["orphans"] == 0


@root_only
def test_who_reads_a_callables_secret_may_be_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "token").write_text(VALUE, encoding="utf-8")
    with silent_disk(tmp_path) as disk:
        text = CALLABLE.replace('"token"', '"where/token"')
        (tmp_path / "where").symlink_to(disk)
        with up(tmp_path, text) as site:
            site.until("worker.starting", "api:0")
            (courier,) = filter(_is_courier, site.until_descendants(lambda pids: any(map(_is_courier, pids))))
            (tmp_path / "where").unlink()
            (tmp_path / "where").symlink_to(".")
            os.kill(courier, signal.SIGKILL)
            assert site.until_said("value")[0].split()[1] == VALUE


def _is_courier(pid: int) -> bool:
    """Whether it is called what the process is called that opens secrets."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="ascii") == "procman-courier\n"
    return False
