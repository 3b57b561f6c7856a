"""procman as process 1, and the last word that it leaves wherever it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from time import monotonic

import pytest

from tests.site.processes import status
from tests.site.running import Site, up
from tests.site.sites import DEAF, FOREVER, group, python, site_of
from tests.site.test_machine import PROCESS_1

CRASH = "restart = { max_restarts = 0 }"
# As a container engine sees to it: /dev/termination-log is a file from outside. A /dev of its own, lest this machine's
# have one; what procman needs of it is /dev/null.
CONTAINER = """\
mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && : > /dev/termination-log &&
mount --bind "$0" /dev/termination-log && exec "$@"
"""
STRAY = """\
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        deaf = "trap '' TERM; " if "deaf" in sys.argv else ""
        os.execve("/bin/sh", ["sh", "-c", deaf + "echo escaped; exec sleep 3600"], {})
    os._exit(0)
os.wait()
print("left", flush=True)
signal.pause()
"""
"""It has a stray that runs once it says `escaped`, and whose parent is gone once it says `left`."""
root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a /dev")


def without_time(line: bytes | str) -> dict[str, object]:
    fields: dict[str, object] = json.loads(line)
    del fields["ts"]
    return fields


def last_word(site: Site) -> dict[str, object]:
    """The last line of the log."""
    return {name: value for name, value in site.told("site.stopped")[0].fields.items() if name != "ts"}


@root_only
@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        (site_of(group("api", "exit 3", CRASH)), 10, "api failed: exit status 3"),
        (site_of(group("job", "exit 0")), 0, "nothing is left to run"),
        ("schema = 2", 78, "site.toml: 2 errors"),
    ],
    ids=["a failure", "a normal end", "an invalid configuration"],
)
def test_a_container_finds_out_why_procman_ended(tmp_path: Path, text: str, code: int, reason: str) -> None:
    message = tmp_path / "message"
    message.write_text("of the container before")
    before = (*PROCESS_1, "sh", "-c", CONTAINER, str(message))
    with up(tmp_path, text, before=before) as site:
        assert site.wait() == code
    line = message.read_bytes()
    assert (line[-1:], len(line) <= 4096, line.count(b"\n")) == (b"\n", True, 1)
    assert without_time(line) == last_word(site)
    assert str(without_time(line)["reason"]).endswith(reason)


def test_where_the_site_names_a_file_the_last_word_is_there_whoever_runs_procman(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("job", "exit 0"), site='termination_log = "why.json"')) as site:
        assert site.wait() == 0
    assert without_time((tmp_path / "why.json").read_text()) == last_word(site)


@pytest.mark.parametrize("path", ["missing/why.json", ".", "fifo"])
def test_a_last_word_that_cannot_be_written_is_one_warning_and_changes_nothing(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with up(tmp_path, site_of(group("job", "exit 0"), site=f'termination_log = "{path}"')) as site:
        assert site.wait() == 0
    (failed,) = site.told("termination_log.failed")
    assert (failed["level"], failed["file"]) == ("warning", os.path.normpath(tmp_path / path))


def test_at_process_1_a_stop_is_heard_from_the_moment_at_which_signals_are_held(tmp_path: Path) -> None:
    for _ in range(5):
        with up(tmp_path, site_of(group("api", FOREVER)), before=PROCESS_1) as site:
            while status(site.process.pid, "Name") != "unshare" or not children(site) or not held(site):
                site.pause(0.001)
            site.signal(signal.SIGTERM)
            assert site.wait() == 0


def children(site: Site) -> list[int]:
    """Of what stands before procman on the command line."""
    pid = site.process.pid
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))


def held(site: Site) -> bool:
    """Whether process 1 holds the signals; not TERM is looked at, which `unshare` holds for a moment too."""
    return bool(int(status(children(site)[0], "SigBlk"), 16) & 1 << signal.SIGUSR2 - 1)


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
def test_at_process_1_twenty_thousand_orphans_leave_no_zombie(tmp_path: Path) -> None:
    source = Path(__file__).with_name("orphans.c")
    subprocess.run(["gcc", "-O1", "-o", tmp_path / "orphans", source], check=True, timeout=60)
    with up(tmp_path, site_of(group("api", [str(tmp_path / "orphans")])), before=PROCESS_1) as site:
        site.until_said("all gone")
        assert site.stop() == 0
        assert site.told("site.stopped")[0]["orphans"] == 20_000
        assert (site.told("site.draining"), site.told("site.strays")) == ([], [])


@pytest.mark.parametrize("before", [(), PROCESS_1], ids=["subreaper", "process 1"])
@pytest.mark.parametrize(("word", "waits"), [("", 0.0), ("deaf", 2.0)])
def test_a_stray_ends_with_the_site_in_bounded_time(
    tmp_path: Path, before: tuple[str, ...], word: str, waits: float
) -> None:
    with up(tmp_path, site_of(group("api", [*python(STRAY), word])), before=before) as site:
        site.until_said("escaped")
        site.until_said("left")
        began = monotonic()
        assert site.stop() == 0
        assert waits <= monotonic() - began < waits + 20
        assert site.told("site.draining")[0]["processes"] == 1
        assert last_word(site)["orphans"] == 1


def test_at_process_1_the_stop_timeout_bounds_workers_and_drain_together(tmp_path: Path) -> None:
    text = site_of(group("api", DEAF, 'stop = { grace = "1h" }'), site='stop_timeout = "1s"')
    with up(tmp_path, text, before=PROCESS_1) as site:
        site.until_said("deaf")
        began = monotonic()
        assert site.stop() == 0
        assert 1.0 <= monotonic() - began < 20


def test_at_process_1_there_is_no_guard_and_all_end_with_procman(tmp_path: Path) -> None:
    with up(tmp_path, site_of(group("api", FOREVER)), before=PROCESS_1) as site:
        site.until("worker.running")
        assert len(site.descendants()) == 2  # the core, seen from outside, and the worker
        site.signal(signal.SIGKILL)
        assert site.wait() != 0
        assert site.descendants() == []
