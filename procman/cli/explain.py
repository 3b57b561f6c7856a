"""`procman explain`: all about one key of a configuration, or about those of a table."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from typing import Any

from procman.cli import talk
from procman.cli.arguments import add_configuration, configuration
from procman.cli.main import EXIT_USAGE, Parser
from procman.screen import columns, wants_colour

EXIT_INVALID = 78

_EPILOG = f"""\
examples:
  procman explain group.api.restart.window    of the site that is running
  procman explain group.api site.toml         all keys of a group, in this file

{talk.SITE_EPILOG}\
exit codes:
  0    done
  {EXIT_USAGE}    wrong usage, or there is no such key
  {talk.EXIT_NO_SITE}    no such site is running
  {EXIT_INVALID}   the configuration is invalid
"""
_EFFECTS = {
    "live": "live: nothing is restarted",
    "restart": "restart: its workers are replaced",
    "up": "it waits for the next `procman up`",
}


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        name,
        help="say all about one key of a configuration",
        description="Prints a key's value, default and meaning, what a change of it does, and where it is set.",
        epilog=_EPILOG,
    )
    parser.add_argument("key", metavar="KEY", help="group.NAME.OPTION, site.OPTION, log.OPTION; or a table")
    add_configuration(parser)
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")
    talk.add_site(parser)


def run(args: argparse.Namespace) -> int:
    """Explain."""
    if not args.key:
        args.parser.error("KEY is empty\nhint: name one: site, group.NAME, group.NAME.restart.window")
    try:
        answer = _answer(args)
    except talk.GiveUpError as error:
        return error.code
    if "diagnostics" in answer:
        sys.stderr.write(f"{answer['diagnostics']}\n{answer['reason']}\n")
        return EXIT_INVALID
    if "reason" in answer:
        return talk.complain(args, answer["reason"], answer["hint"], EXIT_USAGE)
    found = answer["explained"]
    if args.json:
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write((_table if "keys" in found else _option)(found, columns(1)))
    return 0


def _answer(args: argparse.Namespace) -> dict[str, Any]:
    """What a loader says: here, of files, or of a running site that loader which it has itself."""
    if not args.files:
        return talk.consult(args, args.key)
    from procman.config.loader import answer_key
    from procman.config.merge.load import Request

    here = str(configuration(args)["cwd"])
    request = Request(args.files, here, args.overlay, args.sets, key=args.key)
    return answer_key(request, os.environ, colour=wants_colour(sys.stderr.isatty()))


def _option(found: dict[str, Any], columns: int | None) -> str:
    lines = [f"{found['key']} = {found['value']}"]
    about = {
        "default": found["default"],
        "set in": found["place"] if found["place"] != "default" else "nowhere: it is the default",
        "a change": _EFFECTS[found["effect"]],
    }
    lines += [f"  {name:<9} {text}" for name, text in about.items()]
    width = min(columns or 100, 100)
    return "\n".join(lines) + "\n\n" + textwrap.fill(found["description"], width, break_on_hyphens=False) + "\n"


def _table(found: dict[str, Any], columns: int | None) -> str:
    """A line for each key: what is set first, then the defaults."""
    rows = [(one["key"].removeprefix(f"{found['key']}."), one["value"], one["place"]) for one in found["keys"]]
    rows.sort(key=lambda row: row[2] == "default")
    width = max(len(row[0]) for row in rows)
    room = max(12, (columns or 120) - width - 4 - max(len(row[2]) for row in rows))
    across = min(room, max(len(row[1]) for row in rows))
    lines = [f"{found['key']}  {found['place']}".rstrip(), ""]
    for key, value, place in rows:
        shown = value if len(value) <= across else value[: across - 1] + "\N{HORIZONTAL ELLIPSIS}"
        lines.append(f"{key:<{width}}  {shown:<{across}}  {place}")
    return "\n".join(lines) + "\n"
