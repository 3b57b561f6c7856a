"""What the command finds is what the caller of procman had: environment, signals, descriptors, directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.init.running import DEADLINE_S, HERE, INIT, ROOT, run

ISOLATED = "import sys; sys.path.append(sys.argv[1]); from procman.cli.init import main; sys.exit(main(sys.argv[2:]))"
INITS = pytest.mark.parametrize(
    "init",
    [INIT, (sys.executable, "-I", "-S", "-X", "utf8", "-c", ISOLATED, str(ROOT))],
    ids=["from any interpreter", "from an isolated one"],
)
MODES = pytest.mark.parametrize("mode", [[], ["-c"]], ids=["session", "single-child"])


def output(*command: str | bytes, before: str = "", **how: object) -> bytes:
    """Standard output of a command, run by a Python program that does `before` first."""
    program = f"import os, signal, sys; {before or 'pass'}; os.execv(sys.argv[1], sys.argv[1:])"
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-I", "-c", program, *command], stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S, **how
    ).stdout


@INITS
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["PATH=/bin:/usr/bin", "LANG=C", "LC_ALL="],
        ["discovery.type=single-node", "FOO-BAR=1", "1=2", "=odd=odd", "EMPTY=", "N=a=b\nc", "A=1", "A=2", "Z=\udcff"],
        [
            "PYTHONPATH=/app:/lib",
            "PYTHONSTARTUP=/none",
            "PYTHONDONTWRITEBYTECODE=1",
            "PWD=/elsewhere",
            "_=x",
            "SHLVL=9",
        ],
        ["PYTHONWARNINGS=error", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0", "PYTHONINSPECT=1", "PYTHONNOUSERSITE=1"],
    ],
    ids=["empty", "locale", "odd", "python", "strict"],
)
def test_the_environment_is_the_callers_entry_for_entry(init: tuple[str, ...], settings: list[str]) -> None:
    entries = [os.fsencode(setting) for setting in settings]
    command = [*init, "--", "/bin/cat", "/proc/self/environ"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(HERE / "with_environment.py"), str(len(entries)), *entries, *command],
        stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S,
    )  # fmt: skip
    assert done.stdout.split(b"\0")[:-1] == entries


@INITS
def test_arguments_come_through_byte_for_byte(init: tuple[str, ...]) -> None:
    words = [b"", b"a b", b"\xff\xfe", "ü€".encode(), b"new\nline", b"$HOME", b"--", b"-h"]
    for locale in ("C", "C.UTF-8", "POSIX"):
        environment = {"LC_ALL": locale, "PATH": os.environ["PATH"]}
        assert output(*init, "printf", "%s\\0", *words, env=environment).split(b"\0")[:-1] == words


def masks(status: bytes) -> dict[str, int]:
    """SigBlk, SigIgn, SigCgt, without the two signals of glibc's own, which its posix_spawn leaves ignored."""
    lines = [line.split(b":") for line in status.splitlines() if line.startswith((b"SigBlk", b"SigIgn", b"SigCgt"))]
    return {name.decode(): int(value, 16) & ~mask(32, 33) for name, value in lines}


def mask(*numbers: int) -> int:
    return sum(1 << (number - 1) for number in numbers)


@INITS
@MODES
def test_the_signal_mask_and_ignored_signals_are_the_callers(init: tuple[str, ...], mode: list[str]) -> None:
    blocked = (signal.SIGTTIN, signal.SIGILL, signal.SIGUSR1, 40)
    ignored = (signal.SIGTTOU, signal.SIGSEGV, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, 41)
    before = (
        f"[signal.signal(number, signal.SIG_IGN) for number in {tuple(map(int, ignored))}];"
        f"signal.pthread_sigmask(signal.SIG_SETMASK, {tuple(map(int, blocked))})"
    )
    status = output(*init, *mode, "/bin/cat", "/proc/self/status", before=before)
    assert masks(status) == {"SigBlk": mask(*blocked), "SigIgn": mask(*ignored), "SigCgt": 0}


@INITS
def test_what_python_itself_ignores_is_at_its_default(init: tuple[str, ...]) -> None:
    status = output(*init, "/bin/cat", "/proc/self/status")
    assert masks(status) == {"SigBlk": 0, "SigIgn": 0, "SigCgt": 0}


def test_ignored_child_signals_at_the_start_do_not_keep_procman_from_the_status() -> None:
    command = [*INIT, "-e", "7", "sh", "-c", "echo ran; exit 7"]
    assert output(*command, before="signal.signal(signal.SIGCHLD, signal.SIG_IGN)") == b"ran\n"


@INITS
@MODES
@pytest.mark.parametrize("closed", [(0,), (2,), (0, 2)], ids=str)
def test_closed_streams_stay_closed_and_nothing_of_procmans_is_open(
    init: tuple[str, ...], mode: list[str], closed: tuple[int, ...]
) -> None:
    before = f"[os.close(fd) for fd in {closed}]"
    listing = output(*init, "-v", *mode, "/bin/ls", "/proc/self/fd", before=before).split()
    # ls itself opens the lowest free descriptor for the directory.
    expected = {0, 1, 2} - set(closed)
    assert {int(fd) for fd in listing} == expected | {min(set(range(4)) - expected)}


def test_open_descriptors_are_handed_on() -> None:
    before = "os.dup2(1, 7); os.dup2(1, 9)"
    assert output(*INIT, "sh", "-c", "echo seven >&7; echo nine >&9", before=before) == b"seven\nnine\n"


def test_with_all_streams_closed_the_status_still_comes() -> None:
    program = "import os, sys; os.closerange(0, 3); os.execv(sys.argv[1], sys.argv[1:])"
    for words, status in ((["sh", "-c", "exit 5"], 5), (["no-such"], 127), (["-v", "true"], 0), (["-r", "x"], 1)):
        done = subprocess.run([sys.executable, "-c", program, *INIT, *words], check=False, timeout=DEADLINE_S)
        assert done.returncode == status


@MODES
def test_procman_goes_to_the_root_directory_and_the_command_stays(mode: list[str], tmp_path: Path) -> None:
    done = run(*mode, "sh", "-c", "readlink /proc/$PPID/cwd /proc/$$/cwd", cwd=tmp_path)
    assert done == (0, f"/\n{tmp_path}\n", "")


def test_a_relative_command_is_found_where_procman_was_called(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho here\n")
    script.chmod(0o755)
    assert run("./script", cwd=tmp_path) == (0, "here\n", "")


def test_files_that_lie_around_are_not_taken_for_the_library(tmp_path: Path) -> None:
    for name in ("signal", "os", "fcntl", "termios", "procman", "_signal", "errno", "select", "ctypes", "encodings"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken for the library')\n")
    assert run("-v", "-s", "echo", "fine", cwd=tmp_path)[:2] == (0, "fine\n")


def test_procman_is_called_procman() -> None:
    assert run("sh", "-c", "cat /proc/$PPID/comm").out == "procman\n"


def test_strings_of_inits_are_transparent() -> None:
    assert run(*INIT, "-c", *INIT, "-c", "--", "sh", "-c", "echo deep; exit 9") == (9, "deep\n", "")
