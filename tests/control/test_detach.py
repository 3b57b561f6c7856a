"""`up --detach`, `status --watch` on a terminal, and what a shell is told to complete."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from tests.cli.procmans import COMMAND, DEADLINE_S, Procman, on_pipe
from tests.control.test_real import environment, operated, run
from tests.site.sites import FOREVER, group, site_of

SITE = site_of(group("api", FOREVER, "workers = 2"), group("db", FOREVER))


def detached(folder: Path, text: str, *arguments: str) -> tuple[dict[str, str], subprocess.CompletedProcess[str]]:
    """`procman up --detach`, its log in a file; and the environment of those who mean that site."""
    runtime = folder / "sites"
    runtime.mkdir(mode=0o700)
    (folder / "site.toml").write_text(text.replace("[log]", '[log]\nfile = "events.jsonl"'), encoding="utf-8")
    env = {"PROCMAN_RUNTIME_DIR": str(runtime)}
    return env, run(env, "up", "--detach", str(folder / "site.toml"), *arguments)


def test_detach_returns_when_the_site_is_ready_and_the_site_runs_on(tmp_path: Path) -> None:
    env, done = detached(tmp_path, SITE)
    try:
        assert (done.returncode, done.stdout) == (0, "")
        assert "test is ready" in done.stderr
        assert run(env, "status", "--ready").returncode == 0
    finally:
        assert run(env, "down").returncode == 0


TALKER = group("api", "echo I am here >&2; echo >&3; exec sleep 3600", "ready = { fd = 3 }")
"""Shares procman's streams, and writes before it is ready."""


@contextmanager
def detached_from_a_pipe(folder: Path, text: str) -> Iterator[tuple[Procman, dict[str, str]]]:
    """`procman up --detach` whose standard error is a pipe; and the environment of those who mean that site."""
    (folder / "site.toml").write_text(text, encoding="utf-8")
    env = {"PROCMAN_RUNTIME_DIR": str(folder)}
    with on_pipe("up", "--detach", str(folder / "site.toml"), env=env) as procman:
        try:
            yield procman, env
        finally:
            run(env, "down")


def test_detach_lets_go_of_a_pipe_and_tells_where_the_log_goes_on(tmp_path: Path) -> None:
    with detached_from_a_pipe(tmp_path, site_of(TALKER)) as (procman, env):
        assert procman.wait() == 0
        procman.read_to_the_end()
        *log, ready, hint = procman.text.splitlines()
        assert {"site.loading", "site.started", "worker.running"} <= {json.loads(line)["event"] for line in log}
        assert ready.startswith("test is ready, as process ")
        assert hint.startswith("hint: its log ends here; `procman events` shows the last of it")
        assert run(env, "restart", "api").returncode == 0  # it writes on, and nobody minds
        assert "restarted" in run(env, "events").stdout


def test_detach_lets_go_of_a_pipe_when_it_has_told_that_a_group_will_never_be_ready(tmp_path: Path) -> None:
    never = group("never", ["no-such-command"], 'restart = { on_exhausted = "stop" }')
    with detached_from_a_pipe(tmp_path, site_of(TALKER, never)) as (procman, _):
        assert procman.wait() == 1
        procman.read_to_the_end()
        assert "never:0 failed: cannot start: no-such-command: command not found" in procman.text


def test_a_pipe_is_let_go_of_when_who_has_detached_the_site_is_killed(tmp_path: Path) -> None:
    never_ready = site_of(group("api", FOREVER, "ready = { fd = 3 }"))
    with detached_from_a_pipe(tmp_path, never_ready) as (procman, env):
        procman.wait_for("worker.starting")
        procman.process.kill()
        procman.read_to_the_end()
        assert run(env, "status").returncode == 0


def test_the_diagnostics_of_a_site_that_is_detached_are_on_standard_error(tmp_path: Path) -> None:
    with detached_from_a_pipe(tmp_path, "schema = 1\ncolour = 1\n") as (procman, _):
        assert procman.wait() == 78
        procman.read_to_the_end()
        assert "colour = 1" in procman.text


def test_a_file_that_standard_error_is_keeps_the_log_and_what_workers_write(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(site_of(TALKER), encoding="utf-8")
    env, log = {"PROCMAN_RUNTIME_DIR": str(tmp_path)}, tmp_path / "log"
    command = [*COMMAND, "up", "--detach", str(tmp_path / "site.toml")]
    with log.open("wb") as stderr:
        done = subprocess.run(command, stderr=stderr, timeout=DEADLINE_S, check=False, env=environment(env))
    try:
        assert (done.returncode, "hint:" in log.read_text(encoding="utf-8")) == (0, False)
        assert run(env, "restart", "api").returncode == 0
    finally:
        assert run(env, "down").returncode == 0
    text = log.read_text(encoding="utf-8")
    assert (text.count('"worker.running"'), text.count("I am here"), text.count('"site.stopped"')) == (2, 2, 1)


def test_a_site_without_a_control_socket_is_detached_and_not_waited_for(tmp_path: Path) -> None:
    text = site_of(group("api", FOREVER)).replace("[site]", f'[site]\ncontrol = false\npid_file = "{tmp_path}/pid"')
    with detached_from_a_pipe(tmp_path, text) as (procman, _):
        assert procman.wait() == 0
        procman.read_to_the_end()
        pid = int((tmp_path / "pid").read_text(encoding="ascii"))
        assert f"started, as process {pid}; without a control socket" in procman.text
        os.kill(pid, signal.SIGTERM)
        assert procman.left_behind() == []


def test_nobody_waits_for_a_job_until_it_is_due_or_for_the_first_connection(tmp_path: Path) -> None:
    nightly = group("nightly", FOREVER, 'kind = "job"', 'schedule = "0 0 1 1 *"')
    door = group("door", FOREVER, 'listen = { address = "unix:door.sock", on_demand = true }')
    env, done = detached(tmp_path, site_of(group("api", FOREVER), nightly, door))
    try:
        assert (done.returncode, run(env, "status", "--ready").returncode) == (0, 0)
    finally:
        assert run(env, "down").returncode == 0


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("schema = 1\ncolour = 1\n", 78, "colour"),
        (site_of(group("api", ["no-such-command"])), 12, ""),
    ],
    ids=["invalid", "cannot start"],
)
def test_detach_returns_with_the_error_of_a_site_that_cannot_start(
    tmp_path: Path, text: str, code: int, said: str
) -> None:
    env, done = detached(tmp_path, text)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert run(env, "status").returncode == 3


