"""`procman events`: what has happened in a running site, and what happens."""

from __future__ import annotations

import argparse
import json
import sys

from procman.cli import talk
from procman.cli.main import Parser
from procman.cli.records import for_people

_EPILOG = f"""\
examples:
  procman events                the last hundred
  procman events -n 0 -f        from now on
  procman events -f --json | jq 'select(.event == "worker.failed")'

{talk.SITE_EPILOG}{talk.exit_codes()}"""


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        name,
        help="show what has happened in a site, and what happens",
        description="Shows the last events of a running site: every change of a worker's state.",
        epilog=_EPILOG,
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C, or the end of the site")
    parser.add_argument("-n", "--last", metavar="N", default="100", help="show so many of the past (100)")
    parser.add_argument("--json", action="store_true", help="print each as the line of JSON that the log has")
    parser.add_argument("--timeout", metavar="DURATION", help="end after this time: 500ms, 30s, 5m")
    talk.add_site(parser)


def run(args: argparse.Namespace) -> int:
    """Show them."""
    if not (args.last.isascii() and args.last.isdigit() and len(args.last) < 9):
        args.parser.error(f"--last {args.last}: not a number")
    timeout = talk.timeout_of(args) if args.timeout or args.follow else 5.0
    lines = for_people(1)
    try:
        client = talk.connect(args)
        try:
            request = {"do": "events", "follow": args.follow, "last": int(args.last)}
            for reply in talk.ask(args, client, request, timeout, until=args.follow):
                if args.json:
                    sys.stdout.write(json.dumps(reply["event"], separators=(",", ":")) + "\n")
                    sys.stdout.flush()
                else:
                    sys.stdout.buffer.writelines(lines(reply["event"]))
                    sys.stdout.buffer.flush()
        finally:
            client.close()
    except talk.GiveUpError as error:
        return error.code
    return 0
