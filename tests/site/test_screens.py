"""The view for people at 80 columns, as golden files: of a real site, on a terminal and not, with colours and without.

After a deliberate change regenerate them, and read the difference:

    PROCMAN_REGENERATE=1 python -m pytest tests/site/test_screens.py

In a golden file `␛` stands for the escape character, and what is wider than the terminal goes on in the next row.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from tests.site.running import COMMAND, DEADLINE_S, ROOT
from tests.site.sites import group, site_of

GOLDEN = Path(__file__).parent / "golden"
COLUMNS, ROWS = 80, 24
SAID = r"""printf 'GET / 200\n\033[31mred\033[0m alert\r\n\033[2Jcleared\n\tindented\n\ngr\303\274n \377\n'"""
LONG = r"""printf '%s\n' 'a line that is longer than what is left of the eighty columns of this terminal'"""
SITE = site_of(
    group("web", SAID, 'kind = "job"', 'output = "prefix"'),
    group("a-group-with-a-very-long-name", LONG, 'kind = "job"', 'output = "prefix"', 'after = { web = "completed" }'),
    group(
        "mail", f"{SAID} >&2; printf 'no newline'", 'kind = "job"', 'output = "prefix"',
        'after = { a-group-with-a-very-long-name = "completed" }',
    ),
    site="control = false",
)  # fmt: skip
CASES: dict[str, tuple[bool, tuple[str, ...], dict[str, str], str]] = {
    "a terminal": (True, (), {}, "colour"),
    "a pipe": (False, (), {}, "plain"),
    "NO_COLOR, a terminal": (True, (), {"NO_COLOR": "1"}, "plain"),
    "FORCE_COLOR, a pipe": (False, (), {"FORCE_COLOR": "1"}, "colour"),
    "FORCE_COLOR and NO_COLOR": (False, (), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, "plain"),
    "--color never, a terminal": (True, ("--color", "never"), {"FORCE_COLOR": "1"}, "plain"),
    "--color always, a pipe": (False, ("--color", "always"), {"NO_COLOR": "1"}, "colour"),
}


def shown(folder: Path, terminal: bool, arguments: tuple[str, ...], env: dict[str, str]) -> str:
    """What a site writes to its stdout, until it ends."""
    (folder / "site.toml").write_text(SITE, encoding="utf-8")
    read, write = os.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(write, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
    base = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [*COMMAND, "up", str(folder / "site.toml"), *arguments],
        stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.DEVNULL, cwd=ROOT,
        env={**base, "PYTHONPATH": str(ROOT), "TERM": "xterm", **env}, start_new_session=True,
    )  # fmt: skip
    os.close(write)
    got = b""
    try:
        while piece := _piece(read):
            got += piece
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(read)
    return got.decode().replace("\r\n", "\n")


def _piece(read: int) -> bytes:
    try:
        return os.read(read, 65536)
    except OSError:  # EIO: nobody has the terminal any more
        return b""


def rows(text: str) -> str:
    """The same, as a terminal of so many columns breaks it."""
    out = []
    for line in text.splitlines():
        cells = re.findall(r"(?:\x1b\[[0-9;]*m)*[^\x1b](?:\x1b\[[0-9;]*m)*", line)
        out += ["".join(cells[at : at + COLUMNS]) for at in range(0, max(len(cells), 1), COLUMNS)]
    return "\n".join(out).replace("\x1b", "␛") + "\n"


@pytest.mark.parametrize("case", CASES)
def test_the_screen_is_as_the_golden_file_shows_it(case: str, tmp_path: Path) -> None:
    terminal, arguments, env, golden = CASES[case]
    screen, expected = rows(shown(tmp_path, terminal, arguments, env)), GOLDEN / f"{golden}.screen"
    if os.environ.get("PROCMAN_REGENERATE"):
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(screen, encoding="utf-8")
    assert screen == expected.read_text(encoding="utf-8")
