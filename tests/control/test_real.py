"""Operators and a real procman: the commands and what they say, and hostile clients of the socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.cli.procmans import COMMAND, DEADLINE_S, ROOT
from tests.site.running import WITHOUT_RIGHTS, Site, up
from tests.site.sites import FOREVER, group, site_of

SITE = site_of(group("api", FOREVER, "workers = 2"), group("db", FOREVER))


class Operated:
    """A site that runs, and its operator."""

    def __init__(self, site: Site, folder: Path, env: Mapping[str, str]) -> None:
        self.site, self.folder, self.env = site, folder, env

    @property
    def address(self) -> Path:
        return self.folder / "test.sock"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.env, *arguments)

    @property
    def environment(self) -> dict[str, str]:
        """That of a command that means this site."""
        return environment(self.env)

    def ask(self, request: Mapping[str, object]) -> list[dict[str, object]]:
        """The replies to a request."""
        with self.connect() as sock, sock.makefile("r", encoding="ascii") as replies:
            sock.sendall(json.dumps({"procman": 1, **request}).encode() + b"\n")
            return [json.loads(line) for line in replies]

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(DEADLINE_S)
        sock.connect(str(self.address))
        return sock


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """That of a command, with these variables."""
    bare = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "PROCMAN_SITE")
    }
    return {**bare, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **env}


def run(env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`procman ARGUMENTS`."""
    everything = environment(env)
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False, env=everything
    )


SPEAKER = """
import os, socket, time
def say(text):
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
say("READY=1")
say("STATUS=12 requests are under way\\nSTOPPING=1")
time.sleep(1000)
"""


@contextmanager
def operated(tmp_path: Path, text: str = SITE, workers: int = 3, *, before: Sequence[str] = ()) -> Iterator[Operated]:
    folder = tmp_path / "sites"
    folder.mkdir(mode=0o700, exist_ok=True)
    env = {"PROCMAN_RUNTIME_DIR": str(folder)}
    with up(tmp_path, text, env=env, before=before) as site:
        site.until("worker.running", count=workers)
        yield Operated(site, folder, env)


