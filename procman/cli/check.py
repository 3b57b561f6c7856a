"""`procman check`: what is wrong with a configuration, or what it would run. Starts nothing."""

from __future__ import annotations

import argparse
import io
import os
import sys

from procman.cli.arguments import add_configuration, configuration
from procman.cli.main import Parser
from procman.screen import wants_colour

EXIT_INVALID = 78

_EPILOG = """\
examples:
  procman check site.toml
  procman check site.toml -o prod.toml --set group.api.workers=8
  procman check site.toml --json | jq .groups

exit codes:
  0    the configuration is valid (there may be warnings)
  2    wrong usage
  78   the configuration is invalid; every mistake is on stderr with its place
"""


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        name,
        help="check a site's configuration and say what it would run",
        description="Validates the configuration and prints a summary of what it would run. Starts nothing.",
        epilog=_EPILOG,
    )
    add_configuration(parser)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON instead of the summary")


def run(args: argparse.Namespace) -> int:
    """Check, and print the summary, the plan or the diagnostics."""
    named = configuration(args)
    # Here, because other commands import this module too and must stay light.
    from procman import plan
    from procman.config.loader import explain, load_plan
    from procman.config.merge.load import Request
    from procman.config.preview.advice import warnings
    from procman.config.preview.foresight import this_machine
    from procman.config.preview.summary import render

    request = Request(args.files, str(named["cwd"]), args.overlay, args.sets)
    result = load_plan(request, os.environ)
    if not isinstance(result, plan.Plan):
        reason, text = explain(result, request, colour=wants_colour(sys.stderr.isatty()))
        sys.stderr.write(f"{text}\n{reason}\n")
        return EXIT_INVALID
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that is not UTF-8 lacks some of our characters
    if args.json:
        sys.stdout.write(plan.to_json(result) + "\n")
        sys.stderr.writelines(f"warning: {text}\n" for text in warnings(result, this_machine()))
    else:
        sys.stdout.write(render(result, this_machine()))
    return 0
