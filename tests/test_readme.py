"""The README tells the truth: its diagram is printed from EDGES, its examples are valid, its tables hold.

`python -m tests.test_readme` writes the diagram into the README.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from procman.cli.main import EXIT_CODES
from procman.policy.worker.worker import EDGES
from tests.log.lines import parsed

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- states: begin -->\n", "<!-- states: end -->\n"


def diagram() -> str:
    """EDGES as GitHub draws it."""
    arrows = [f"    {state} --> {to}" for state, follows in EDGES.items() for to in sorted(follows)]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> stopped", *arrows, "```", ""])


def blocks(language: str) -> list[str]:
    """The texts of the README's code blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def with_diagram(text: str) -> str:
    """The text with the diagram as it should be."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + diagram() + END + rest.split(END)[1]


def test_the_state_diagram_is_printed_from_edges() -> None:
    text = README.read_text()
    assert text == with_diagram(text), "run `python -m tests.test_readme`"


@pytest.mark.parametrize("example", blocks("toml"), ids=lambda text: text.splitlines()[0])
def test_every_example_of_a_site_is_valid(example: str, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(example if "schema = 1" in example else f"schema = 1\n{example}")
    command = [sys.executable, "-m", "procman", "check", str(site)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_its_first_two_commands_are_the_ones_that_the_gate_runs() -> None:
    run, test = "".join(blocks("sh")).splitlines()[:2]
    assert run.endswith(" && .venv/bin/procman up configs/site.toml")
    assert test.endswith(" && .venv/bin/python -m pytest -n auto")


def test_the_lines_of_json_that_it_shows_are_lines_of_the_log() -> None:
    for line in blocks("json"):
        parsed(line.encode())


def test_the_exit_codes_of_its_table_are_those_of_the_help() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d+) \| ", README.read_text(), re.MULTILINE)}
    assert table == {int(code) for code in re.findall(r"^  (\d+) ", EXIT_CODES, re.MULTILINE)}


if __name__ == "__main__":
    README.write_text(with_diagram(README.read_text()))
