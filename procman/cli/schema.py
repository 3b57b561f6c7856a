"""`procman schema`: the JSON Schema of the site file, for editors. Reads nothing."""

from __future__ import annotations

import argparse
import io
import sys

from procman.cli.main import Parser

_EPILOG = """\
examples:
  procman schema > site.schema.json

To have an editor (taplo, Even Better TOML) complete and check a site file, name the schema in its first line:
  #:schema site.schema.json
"""


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Declare the command."""
    commands.add_parser(
        "schema",
        help="print the JSON Schema of the site file",
        description="Prints the JSON Schema (draft 2020-12) of the site file: every option and its meaning.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command has one
    """Print it."""
    # Here, because other commands import this module too and must stay light.
    from procman.config.schema import schema_text

    # JSON is UTF-8, whatever the terminal's encoding is.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(schema_text())
    return 0
