"""`python -m tests.simulation SEED…`: replays histories, the whole of each in readable form."""

from __future__ import annotations

import sys

from tests.simulation.play import replay


def main(seeds: list[str]) -> int:
    """Print every turn of each history; 1 if one of them fails."""
    failed = 0
    for seed in seeds:
        try:
            played = replay(int(seed), print)
        except AssertionError as finding:
            print(f"seed {seed} FAILS: {type(finding).__name__}: {finding}")  # noqa: T201 - a command's output
            failed = 1
        else:
            print(f"seed {seed}: exit code {played.exit_code} after {played.steps} steps")  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