def test_detach_tells_of_a_group_that_will_never_be_ready_and_leaves_the_rest(tmp_path: Path) -> None:
    never = group("never", ["no-such-command"], 'restart = { on_exhausted = "stop" }')
    env, done = detached(tmp_path, site_of(group("api", FOREVER), never))
    try:
        assert done.returncode == 1
        assert "never:0 failed: cannot start: no-such-command: command not found" in done.stderr
        assert "procman -s test down" in done.stderr
    finally:
        assert run(env, "down").returncode == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sta"], {"start", "status"}),
        (["in"], {"init"}),
        (["init", "--s"], {"--single-child", "--subreaper"}),
        (["stop", ""], {"api", "db"}),
        (["logs", "-f", "d"], {"db"}),
        (["stop", "api:"], {"api:0", "api:1"}),
        (["scale", "a"], {"api="}),
        (["signal", "USR"], {"USR1", "USR2"}),
        (["reload", "--r"], {"--reset"}),
        (["-s", "t"], {"test"}),
    ],
)
def test_a_shell_is_told_what_may_come_next(tmp_path: Path, words: list[str], expected: set[str]) -> None:
    with operated(tmp_path, SITE) as one:
        done = one.run("completion", "words", "--", *words)
        assert (done.returncode, set(done.stdout.split())) == (0, expected)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_lines_for_a_shell_are_its_language(shell: str) -> None:
    done = run({}, "completion", shell)
    assert done.returncode == 0
    if shell == "bash":  # the others need not be installed
        checked = subprocess.run(["bash", "-n"], input=done.stdout, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "found"), [("a", "api"), ("api :", "0 1"), ("api : 1", "1"), ("db api : 0 d", "db")], ids=str
)
def test_bash_completes_the_groups_and_workers_of_the_running_site(tmp_path: Path, typed: str, found: str) -> None:
    """What was typed is broken by bash at each colon."""
    with operated(tmp_path, SITE) as one:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "procman"
        program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n', encoding="ascii")
        program.chmod(0o755)
        words = f"COMP_WORDS=(procman stop {typed}) COMP_CWORD={1 + len(typed.split())}"
        script = f'set -u\neval "$(procman completion bash)"\n{words}\n_procman\necho "${{COMPREPLY[@]}}"'
        env = {**one.environment, "PATH": f"{folder}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", script], env=env, text=True, capture_output=True, check=True)
        assert done.stdout == f"{found}\n"


class Terminal:
    """A command on a terminal of 80 columns and 10 rows."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            bare = {name: value for name, value in env.items() if name != "COLUMNS"}
            os.execvpe(COMMAND[0], [*COMMAND, *arguments], bare)
        self.seen = b""
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("4H", 10, 80, 0, 0))

    def until(self, done: Callable[[str], bool], what: str) -> None:
        """Read until what it has written says so."""
        deadline = monotonic() + DEADLINE_S
        while not done(self.text):
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - monotonic()))
            assert ready, f"never came: {what}\n{self.text!r}"
            try:
                self.seen += os.read(self._fd, 65536)
            except OSError:
                assert done(self.text), f"it has ended without {what}\n{self.text!r}"

    @property
    def text(self) -> str:
        return self.seen.decode("utf-8", "replace")

    @property
    def screen(self) -> list[str]:
        """The last picture, without colours."""
        last = self.text.rpartition("\x1b[H")[2]
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", last).splitlines()

    def press(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def end(self) -> int:
        """Wait for its end: its exit code."""
        while True:
            try:
                self.seen += os.read(self._fd, 65536)
            except OSError:
                break
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_watch_shows_every_change_until_ctrl_c_and_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with operated(tmp_path, SITE) as one:
        terminal = Terminal(one.environment, "status", "--watch")
        terminal.until(lambda text: text.count("running") >= 3, "the first picture")
        assert one.run("stop", "db").returncode == 0
        terminal.until(lambda _: any(line.startswith("db:0") and "stopped" in line for line in terminal.screen), "db")
        assert max(map(len, terminal.screen)) <= 80
        terminal.press(b"\x03")
        assert terminal.end() == 0
        assert "\x1b[?1049h" in terminal.text
        assert "\x1b[?25h\x1b[?1049l" in terminal.text


def test_watch_ends_with_the_site_and_shows_no_more_lines_than_there_are_rows(tmp_path: Path) -> None:
    with operated(tmp_path, site_of(group("api", FOREVER, "workers = 20")), 20) as one:
        terminal = Terminal(one.environment, "status", "--watch")
        terminal.until(lambda text: " more" in text, "a picture that is cut")
        assert len(terminal.screen) <= 10
        one.site.signal(signal.SIGTERM)
        assert terminal.end() == 0
