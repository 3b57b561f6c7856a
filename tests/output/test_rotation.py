"""Files of lines that are put aside: none is split, none is lost, and no more are kept than wanted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from procman.output.rotate import put_aside
from tests.output.pumping import Core, output, sink


def rotating(path: Path, **rotate: Any) -> dict[str, Any]:
    rule = {"size": 10_000, "keep": 3, "age": None, "compress": False, **rotate}
    return output(sink("file", str(path), rotate=rule))


def test_files_are_put_aside_by_size_without_a_gap_or_a_split_line(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "web.log"
        web = core.open(rotating(file))
        lines = [b"%05d %b\n" % (number, b"x" * 93) for number in range(1000)]
        for line in lines:
            web.write(line)
        core.end(web)
        files = [*put_aside(str(file)), file]
        assert len(files) == 4
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in files)
        assert all(path.stat().st_size <= 10_000 for path in files)
        kept = b"".join(path.read_bytes() for path in files).splitlines(keepends=True)
        assert kept == lines[-len(kept) :]
        assert len(kept) > 300


def test_a_line_longer_than_a_file_may_be_has_one_of_its_own(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "web.log"
        web = core.open(rotating(file))
        web.write(b"short\n" + b"y" * 20_000 + b"\nshort\n")
        core.end(web)
        assert [path.stat().st_size for path in [*put_aside(str(file)), file]] == [6, 20_001, 6]


def test_a_file_is_put_aside_by_age(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "web.log"
        web = core.open(rotating(file, age=0.0))
        for word in (b"one\n", b"two\n"):
            web.write(word)
            core.end(web)
        assert [path.read_bytes() for path in [*put_aside(str(file)), file]] == [b"one\n", b"two\n"]


def test_after_a_killed_pump_a_torn_line_is_ended_before_the_next(tmp_path: Path) -> None:
    file = tmp_path / "web.log"
    file.write_bytes(b"one\ntor")
    with Core() as core:
        web = core.open(rotating(file))
        web.write(b"two\n")
        core.end(web)
        assert file.read_bytes() == b"one\ntor\ntwo\n"


def test_a_file_that_is_compressed_stays_as_old_as_its_lines(tmp_path: Path) -> None:
    """Else `procman logs` has them after those that came later."""
    with Core() as core:
        file = tmp_path / "web.log"
        web = core.open(rotating(file, age=0.0, compress=True))
        web.write(b"one\n")
        core.end(web)
        os.utime(file, (1, 1))
        web.write(b"two\n")
        core.end(web)
        while [path.suffix for path in put_aside(str(file))] != [".gz"]:
            core.settle()
        assert put_aside(str(file))[0].stat().st_mtime == 1
