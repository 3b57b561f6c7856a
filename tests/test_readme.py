"""The README tells the truth: its diagram is printed from EDGES, its example is a valid site.

`python -m tests.test_readme` writes the diagram into the README.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from procman.policy.worker import EDGES

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- states: begin -->\n", "<!-- states: end -->\n"


def diagram() -> str:
    """EDGES as GitHub draws it."""
    arrows = [f"    {state} --> {to}" for state, follows in EDGES.items() for to in sorted(follows)]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> stopped", *arrows, "```", ""])


def with_diagram(text: str) -> str:
    """The text with the diagram as it should be."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + diagram() + END + rest.split(END)[1]


def test_the_state_diagram_is_printed_from_edges() -> None:
    text = README.read_text()
    assert text == with_diagram(text), "run `python -m tests.test_readme`"


def test_the_example_site_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    site = tmp_path / "site.toml"
    site.write_text(example)
    command = [sys.executable, "-m", "procman", "check", str(site)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


if __name__ == "__main__":
    README.write_text(with_diagram(README.read_text()))
