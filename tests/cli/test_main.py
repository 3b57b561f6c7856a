"""The command line: what it says to who asks, errs, or stops listening."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from procman import __version__
from procman.cli import main
from procman.policy.manager import EXIT_INVALID_CONFIGURATION
from procman.policy.worker.restart import EXIT_CODES
from tests.cli.procmans import COMMAND, DEADLINE_S, ROOT


def run(
    *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "PYTHONUNBUFFERED": ""},
    )


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["upp"], "procman: error: there is no command `upp`", "did you mean `procman up`?"),
        (["dance"], "procman: error: there is no command `dance`", "see `procman --help`"),
        (["site.toml"], "procman: error: no command before site.toml", "run it with `procman up site.toml`"),
        (["--verbose"], "procman: error: there is no option --verbose", "see `procman --help`"),
        (["up"], "procman up: error: no FILE given", "name the site's configuration: `procman up site.toml`"),
        (
            ["up", "a.toml", "-o", ""],
            "procman up: error: a FILE has an empty name",
            "is it a variable of the shell that is not set?",
        ),
        (
            ["up", "a.toml", "--col", "x"],
            "procman up: error: there is no option --col",
            "see `procman up --help`",
        ),
        (
            ["up", "a.toml", "--set", "workers"],
            "procman up: error: --set workers: not of the form KEY=VALUE",
            "for example --set group.api.workers=8",
        ),
        (
            ["up", "a.toml", "--timeout", "3s"],
            "procman up: error: --timeout is for --detach alone",
            "without it, procman runs until the site has ended",
        ),
        (
            ["up", "a.toml", "--control", ""],
            "procman up: error: --control: PATH is empty",
            "is it a variable of the shell that is not set?",
        ),
        (
            ["-s", "", "down"],
            "procman down: error: -s: SITE is empty",
            "is it a variable of the shell that is not set?",
        ),
        (["-s", "x", "init"], "procman: error: init is for no site", "run it as `procman init -- COMMAND`"),
        (
            ["explain", ""],
            "procman explain: error: KEY is empty",
            "name one: site, group.NAME, group.NAME.restart.window",
        ),
        (
            ["explain"],
            "procman explain: error: the following arguments are required: KEY",
            "see `procman explain --help`",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_told_in_two_lines_and_ends_with_2(arguments: list[str], error: str, hint: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{error}\nhint: {hint}\n")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["up", "--help"]], ids=" ".join)
def test_help_fits_a_terminal_and_names_every_exit_code(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    named = {int(code) for code in re.findall(r"^  (\d+) ", done.stdout, re.MULTILINE)}
    assert named == {0, main.EXIT_USAGE, EXIT_INVALID_CONFIGURATION, *EXIT_CODES.values()}
    assert "examples:" in done.stdout


def test_every_command_is_in_the_help_and_has_its_own_which_fits_a_terminal() -> None:
    listed = re.findall(r"^    (\w+) +\S", run("--help").stdout, re.MULTILINE)
    assert sorted(listed) == sorted([*main.COMMANDS, "init"])
    for command in listed:
        text = run(command, "--help").stdout
        assert text.startswith(f"usage: procman {command}")
        assert [line for line in text.splitlines() if len(line) > 79] == []


@pytest.mark.parametrize("command", ["status", "reload", "stop"])
def test_the_help_of_a_command_names_the_exit_codes_that_it_has(command: str) -> None:
    codes = re.findall(r"^  (\d+) ", run(command, "--help").stdout, re.MULTILINE)
    assert codes == ["0", "1", "2", "3", *(["78"] if command == "reload" else []), "124"]


def test_it_says_which_version_it_is() -> None:
    assert run("--version").stdout == f"procman {__version__}\n"


def test_a_reader_that_went_away_ends_it_without_a_word() -> None:
    read, write = os.pipe()
    os.close(read)
    done = run("schema", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (-13, "")


@pytest.mark.parametrize("arguments", [["schema"], ["--help"], ["up", "--help"], ["--version"]], ids=" ".join)
def test_a_full_disk_is_an_error_and_no_traceback(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = run(*arguments, stdout=full)
    assert (done.returncode, done.stderr) == (1, "procman: error: cannot write the output: No space left on device\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["upp"], 2), (["status", "--verbose"], 2), (["-s", "/nowhere", "status"], 3), (["check", "/nowhere"], 78),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_standard_error_that_is_full_does_not_change_the_exit_code(arguments: list[str], code: int) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        assert subprocess.run([*COMMAND, *arguments], stderr=full, timeout=DEADLINE_S, check=False).returncode == code


CLOSED = {"closed stdout": ">&-", "closed stderr": "2>&-", "all closed": "<&- >&- 2>&-"}


@pytest.mark.parametrize("streams", CLOSED.values(), ids=CLOSED)
@pytest.mark.parametrize(("command", "code"), [("schema", 0), ("--help", 0), ("dance", 2), ("status -s nobody", 3)])
def test_a_stream_that_was_closed_is_no_traceback(streams: str, command: str, code: int) -> None:
    line = f'exec "$@" {command} {streams}'
    done = subprocess.run(
        ["sh", "-c", line, "sh", *COMMAND], capture_output=True, text=True, timeout=DEADLINE_S, check=False, cwd=ROOT
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_a_current_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    # From such a place Python finds procman only by an absolute path.
    program = f"import sys; sys.path[:0] = [{str(ROOT)!r}]; from procman.cli.main import main; sys.exit(main())"
    command = ["sh", "-c", script, "sh", str(gone), sys.executable, "-c", program, "up", "a.toml"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "procman up: error: the current directory has been removed\nhint: cd to one that exists\n",
    )


@pytest.mark.parametrize("before", [(), ("-s", "shop"), ("-sshop",), ("--site", "shop"), ("--site=shop",)])
def test_a_command_reads_the_code_of_no_other_wherever_the_site_is_named(before: tuple[str, ...]) -> None:
    code = "import sys; from procman.cli.main import main; main(sys.argv[1:]); print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code, *before, "status", "-s", "nobody"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    loaded = {name.rpartition(".")[2] for name in run.stdout.split() if name.startswith("procman.cli.")}
    assert ("status" in loaded, loaded & (set(main.COMMANDS.values()) - {"status"})) == (True, set())
