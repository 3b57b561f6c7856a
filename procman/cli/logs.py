"""`procman logs`: what the workers of a running site have written, and what they write."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

from procman.cli import talk
from procman.cli.main import Parser
from procman.control.client import PATIENCE_S, Client, ClientError, TimedOutError
from procman.control.wire import split_selector
from procman.output.follow import Line, live, older
from procman.output.styles import Column, Json, Origin, Prefix, Style
from procman.screen import wants_colour

_EPILOG = f"""\
examples:
  procman logs                   the last hundred lines of all workers
  procman logs -f api:0          from now on, too
  procman logs --since 10m --grep 'timeout|refused'

Only what procman captures can be shown: not what goes to the output "inherit".

{talk.SITE_EPILOG}{talk.exit_codes()}"""


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        name,
        help="show what workers have written, and what they write",
        description="Shows what the workers of a running site have written to stdout and stderr.",
        epilog=_EPILOG,
    )
    parser.add_argument("targets", nargs="*", metavar="SELECTOR", help="GROUP, or GROUP:TASK for one worker")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C, or the end of the site")
    parser.add_argument("-n", "--last", metavar="N", default="100", help="show so many of the past (100)")
    parser.add_argument("--since", metavar="T", help="show nothing older: 30s, 5m, or a time: 2026-11-25T12:00:07Z")
    parser.add_argument("--grep", metavar="REGEX", help="show only the lines in which this is found")
    parser.add_argument("--json", action="store_true", help="print an object a line")
    talk.add_site(parser)


def run(args: argparse.Namespace) -> int:
    """Show them."""
    wanted = {"do": "logs", "targets": talk.targets(args), "follow": args.follow}
    last, since_ns, pattern = _last(args), _since(args), _pattern(args)
    try:
        site = _look(args)
        client = talk.connect(args)
        try:
            stream = client.stream(wanted)
            about = json.loads(stream.readline() or b'{"say":"refused","reason":"procman has ended","hint":""}')
            if about.get("say") == "refused":
                return talk.complain(args, about["reason"], about["hint"], talk.EXIT_FAILED)
            lines = _chosen(stream, about["files"], last, since_ns, pattern)
            _print(args, site, lines)
        finally:
            client.close()
        return _say_if_it_goes_on(args, client.path) if args.follow else 0
    except talk.GiveUpError as error:
        return error.code
    except TimedOutError:
        reason = f"no answer within {PATIENCE_S:.0f}s from the pump, which reads what workers write"
        return talk.complain(args, reason, "does a disk hang that it writes to?", talk.EXIT_TIMED_OUT)


def _look(args: argparse.Namespace) -> str:
    """The site's name. Raises GiveUpError where a group is not there; a worker that is no more may have left lines."""
    status = talk.question(args, {"do": "status"})
    there = {group["name"] for group in status["groups"]}
    for name, _ in map(split_selector, args.targets):
        if name not in there:
            talk.there_is_no(args, f"group {name}")
    return str(status["site"])


def _say_if_it_goes_on(args: argparse.Namespace, path: str) -> int:
    """Who follows has come to an end: that of the site, or only that of the pump. The exit code."""
    try:
        Client(path).close()
    except ClientError:
        return 0
    reason = "the pump, which reads what workers write, has ended; the site goes on, and so does another pump"
    return talk.complain(args, reason, "a few lines may be missing; follow it again", talk.EXIT_FAILED)


def _chosen(
    stream: IO[bytes], files: list[dict[str, Any]], last: int, since_ns: int, pattern: re.Pattern[bytes] | None
) -> Iterator[Line]:
    """The last of the past, in the order of time, then what comes."""
    coming = live(stream)
    kept = [line for line in iter(lambda: next(coming, None), None) if _fits(line, since_ns, pattern)]
    if len(kept) < last:
        kept[:0] = [line for line in older(files) if _fits(line, since_ns, pattern)]
        kept.sort(key=lambda line: line.time_ns)  # stable: of one worker the older ones stay before
    yield from kept[len(kept) - min(last, len(kept)) :]
    yield from (line for line in coming if line is not None and _fits(line, 0, pattern))


def _fits(line: Line, since_ns: int, pattern: re.Pattern[bytes] | None) -> bool:
    return line.time_ns >= since_ns and (pattern is None or pattern.search(line.text) is not None)


def _print(args: argparse.Namespace, site: str, lines: Iterator[Line]) -> None:
    styles: dict[Origin, Style] = {}
    column, colour = Column(), wants_colour(os.isatty(1))
    for line in lines:
        style = styles.get(line.origin)
        if style is None:
            prefix = Prefix(line.origin, column, colour=colour, timestamps=False)
            style = styles[line.origin] = Json(site, line.origin, "text") if args.json else prefix
        sys.stdout.buffer.write(style.lines(line.text + b"\n", line.time_ns))
        sys.stdout.buffer.flush()


def _last(args: argparse.Namespace) -> int:
    if not (args.last.isascii() and args.last.isdigit() and len(args.last) < 9):
        args.parser.error(f"--last {args.last}: not a number")
    return int(args.last)


def _since(args: argparse.Namespace) -> int:
    if args.since is None:
        return 0
    from datetime import datetime

    from procman.config.scalars.values import BadValueError, parse_duration

    try:
        return time.time_ns() - int(parse_duration(args.since) * 1e9)
    except BadValueError as error:
        with suppress(ValueError):
            return int(datetime.fromisoformat(args.since).timestamp() * 1e9)  # local, where it does not say
        parser: Parser = args.parser
        parser.error(f"--since {args.since}: neither a duration nor a time\nhint: {error.hint}")


def _pattern(args: argparse.Namespace) -> re.Pattern[bytes] | None:
    parser: Parser = args.parser
    try:
        return re.compile(os.fsencode(args.grep)) if args.grep is not None else None
    except re.error as error:
        parser.error(f"--grep {args.grep}: {error}\nhint: it is a regular expression")
