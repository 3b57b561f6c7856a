"""The loader as its callers see it: no input harms it, and every refusal says where and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import procman
from procman.config.loader import answer
from procman.config.merge.load import Request
from procman.plan import Plan, digest, from_json
from tests.config.sites import LEAST, heads, load, places, plan_of, said, write

ROOT = str(Path(procman.__file__).parents[1])
GOLDEN = Path(__file__).parent / "golden"
DEADLINE = 120
MIB = 1024 * 1024


def run_loader(request: object, megabytes: int | None = None, **options: Any) -> dict[str, Any]:
    """What the helper process answers; it must end well, say nothing on stderr, and stay in its deadline."""
    boot = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from procman.config.loader import main; main()"
    path = json.dumps([ROOT, *sys.path])
    argv = [sys.executable, "-I", "-S", "-X", "utf8", "-c", boot, path, json.dumps(request)]
    if megabytes is not None:
        argv = ["sh", "-c", f'ulimit -v {megabytes * 1024}; exec "$@"', "sh", *argv]
    done = subprocess.run(argv, capture_output=True, timeout=DEADLINE, check=True, **options)
    assert done.stderr == b""
    return dict(json.loads(done.stdout))


def test_the_helper_answers_with_the_plan_and_its_digest(tmp_path: Path) -> None:
    expected = plan_of(tmp_path, sets=["group.web.workers=8"], overlays=["o.toml"], files={"o.toml": ""})
    request = {"files": ["site.toml"], "overlays": ["o.toml"], "sets": ["group.web.workers=8"], "cwd": str(tmp_path)}
    answered = run_loader(request)
    assert from_json(json.dumps(answered["plan"])) == expected
    assert answered["digest"] == digest(expected)


def test_the_helper_answers_with_the_reason_and_the_diagnostics(tmp_path: Path) -> None:
    write(tmp_path, {"site.toml": LEAST + "workers = 1.5\nwokers = 2\n"})
    answered = run_loader({"files": ["site.toml"], "cwd": str(tmp_path)})
    assert answered["reason"] == "site.toml: 2 errors"
    assert answered["diagnostics"].startswith("site.toml:4:11: 1.5 is no number of workers\n")


def test_the_helper_sees_its_own_environment(tmp_path: Path) -> None:
    write(tmp_path, {"site.toml": LEAST + 'env = { A = "${ANSWER}" }\n'})
    answered = run_loader({"files": ["site.toml"], "cwd": str(tmp_path)}, env={"ANSWER": "42"})
    assert answered["plan"]["groups"][0]["launch"]["env"] == [["A", "42"]]


def test_colours_are_only_added_when_they_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"site.toml": "a = "})
    request = Request(["site.toml"], str(tmp_path))
    assert "\x1b" not in str(answer(request, {})["diagnostics"])
    assert "\x1b[31mthis is no value\x1b[0m" in str(answer(request, {}, colour=True)["diagnostics"])


# --- files that are no configuration -------------------------------------------------------------------

BYTES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "1:1: the file is empty"),
    "blank": (b" \n\n", "1:1: the file is empty"),
    "binary": (b"\x7fELF\x02\x01\x01\x00\xff", "1:9: byte 8 (0xFF) is not UTF-8 text"),
    "nul": (b"schema = 1\n\0", "2:1: byte 11 is NUL: this is no text"),
    "latin-1": ("schema = 1 # \u00fc".encode("latin-1"), "1:14: byte 13 (0xFC) is not UTF-8 text"),
    "utf-16": ("schema = 1".encode("utf-16"), "1:1: the file is encoded in UTF-16, not in UTF-8"),
    "a control character": (b"schema = 1 # \x1b[31m", "1:14: a control character stands here"),
    "deep lists": (b"a = " + b"[" * 5000, "1:1: tables or lists are nested too deeply"),
    "deep tables": (b"schema = 1\n[" + b"a." * 999 + b"a]", "2:1: tables or lists are nested too deeply"),
    "fairly deep": (b"a = " + b"[" * 100 + b"]" * 100, "1:1: tables or lists are nested too deeply"),
    "a long number": (b"schema = 1\na = " + b"9" * 5000, "2:5: this number is too long to be read"),
    "no day": (b"a = 2024-02-30", "1:5: invalid date or datetime"),
    "too large": (b"#" * (8 * MIB + 1), "1:1: the file is larger than 8 MiB"),
    "a million keys": (b"".join(b"k%d=1\n" % i for i in range(10**6))[: 8 * MIB - 9], "1:1: the file holds more than"),
    "a million lines": (b"schema = 1\n" + b"\n" * 10**6, "1:1: the site has no group"),
    "a long line": (b"schema = 1\na = '" + b"x" * 8 * 10**6, "2:5: a string is not closed"),
}


@pytest.mark.parametrize("case", BYTES)
def test_a_file_that_is_no_configuration_is_refused_in_words(case: str, tmp_path: Path) -> None:
    data, head = BYTES[case]
    (tmp_path / "site.toml").write_bytes(data)
    text = str(answer(Request(["site.toml"], str(tmp_path)), {})["diagnostics"])
    assert text.startswith(f"site.toml:{head}")
    assert "hint: " in text or case == "no day"
    assert len(text) < 2000


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_bytes(b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode() + b"workers = 'x'\r\n")
    text = str(answer(Request(["site.toml"], str(tmp_path)), {})["diagnostics"])
    assert text.startswith('site.toml:4:11: "x" is no number of workers\n')


@pytest.fixture
def strange_files(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    return tmp_path


STRANGE = {
    "/dev/zero": "this is a device, not a regular file",
    "/dev/null": "this is a device, not a regular file",
    "fifo": "this is a pipe, not a regular file",
    "folder": "this is a directory, not a regular file",
    "nowhere.toml": "there is no such file",
    "dangling": "there is no such file",
    "loop": "the file cannot be read: Too many levels of symbolic links",
    "a\0b": "no file can have this name",
    "x" * 300: "the file cannot be read: File name too long",
    "": "this is a directory, not a regular file",
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_regular_file_is_never_waited_for(name: str, strange_files: Path) -> None:
    began = time.monotonic()
    text = str(answer(Request([name], str(strange_files)), {})["diagnostics"])
    assert text.splitlines()[0].endswith(f":1:1: {STRANGE[name]}")
    assert time.monotonic() - began < 5


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"site.toml": LEAST})
    (tmp_path / "site.toml").chmod(0)
    request = Request(["site.toml"], str(tmp_path))
    answer(request, {})  # whatever is imported late is imported now
    was = os.geteuid()
    try:
        if was == 0:  # root may read everything
            os.seteuid(54321)
        text = str(answer(request, {})["diagnostics"])
    finally:
        os.seteuid(was)
    assert text.startswith("site.toml:1:1: the file may not be read (permission denied)\nhint: ")


def test_a_configuration_beyond_the_memory_bound_is_refused_in_words(tmp_path: Path) -> None:
    defaults = "".join(f"A{i} = 'x'\n" for i in range(40_000))
    groups = "".join(f"[group.g{i}]\ncommand = 'x'\n" for i in range(40_000))
    write(tmp_path, {"site.toml": f"schema = 1\n{groups}[defaults.env]\n{defaults}"})
    # A tighter bound than the loader's own, so that it is reached soon.
    answered = run_loader({"files": ["site.toml"], "cwd": str(tmp_path)}, megabytes=250)
    assert answered["diagnostics"].startswith("site.toml:1:1: the configuration needs too much memory\n")


# --- no text at all gives a traceback ------------------------------------------------------------------

WORDS = [
    *("schema", "=", "1", "\n", ".", ",", "[", "]", "[[", "]]", "{", "}", '"', "'", '"""', "#", "\\", "\t", " "),
    *("group", "web", "command", "workers", "auto", "restart", "backoff", "false", "after", "env", "env_file", "cwd"),
    *("site", "defaults", "log", "include", "x-y", "stop", "grace", "${", "${HOME}", "${PROCMAN_TASK_ID}", "$", "5s"),
    *(
        "umask",
        "0o22",
        "-1",
        "1e9",
        "nan",
        "1979-05-27",
        "true",
        "exit_code_from",
        "kind",
        "job",
        "success",
        "\x1b",
        "é",
    ),
    *("schema = 1\n", '[group.web]\ncommand = "web"\n', 'include = ["site.toml"]\n', 'env_file = "site.toml"\n'),
]
SCALARS = st.one_of(
    st.sampled_from(
        ['"auto"', '"web"', '"5s"', "1", "-1", "true", "false", "0.5", "nan", '""', '"${NO}"', "2024-01-01"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(["web", "path", "initial", "when", "x"]), inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        ),
    ),
    max_leaves=5,
)
TOP = ["schema", "include", "site", "defaults", "log", "group", "x-y", "web"]
GROUP = [
    "command",
    "kind",
    "workers",
    "enabled",
    "env",
    "env_file",
    "cwd",
    "umask",
    "spawn",
    "restart",
    "stop",
    "after",
]
RESTART = ["when", "success", "max_restarts", "window", "backoff", "reset_after", "strategy", "on_exhausted", "signal"]


