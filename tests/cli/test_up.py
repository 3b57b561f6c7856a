"""`procman up` as a process: what it ends with, what it writes where, and which signals it hears when."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.procmans import COMMAND, DEADLINE_S, ROOT, on_pipe, on_terminal
from tests.log.lines import parsed
from tests.test_core_imports import extension_directories

PYTHON = "python3"
DEAF = """\
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
signal.pause()
"""


def site(folder: Path, text: str) -> str:
    """The path of a site file with this text in it."""
    path = folder / "site.toml"
    path.write_text(f'schema = 1\n[site]\nname = "shop"\n{text}', encoding="utf-8")
    return str(path)


def group(name: str, command: list[str], more: str = "") -> str:
    return f"[group.{name}]\ncommand = {json.dumps(command)}\n{more}\n"


CRASHING = group("api", ["sh", "-c", "exit 3"], "restart = { max_restarts = 2, backoff = false }")
DONE = group("job", ["true"], 'kind = "job"')


def test_in_a_pipe_every_line_is_json_that_the_schema_allows(tmp_path: Path) -> None:
    with on_pipe("up", site(tmp_path, CRASHING)) as procman:
        assert procman.wait() == 10
        lines = [parsed(line.encode() + b"\n") for line in procman.raw.splitlines()]
    cycle = ["worker.starting", "worker.running", "worker.backoff"]
    assert [line["event"] for line in lines] == [
        "site.loading",
        "site.started",
        *cycle,
        *cycle,
        *cycle[:2],
        "worker.failed",
        "group.failed",
        "site.stopping",
        "site.stopped",
    ]
    assert [(line["restarts"], line["budget_left"]) for line in lines if "budget_left" in line] == [(1, 1), (2, 0)]
    assert (lines[0]["pid"], lines[0]["site"], lines[-1]["site"]) == (procman.pid, None, "shop")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (DONE, 0, "exit code 0"),
        (CRASHING, 10, "2 restarts spent"),
        (group("api", ["no-such-program"]), 12, "command not found"),
        (group("api", ["/"]), 12, "api:0"),
        ("[group.api]\ncomand = 'true'\n", 78, "did you mean `command`?"),
        ("[group.api\n", 78, "site.toml:4:"),
        ("", 78, "hint:"),
    ],
    ids=["done", "budget spent", "not found", "a directory", "unknown key", "no TOML", "no group"],
)
def test_it_ends_with_the_code_that_says_why(tmp_path: Path, text: str, code: int, words: str) -> None:
    with on_terminal("up", site(tmp_path, text)) as procman:
        assert procman.wait() == code
        assert words in procman.text
        assert "Traceback" not in procman.text
        assert procman.left_behind() == []


def test_a_sigterm_at_any_moment_of_the_start_ends_it_cleanly(tmp_path: Path) -> None:
    path = site(tmp_path, group("api", ["sleep", "600"], "workers = 3"))
    for delay_ms in range(0, 400, 25):
        with on_pipe("up", path) as procman:
            with pytest.raises(subprocess.TimeoutExpired):
                procman.process.wait(delay_ms / 1000)
            procman.process.terminate()
            code = procman.wait()
            # Before there is a procman in the process, it dies of the signal, as every program does.
            assert code == 0 or (code, procman.text) == (-signal.SIGTERM, "")
            assert "Traceback" not in procman.text
            assert procman.left_behind() == []


def test_once_it_has_said_a_word_no_signal_is_lost(tmp_path: Path) -> None:
    path = site(tmp_path, group("api", ["sleep", "600"], "workers = 3"))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        with on_pipe("up", path) as procman:
            procman.wait_for("site.loading")
            procman.process.send_signal(number)
            assert procman.wait() == 0


def test_ctrl_c_again_ends_the_deaf_at_once(tmp_path: Path) -> None:
    path = site(tmp_path, group("api", [PYTHON, "-c", DEAF], 'stop = { grace = "60s" }'))
    with on_terminal("up", path) as procman:
        procman.wait_for(r"^api\.0 \| deaf$")
        procman.press("\x03")
        procman.wait_for(r"api:0 +stopping +SIGINT")
        assert procman.press_until_it_ends("\x03") == 0
        procman.wait_for(r"api:0 +stopped +SIGKILL after")
        assert procman.left_behind() == []


def test_a_hang_up_of_the_terminal_ends_it(tmp_path: Path) -> None:
    with on_terminal("up", site(tmp_path, group("api", ["sleep", "600"]))) as procman:
        procman.wait_for("running")
        procman.hang_up()
        assert procman.wait() == 0
        assert procman.left_behind() == []


def test_in_the_background_of_a_terminal_that_stops_writers_it_goes_on(tmp_path: Path) -> None:
    path = site(tmp_path, DONE)
    with on_terminal("up", path, background=True) as procman:
        assert procman.wait() == 0
        assert "exit code 0" in procman.text


def test_with_its_streams_closed_it_takes_no_other_file_for_them(tmp_path: Path) -> None:
    path = site(tmp_path, group("job", ["sh", "-c", "ls -l /proc/self/fd > fds"], f'kind = "job"\ncwd = "{tmp_path}"'))
    shell = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *COMMAND, "up", path]
    assert subprocess.run(shell, cwd=ROOT, timeout=DEADLINE_S, check=False).returncode == 0
    streams = dict(re.findall(r"(\d) -> (\S+)$", (tmp_path / "fds").read_text(encoding="utf-8"), re.MULTILINE))
    assert (streams["0"], streams["2"]) == ("/dev/null", "/dev/null")


def test_the_control_socket_on_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / 'a "place".sock'
    with on_pipe("up", site(tmp_path, group("api", ["sleep", "300"])), "--control", str(path)) as procman:
        procman.wait_for("worker.running")
        asked = subprocess.run(
            [*COMMAND, "status", "-s", str(path), "--ready"],
            cwd=ROOT,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert (asked.returncode, asked.stderr) == (0, b"")
        procman.process.terminate()
        assert procman.wait() == 0
    assert not path.exists()


def test_the_name_and_the_form_on_the_command_line_go_before_the_file(tmp_path: Path) -> None:
    with on_pipe("up", site(tmp_path, DONE), "--name", 'a "copy"', "--log-format", "human") as procman:
        assert procman.wait() != 0
    with on_pipe("up", site(tmp_path, DONE), "--name", "copy", "--log-format", "human") as procman:
        assert procman.wait() == 0
        procman.wait_for(r"^\S+  copy +stopped +exit code 0$")


def test_usr1_begins_a_new_log_file_once_the_old_one_was_moved_away(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    path = site(tmp_path, group("api", ["sleep", "600"]) + '[log]\nfile = "events.jsonl"\n')
    with on_pipe("up", path) as procman:
        procman.wait_for("log.moved")
        old = log.rename(tmp_path / "events.jsonl.1")
        procman.process.send_signal(signal.SIGUSR1)
        procman.until(log.exists)
        procman.process.send_signal(signal.SIGTERM)
        assert procman.wait() == 0
    events = [[parsed(line)["event"] for line in file.read_bytes().splitlines(keepends=True)] for file in (old, log)]
    assert (events[0][0], events[1][0], events[1][-1]) == ("site.started", "site.stopping", "site.stopped")


def test_the_running_core_has_no_foreign_code_in_it(tmp_path: Path) -> None:
    with on_pipe("up", site(tmp_path, group("api", ["sleep", "600"]))) as procman:
        procman.wait_for("worker.running")
        mapped = Path(f"/proc/{procman.pid}/maps").read_text(encoding="utf-8")
        modules = set(re.findall(r"(/\S+\.so)$", mapped, re.MULTILINE))
        extensions = {path for path in modules if ".cpython-" in path or "site-packages" in path}
        assert [path for path in extensions if not path.startswith(extension_directories())] == []
        assert Path(f"/proc/{procman.pid}/comm").read_text(encoding="utf-8") == "procman\n"


def test_a_worker_finds_the_environment_that_procman_was_given_and_nothing_that_python_added(tmp_path: Path) -> None:
    path = site(tmp_path, group("api", ["env"]))
    given = {"PATH": "/usr/bin:/bin", "LANG": "C"}
    done = subprocess.run(
        [*COMMAND, "up", path], env=given, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    own = {f"PROCMAN_{name}" for name in ("SITE", "GROUP", "TASK_ID", "GENERATION", "DIGEST")}
    assert names == {*given, *own}
