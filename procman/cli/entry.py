"""The first step of every command: `init` does not wait for what the others need. It knows no option."""

import sys


def main() -> int:
    """Run what this process was asked for; the answer is its exit code."""
    if sys.argv[1:2] == ["init"]:
        from procman.cli.init import main as init

        return init(sys.argv[2:])
    from procman.cli.main import main as others

    return others()