def table(heading: str, keys: list[str]) -> st.SearchStrategy[str]:
    return st.dictionaries(st.sampled_from(keys), VALUES, max_size=4).map(
        lambda pairs: heading + "".join(f"{key} = {value}\n" for key, value in pairs.items())
    )


LIKELY = st.tuples(
    st.one_of(st.just("schema = 1\n"), table("", TOP[:2])),
    st.one_of(table('[group.web]\ncommand = "web"\n', GROUP[1:]), table("[group.web]\n", GROUP)),
    table("[group.web.restart]\n", RESTART),
    table('[group.api]\ncommand = ["api"]\n', GROUP[1:]),
    table("[defaults]\n", GROUP[1:]),
    table("[site]\n", ["name", "stop_timeout", "exit_code_from"]),
    table("[log]\n", ["format", "file"]),
).map("".join)
ANY = st.one_of(
    st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=30).map("".join), LIKELY, table("", TOP), LIKELY
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY)
def test_every_text_is_a_plan_or_is_refused_with_a_place(text: str, tmp_path: Path) -> None:
    result = load(tmp_path, text, environ={"HOME": "/root"})
    if isinstance(result, Plan):
        assert from_json(json.dumps(answer(Request(["site.toml"], str(tmp_path)), {"HOME": "/root"})["plan"])) == result
    else:
        assert places(result) >= 1
        assert all(head.startswith("site.toml:") for head in heads(result))
        assert "Input should" not in said(result)
        assert "pydantic" not in said(result)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60))
