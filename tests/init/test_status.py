"""The exit status of `procman init`: the command's own, 128 + n, or why it could not be run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.init.running import DEADLINE_S, ROOT, run

EVERY_STATUS = """
import json, os, sys
sys.path.append(sys.argv[1])
from procman.cli.init import main

def status(*words):
    if not (pid := os.fork()):
        os._exit(main(list(words)))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

everything, found = range(256), {}
for code in everything:
    command = ("--", "sh", "-c", f"exit {code}")
    others = [word for other in everything if other != code for word in ("-e", str(other))]
    found[code] = [status(*command), status("-e", str(code), *command), status(*others, *command)]
print(json.dumps(found))
"""


def test_all_256_statuses_come_through_and_an_expected_one_becomes_0() -> None:
    command = [sys.executable, "-I", "-S", "-c", EVERY_STATUS, str(ROOT)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=4 * DEADLINE_S)
    assert json.loads(done.stdout) == {str(code): [code, 0, code] for code in range(256)}


@pytest.mark.parametrize("mode", [[], ["-c"]], ids=["session", "single-child"])
@pytest.mark.parametrize("number", [1, 2, 3, 6, 9, 11, 13, 15, 34, 64])
def test_death_by_signal_n_is_status_128_plus_n(number: int, mode: list[str]) -> None:
    program = f"import os, signal; signal.signal({number}, 0) if {number} != 9 else 0; os.kill(os.getpid(), {number})"
    no_core = ["prlimit", "--core=0", sys.executable, "-S", "-c", program]
    assert run(*mode, *no_core) == (128 + number, "", "")


def test_death_by_a_signal_can_be_expected() -> None:
    assert run("-e", "143", "sh", "-c", "kill -TERM $$").status == 0


def test_what_cannot_be_run_is_127_or_126_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("echo never")
    (tmp_path / "headless").write_text("#!/no/such/interpreter\n")
    (tmp_path / "headless").chmod(0o755)
    missing = "No such file or directory"
    no_loader = f"{missing} (the file is there; the interpreter or loader that it names is not)"
    for command, status, reason in (
        ("no-such-command", 127, missing),
        ("/no/such/command", 127, missing),
        ("", 127, missing),
        ("./plain/below", 127, "Not a directory"),
        ("./plain", 126, "Permission denied"),
        (".", 126, "Permission denied"),
        ("./.", 126, "Is a directory"),
        ("plain", 126, "Permission denied"),
        ("./headless", 127, no_loader),
        ("./a\udcffb", 127, missing),
    ):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", ONE, str(ROOT), "--", os.fsencode(command), "x"],
            cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=DEADLINE_S,
        )  # fmt: skip
        said = b"procman: %s: %s\n" % (os.fsencode(command), reason.encode())
        assert (done.returncode, done.stdout, done.stderr) == (status, b"", said)


ONE = "import sys; sys.path.append(sys.argv[1]); from procman.cli.init import main; sys.exit(main(sys.argv[2:]))"


def test_a_failed_start_can_be_expected() -> None:
    assert run("-e", "127", "no-such-command").status == 0


def test_no_room_for_a_child_is_status_1_with_the_reason() -> None:
    program = (
        "import os, resource, sys; sys.path.append(sys.argv[1]); import procman.kernel.init.init\n"
        "from procman.cli.init import main\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0)); os.getuid() or os.setuid(54321); sys.exit(main(['true']))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(ROOT)], capture_output=True, check=False, timeout=DEADLINE_S
    )
    assert (done.returncode, done.stderr) == (1, b"procman: cannot start: Resource temporarily unavailable\n")


def test_a_script_without_a_first_line_is_run_by_sh(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$0" "$@"; exit 7\n')
    script.chmod(0o755)
    assert run(str(script), "a", "b c") == (7, f"{script} a b c\n", "")


def test_a_command_is_searched_as_execvp_does(tmp_path: Path) -> None:
    for place, mode, text in (("1", 0o644, "no"), ("2", 0o755, "echo second"), ("3", 0o755, "echo third")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "tool").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / place / "tool").chmod(mode)
    path = f"{tmp_path}/none:{tmp_path}/1:{tmp_path}/2:{tmp_path}/3:{os.environ['PATH']}"
    assert run("tool", env=os.environ | {"PATH": path}) == (0, "second\n", "")
    assert run("tool", env=os.environ | {"PATH": f":{os.environ['PATH']}"}, cwd=tmp_path / "3") == (0, "third\n", "")


def test_without_a_path_the_usual_places_are_searched() -> None:
    assert run("true", env={}) == (0, "", "")


def test_a_killed_init_is_no_status_of_the_command() -> None:
    assert run("sh", "-c", "kill -KILL $PPID").status == -signal.SIGKILL
