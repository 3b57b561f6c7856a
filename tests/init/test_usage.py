"""What may be asked of `procman init`, and what it says when it is asked wrongly: then nothing is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman import __version__
from tests.init.running import run

WRONG = [
    [],
    ["--"],
    ["-v"],
    ["--yolo", "COMMAND"],
    ["-x", "COMMAND"],
    ["-cx", "COMMAND"],
    ["--single-child=yes", "COMMAND"],
    ["-r"],
    ["-r", "", "COMMAND"],
    ["-r", "herp", "COMMAND"],
    ["-r", "herp:derp", "COMMAND"],
    ["-r", "15", "COMMAND"],
    ["-r", "15:", "COMMAND"],
    ["-r", "15::12", "COMMAND"],
    ["-r", "15:derp", "COMMAND"],
    ["-r", "1:32", "COMMAND"],
    ["-r", "0:1", "COMMAND"],
    ["-r", "32:1", "COMMAND"],
    ["-r", "-1:1", "COMMAND"],
    ["-r", "15:12", "-r", "COMMAND"],
    ["-r", "15:12", "-r", "1:32", "COMMAND"],
    ["--rewrite", "15:²", "COMMAND"],
    ["--rewrite="],
    ["-e", "", "COMMAND"],
    ["-e", "256", "COMMAND"],
    ["-e", "-1", "COMMAND"],
    ["-e", "three", "COMMAND"],
    ["-p", "", "COMMAND"],
    ["-p", "NOSUCH", "COMMAND"],
    ["-p", "0", "COMMAND"],
    ["-p", "65", "COMMAND"],
    ["-p", "_DFL", "COMMAND"],
    ["--drain", "", "COMMAND"],
    ["--drain", "soon", "COMMAND"],
    ["--drain", "1.2.3s", "COMMAND"],
    ["--drain", "-1s", "COMMAND"],
    ["--drain", "8x", "COMMAND"],
    ["--drain", "8s", "--no-subreaper", "COMMAND"],
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_usage_is_status_1_with_a_reason_and_nothing_is_run(words: list[str], tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    command = ["touch", str(ran)]
    done = run(*(words[:-1] + command if words[-1:] == ["COMMAND"] else words))
    assert (done.status, done.out, ran.exists()) == (1, "", False)
    assert done.err.startswith("procman init: error: ")
    assert done.err.endswith("\nhint: see `procman init --help`\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no COMMAND given"),
        (["--yolo", "true"], "there is no option --yolo"),
        (["-cx", "true"], "there is no option -x"),
        (["-r"], "--rewrite needs a value"),
        (["-r", "", "true"], "--rewrite '': it takes S:R: signal numbers from 1 to 31, or R 0 to drop S"),
        (["-e", "256", "true"], "--expect-exit 256: it takes N: a status from 0 to 255"),
        (["-p", "NO", "true"], "--pdeathsig NO: it takes the name of a signal, as TERM"),
        (["--drain", "soon", "true"], "--drain soon: it takes a duration, as 500ms, 8s or 1m30s"),
    ],
)
def test_the_reason_names_the_option_and_what_it_takes(words: list[str], message: str) -> None:
    assert run(*words).err.splitlines()[0] == f"procman init: error: {message}"


@pytest.mark.parametrize("flag", ["-h", "--help", "-vh"])
def test_help_names_every_option_on_standard_output(flag: str) -> None:
    done = run(flag)
    names = ["-c, --single-child", "-r, --rewrite", "-e, --expect-exit", "-s, --subreaper", "--no-subreaper"]
    names += ["-p, --pdeathsig", "--drain", "-w, --warn-on-reap", "-v, --verbose", "-h, --help", "-V, --version"]
    assert (done.status, done.err, [name for name in names if name not in done.out]) == (0, "", [])


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_on_standard_output(flag: str) -> None:
    assert run(flag) == (0, f"procman {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["printf", "%s ", "-c", "--help", "--", "-r"],
        ["--", "printf", "%s ", "-c", "--help", "--", "-r"],
        ["-cr", "15:2", "printf", "%s ", "-c", "--help", "--", "-r"],
        ["-r15:2", "-e3", "--rewrite=1:2", "--", "printf", "%s ", "-c", "--help", "--", "-r"],
    ],
    ids=" ".join,
)
def test_options_end_at_the_first_word_that_is_none(words: list[str]) -> None:
    assert run(*words) == (0, "-c --help -- -r ", "")


@pytest.mark.parametrize("duration", ["0", "0.0s", "5", "500ms", "1.5s", "1m30s", "2h", "1h1m1s1ms"])
def test_durations_are_written_as_elsewhere(duration: str) -> None:
    assert run("--drain", duration, "true") == (0, "", "")


@pytest.mark.parametrize("name", ["TERM", "SIGTERM", "term", "15", "RTMIN"])
def test_the_parent_death_signal_may_be_written_in_any_usual_way(name: str) -> None:
    assert run("-p", name, "true") == (0, "", "")


def test_verbose_says_all_that_happens_and_nothing_is_said_without_it() -> None:
    assert run("sh", "-c", "exit 3") == (3, "", "")
    said = run("-v", "-s", "sh", "-c", "exit 3").err.splitlines()
    pid = said[0].split()[4]
    assert said == [
        f"procman: sh runs as {pid} in a session of its own",
        "procman: received signal 17",
        "procman: sent signal 15",
        f"procman: {pid} ended with status 3",
        "procman: exits with 3",
    ]