def memory(one: Operated) -> int:
    """The core's, in KiB."""
    status = Path(f"/proc/{one.site.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1])


def told(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


def test_workers_are_stopped_started_and_scaled_by_hand(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        before = one.site.pids()
        done = one.run("stop", "api:1")
        assert (done.returncode, done.stdout) == (0, "")
        assert "stop api:1\n" in done.stderr
        one.site.until("worker.stopped", "api:1")
        assert one.run("restart", "db").returncode == 0
        assert one.run("scale", "api=4").returncode == 0
        one.site.until("worker.running", "api:3")
        after = one.site.pids()
        assert (after["api:0"], "api:1" in after, after["db:0"] == before["db:0"]) == (before["api:0"], False, False)
        status = json.loads(one.run("status", "--json").stdout)
        states = {f"{w['group']}:{w['task']}": w["state"] for w in status["workers"]}
        assert states == {
            "api:0": "running",
            "api:1": "stopped",
            "api:2": "running",
            "api:3": "running",
            "db:0": "running",
        }
        assert [(g["name"], g["workers"], g["file_workers"]) for g in status["groups"]] == [("api", 4, 2), ("db", 1, 1)]
        assert all(w["memory_bytes"] for w in status["workers"] if w["pid"])


def test_down_returns_when_procman_is_gone_and_leaves_nothing_but_the_good_plans(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        pid = one.site.pid
        done = one.run("down")
        assert (done.returncode, one.site.wait()) == (0, 0)
        assert not Path(f"/proc/{pid}/exe").exists()
        assert list(one.folder.iterdir()) == [one.folder / "test.plans"]


def test_a_signal_reaches_the_worker(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        assert told(one.run("signal", "USR1", "db")) == (0, "", "signalled db:0\n")
        assert one.site.until("worker.backoff", "db:0")["signal"] == "SIGUSR1"


def test_a_real_time_signal_is_named_as_in_the_configuration(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        assert told(one.run("signal", "RTMIN+1", "db")) == (0, "", "signalled db:0\n")
        assert one.site.until("worker.backoff", "db:0")["signal"] == "signal 35"


def test_all_that_is_in_the_log_is_among_the_events_whoever_has_written_it(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src").chmod(0o300)
    text = site_of(group("api", FOREVER, 'watch = ["src/*.py"]'))
    try:
        with operated(tmp_path, text, 1, before=WITHOUT_RIGHTS if os.getuid() == 0 else ()) as one:
            one.site.until("helper.ready")
            events = [json.loads(line)["event"] for line in one.run("events", "--json").stdout.splitlines()]
            assert events == [event.name for event in one.site.events]
            assert {"site.loading", "watch.blind"} < {*events}
    finally:
        (tmp_path / "src").chmod(0o700)


def test_events_for_people_name_the_site_as_its_log_does(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        assert [" test " in line for line in one.run("events").stdout.splitlines() if " started " in line] == [True]


def test_what_a_command_has_to_say_is_lost_on_a_full_disk_and_it_waits_all_the_same(tmp_path: Path) -> None:
    with operated(tmp_path) as one, open("/dev/full", "wb") as full:  # noqa: PTH123
        for words, code in ((["restart", "db"], 0), (["stop", "nobody"], 1)):
            done = subprocess.run([*COMMAND, *words], stderr=full, timeout=DEADLINE_S, check=False, env=one.environment)
            assert done.returncode == code
        assert one.site.until("worker.running", "db:0", count=2)


def test_events_that_are_followed_for_a_time_end_with_it_and_nothing_has_failed(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        done = one.run("events", "-f", "--timeout", "300ms")
        assert (done.returncode, done.stderr, "api:1" in done.stdout) == (0, "", True)


def test_events_are_replayed_and_followed_to_the_end_of_the_site(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        told_so_far = [json.loads(line) for line in one.run("events", "--json").stdout.splitlines()]
        assert [event["event"] for event in told_so_far][-1] == "worker.running"
        follower = subprocess.Popen(
            [*COMMAND, "events", "-f", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **one.env},
        )
        assert follower.stdout is not None
        with follower, follower.stdout as out:
            first = json.loads(out.readline())
            one.site.signal(signal.SIGTERM)
            rest = [json.loads(line) for line in out]
            assert (first["event"], rest[-1]["event"]) == ("site.loading", "site.stopped")
            assert follower.wait(DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "stderr"),
    [
        (
            ["stop", "nobody"],
            1,
            "procman stop: error: there is no group `nobody`\nhint: the groups are api, db\n",
        ),
        (
            ["start", "api:7"],
            1,
            "procman start: error: there is no worker api:7\nhint: its workers are 0 to 1\n",
        ),
        (
            ["scale", "api=-1"],
            2,
            "procman scale: error: api=-1: not of the form GROUP=N\nhint: for example procman scale api=4\n",
        ),
        (["logs", "-f", "aip"], 1, "procman logs: error: there is no group aip\nhint: \n"),
        (["signal", "URS1", "api"], 2, "procman signal: error: there is no signal URS1\nhint: \n"),
        (
            ["-s", "shop", "status"],
            3,
            "procman status: error: no site `shop` is running\nhint: running: test\n",
        ),
        (
            ["stop", "api", "--timeout", "soon"],
            2,
            "procman stop: error: --timeout soon: no duration\nhint: \n",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_told_with_a_hint(tmp_path: Path, arguments: list[str], code: int, stderr: str) -> None:
    with operated(tmp_path) as one:
        done = one.run(*arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.partition("\nhint")[0] == stderr.partition("\nhint")[0]
        assert "hint: " in done.stderr


def test_where_no_site_runs_that_is_what_is_told(tmp_path: Path) -> None:
    env = {"PROCMAN_RUNTIME_DIR": str(tmp_path)}
    assert told(run(env, "status")) == (
        3,
        "",
        NO_SITE,
    )


@pytest.mark.parametrize("which", ["test", "site.toml", "socket"])
def test_a_site_is_meant_by_its_name_its_file_or_its_socket(tmp_path: Path, which: str) -> None:
    with operated(tmp_path) as one:
        words = {"test": "test", "site.toml": str(one.site.file), "socket": str(one.address)}
        assert [one.run("-s", words[which], "status", "--ready").returncode] == [0]
        assert [one.run("status", "--ready", "-s", words[which]).returncode] == [0]


def test_a_site_that_stands_still_does_not_answer_and_that_is_what_is_told(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        one.site.signal(signal.SIGSTOP)
        try:
            silent = run(one.env, "-s", str(one.site.file), "status"), run(one.env, "status")
        finally:
            one.site.signal(signal.SIGCONT)
        file = f"no site that answers was read from {one.site.file}\nhint: no answer from test"
        assert told(silent[0]) == (3, "", f"procman status: error: {file}\n")
        answer = f"no answer within 5s\nhint: see process {one.site.pid}"
        assert told(silent[1]) == (124, "", f"procman status: error: {answer}\n")


NO_SITE = """\
procman status: error: no site of yours is running
hint: start one with `procman up`, or name its socket with -s
"""

HOSTILE = {
    "garbage": b"\x00\xff" * 100 + b"\n",
    "half a line": b'{"procman":1,"do":"sta',
    "a long line": b"x" * 1_000_000,
    "a deep line": b"[" * 60_000 + b"\n",
    "nothing": b"",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_client_costs_nothing_but_its_own_connection(tmp_path: Path, data: bytes) -> None:
    with operated(tmp_path) as one:
        with one.connect() as sock:
            with suppress(BrokenPipeError):
                sock.sendall(data)
            assert one.run("status", "--ready").returncode == 0
        assert one.run("stop", "db").returncode == 0


def test_a_client_that_sends_a_hundred_megabytes_is_dropped_and_none_of_it_kept(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        before = memory(one)
        with one.connect() as sock, suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100):
                sock.sendall(b"x" * 1_000_000)
            assert sock.recv(1) == b"", "it is not dropped"
        assert one.run("status", "--ready").returncode == 0
        assert memory(one) - before < 1024, "KiB"


def test_more_clients_than_can_be_served_push_out_those_that_ask_nothing(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        idle = [one.connect() for _ in range(80)]
        assert one.run("status", "--ready").returncode == 0
        for sock in idle:
            sock.close()
        assert one.run("status", "--ready").returncode == 0
        assert len(one.site.descriptors()) < 30


def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    crash = group("crash", "exit 1", 'restart = { max_restarts = 3000, backoff = false, on_exhausted = "ignore" }')
    with operated(tmp_path, site_of(group("api", FOREVER), crash), 1) as one, one.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b'{"procman":1,"do":"events","follow":true}\n')
        one.site.until("group.failed")
        assert one.run("status").returncode == 0


def test_status_shows_who_runs_and_is_not_ready_and_what_it_says_of_itself(tmp_path: Path) -> None:
    program = tmp_path / "speaker.py"
    program.write_text(SPEAKER, encoding="utf-8")
    speaker = group("api", f"exec {sys.executable} {program}", "ready = { notify = true }")
    with operated(tmp_path, site_of(speaker), workers=1) as one:
        one.site.until("worker.unready", "api:0")
        (worker,) = json.loads(one.run("status", "--json").stdout)["workers"]
        told = (worker["state"], worker["doing"], worker["unready"], worker["says"])
        assert told == ("running", "stopping", "it says that it is stopping", "12 requests are under way")
        lines = one.run("status").stdout.splitlines()
        assert lines[3].split()[:2] == ["api:0", "stopping"]
        assert lines[-2:] == [
            "api:0 is not ready: it says that it is stopping",
            "api:0 says: 12 requests are under way",
        ]
        assert one.run("status", "--ready").returncode == 1
