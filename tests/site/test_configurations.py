"""Files that are no configuration: refused with a message that says where, and never harmful to what runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.site.running import up
from tests.site.sites import FOREVER, group, site_of

GOOD = site_of(group("a", FOREVER))


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir()


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def text(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


BAD: dict[str, Callable[[Path], None]] = {
    "missing": lambda _: None,
    "fifo": a_fifo,
    "folder": a_folder,
    "endless": endless,
    "loop": a_loop,
    "empty": text(b""),
    "binary": text(os.urandom(100_000)),
    "NUL": text(GOOD.encode() + b"\0"),
    "no UTF-8": text(GOOD.encode() + b"# caf\xe9\n"),
    "huge": text(GOOD.encode() + b"# a line\n" * 2_000_000),
    "a million keys": text(GOOD.encode() + b"".join(b"[group.g%d]\ncommand = 'true'\n" % n for n in range(500_000))),
    "deep": text(b"schema = 1\na = " + b"[" * 100_000 + b"]" * 100_000 + b"\n"),
    "one line": text(b"schema = 1\na = '" + b"x" * 20_000_000 + b"'\n"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, case: str) -> None:
    with up(tmp_path, GOOD) as site:
        site.until("worker.running")
        before = site.pids()
        site.file.unlink()
        BAD[case](site.file)
        site.signal(signal.SIGHUP)
        rejected = site.until("config.rejected")
        assert str(site.file) in rejected["diagnostics"]
        assert site.pids() == before


@pytest.mark.parametrize("case", BAD)
def test_a_site_of_such_a_file_ends_with_78_and_says_why(tmp_path: Path, case: str) -> None:
    BAD[case](tmp_path / "site.toml")
    with up(tmp_path, None) as site:
        assert site.wait() == 78
        assert [event.name for event in site.events] == ["site.loading", "config.rejected", "site.stopped"]
        said = "\n".join(site.foreign)
        assert f"{tmp_path}/site.toml" in said
        assert "hint: " in said
