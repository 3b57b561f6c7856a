"""The arguments that name a configuration, the same for every command that reads one. Reads nothing itself."""

from __future__ import annotations

import argparse
import os

from procman.cli.main import UNSET, Parser

_DEFAULTS = ("site.toml", "procman.toml", "configs/site.toml")
"""What a repository calls its site."""


def add_configuration(parser: Parser) -> None:
    """Declare FILE, `-o` and `--set`."""
    parser.add_argument("files", nargs="*", default=[], metavar="FILE", help="a file of the site's configuration")
    parser.add_argument(
        "-o",
        "--overlay",
        action="append",
        default=[],
        metavar="FILE",
        help="lay this file over the others (repeatable)",
    )
    parser.add_argument(
        "--set", action="append", default=[], dest="sets", metavar="KEY=VALUE", help="set one option (repeatable)"
    )
    parser.set_defaults(parser=parser)


def configuration(args: argparse.Namespace) -> dict[str, object]:
    """What the arguments name, in the words of a loader's request. Exits with 2 where they name nothing."""
    parser, command = args.parser, args.command
    if not args.files:
        parser.error(f"no FILE given\nhint: name the site's configuration: `procman {command} site.toml`")
    if "" in (*args.files, *args.overlay):
        parser.error(f"a FILE has an empty name\n{UNSET}")
    for text in args.sets:
        if not text.partition("=")[0].strip() or "=" not in text:
            parser.error(f"--set {text}: not of the form KEY=VALUE\nhint: for example --set group.api.workers=8")
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib would take longer to import than all of this
    except FileNotFoundError:
        parser.error("the current directory has been removed\nhint: cd to one that exists")
    return {"files": args.files, "overlays": args.overlay, "sets": args.sets, "cwd": here}


def default_file(args: argparse.Namespace) -> str:
    """The site file of the current directory. Exits with 2 where there is none."""
    found = next((name for name in _DEFAULTS if os.path.isfile(name)), None)  # noqa: PTH113
    if found is None:
        parser: Parser = args.parser
        parser.error(f"no FILE given\nhint: name the site's configuration, or have one of {', '.join(_DEFAULTS)}")
    return found