def test_every_file_is_a_plan_or_is_refused_with_a_place(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_bytes(data)
    answered = answer(Request(["site.toml"], str(tmp_path)), {})
    assert str(answered["diagnostics"]).startswith("site.toml:")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(max_size=20), st.lists(st.sampled_from(WORDS), max_size=8).map("".join)))
def test_every_set_is_a_plan_or_is_refused_with_a_place(text: str, tmp_path: Path) -> None:
    result = load(tmp_path, sets=[text], environ={})
    assert isinstance(result, Plan) or places(result) >= 1


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), name=st.sampled_from(sorted(path.name for path in GOLDEN.glob("*.toml"))))
def test_a_file_cut_anywhere_is_refused_with_a_place_or_is_whole(cut: int, name: str, tmp_path: Path) -> None:
    text = (GOLDEN / name).read_text(encoding="utf-8")
    result = load(tmp_path, text[: cut % (len(text) + 1)], environ={})
    assert isinstance(result, Plan) or places(result) >= 1


def test_a_name_that_would_move_a_cursor_is_shown_with_marks(tmp_path: Path) -> None:
    answered = answer(Request(["a\n\x1b[2J.toml"], str(tmp_path)), {})
    assert answered["reason"] == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[2J.toml: 1 error"
    assert "\x1b" not in str(answered["diagnostics"])
