"""What a person is told about each mistake that people really make: golden/NAME.toml → golden/NAME.txt.

After a deliberate change of a message regenerate all of them, and read the difference:

    PROCMAN_REGENERATE=1 python -m pytest tests/config/test_golden.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from procman.config.loader import Invalid, explain, load_plan
from procman.config.merge.load import Request

GOLDEN = Path(__file__).parent / "golden"
ENVIRON = {"HOME": "/home/me", "PORT": "8080"}
MISTAKES = sorted(path.stem for path in GOLDEN.glob("*.toml"))


def test_there_is_a_golden_file_for_each_mistake_and_none_without_one() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == MISTAKES
    assert len(MISTAKES) >= 40


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    """The golden files by a path that is equally long on every machine: long hints are wrapped."""
    with TemporaryDirectory(prefix="golden-", dir="/tmp") as place:
        link = Path(place) / "files"
        link.symlink_to(GOLDEN)
        yield str(link)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_explained_as_the_golden_file_says(name: str, folder: str) -> None:
    request = Request([f"{name}.toml"], folder)
    result = load_plan(request, ENVIRON)
    assert isinstance(result, Invalid), "this is no mistake"
    reason, text = explain(result, request)
    said = f"{text}\n{reason}\n".replace(folder, "DIR")
    expected = GOLDEN / f"{name}.txt"
    if os.environ.get("PROCMAN_REGENERATE"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")
