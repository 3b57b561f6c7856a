"""`procman schema`: the JSON Schemas of the site file, the event log and the control socket. Reads nothing."""

from __future__ import annotations

import argparse
import io
import sys
from importlib import import_module

from procman.cli.main import Parser

SCHEMAS = {
    "site": "procman.config.schema",
    "event": "procman.log.fields",
    "control": "procman.control.schema",
}
"""What there is a schema of, and the module that makes it."""

_EPILOG = """\
examples:
  procman schema > site.schema.json
  procman schema event            what a line of the log holds
  procman schema control          the language of the control socket

To have an editor (taplo, Even Better TOML) complete and check a site file, name the schema in its first line:
  #:schema site.schema.json
"""


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        name,
        help="print the JSON Schema of the site file, the log or the control socket",
        description="Prints a JSON Schema (draft 2020-12): of the site file, every option and its meaning.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "of",
        nargs="?",
        choices=tuple(SCHEMAS),
        default="site",
        help="the site file, a line of the event log, or a line on the control socket (default: site)",
    )


def run(args: argparse.Namespace) -> int:
    """Print it."""
    # Here, because other commands import this module too and must stay light.
    text = import_module(SCHEMAS[args.of]).schema_text()

    # JSON is UTF-8, whatever the terminal's encoding is.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(text)
    return 0
