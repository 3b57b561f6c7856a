"""What all commands that talk to a running site have in common: which site, how long, what went wrong. No command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from procman.cli.main import EXIT_USAGE, UNSET, Parser
from procman.control.client import Client, ClientError, TimedOutError, find
from procman.control.wire import Object, ProtocolError, split_selector

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from typing import NoReturn

EXIT_FAILED, EXIT_NO_SITE, EXIT_INVALID, EXIT_TIMED_OUT = 1, 3, 78, 124

LOADING_S = 60.0
"""How long a loader may take, twice over if it answers somebody else just now."""

SITE_EPILOG = """\
which site:
  -s NAME, -s FILE.toml or -s SOCKET; else PROCMAN_SITE in the environment
  (every worker has it); else the only site that you are running

"""


def exit_codes(failed: str = "refused, or it did not come true; stderr says why", *, invalid: bool = False) -> str:
    """The part of a command's help that lists them."""
    codes = {0: "done", EXIT_FAILED: failed, EXIT_USAGE: "wrong usage", EXIT_NO_SITE: "no such site is running"}
    if invalid:
        codes[EXIT_INVALID] = "the configuration is invalid; nothing has changed"
    codes[EXIT_TIMED_OUT] = "the time was over before it was done; it goes on"
    return "exit codes:\n" + "".join(f"  {code:<3}  {meaning}\n" for code, meaning in codes.items())


class GiveUpError(Exception):
    """The command cannot go on; its exit code. What is wrong has been said."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def add_site(parser: Parser) -> None:
    """Declare `-s`, which may also stand before the command."""
    text = "the site's name, file or socket"
    parser.add_argument("-s", "--site", metavar="SITE", default=argparse.SUPPRESS, help=text)
    parser.set_defaults(parser=parser)


def add_waiting(parser: Parser) -> None:
    """Declare `--wait`, `--no-wait` and `--timeout`."""
    parser.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="wait until it has come true, and show what happens (the default)",
    )
    parser.add_argument("--timeout", metavar="DURATION", help="wait no longer than this: 500ms, 30s, 5m")


def timeout_of(args: argparse.Namespace) -> float | None:
    """`--timeout` in seconds; None is no limit. Exits with 2 where it is no duration."""
    if args.timeout is None:
        return None
    from procman.config.scalars.values import BadValueError, parse_duration

    try:
        return parse_duration(args.timeout)
    except BadValueError as error:
        parser: Parser = args.parser
        parser.error(f"--timeout {args.timeout}: no duration\nhint: {error.hint}")


def connect(args: argparse.Namespace) -> Client:
    """A connection to the site that is meant. Raises GiveUpError."""
    site = getattr(args, "site", None)
    if site == "":
        args.parser.error(f"-s: SITE is empty\n{UNSET}")
    try:
        return find(site, os.environ)
    except ClientError as error:
        raise GiveUpError(complain(args, error.reason, error.hint, EXIT_NO_SITE)) from None


def ask(
    args: argparse.Namespace, client: Client, request: Object, timeout_s: float | None, *, until: bool = False
) -> Iterator[Object]:
    """The replies of a conversation, refusals and breakdowns excepted. Raises GiveUpError.

    `until`: the time is for how long they are wanted, and when it is over nothing has failed.
    """
    try:
        for reply in client.ask(request, timeout_s):
            if reply["say"] == "refused":
                raise GiveUpError(complain(args, reply["reason"], reply["hint"], EXIT_FAILED))
            yield reply
    except ClientError as error:
        raise GiveUpError(complain(args, error.reason, error.hint, EXIT_NO_SITE)) from None
    except TimedOutError:
        if until:
            return
        asked_for = getattr(args, "timeout", None)
        silence = f"not done within {asked_for}; it goes on" if asked_for else f"no answer within {timeout_s:.0f}s"
        raise GiveUpError(
            complain(args, silence, "" if asked_for else f"see process {client.pid}", EXIT_TIMED_OUT)
        ) from None


def question(args: argparse.Namespace, request: Object, timeout_s: float = 5.0) -> Object:
    """The one reply to a request that moves nothing, on a connection of its own. Raises GiveUpError."""
    client = connect(args)
    try:
        return next(ask(args, client, request, timeout_s))
    finally:
        client.close()


def consult(args: argparse.Namespace, key: str = "") -> Object:
    """What the site's loader makes of the files that are named, or of the site's own. Raises GiveUpError."""
    named = {"files": args.files, "overlays": args.overlay, "sets": args.sets, "here": os.getcwd()}  # noqa: PTH109
    answer: Object = question(args, {"do": "compile", "key": key, **named}, LOADING_S)["answer"]
    return answer


def targets(args: argparse.Namespace) -> list[str]:
    """The words that name groups and workers. Exits with 2 where one can name neither."""
    try:
        return [word for word in args.targets if split_selector(word)]
    except ProtocolError as error:
        parser: Parser = args.parser
        parser.error(f"{error}\nhint: api is all workers of a group, api:0 the first of them")


def there_is_no(args: argparse.Namespace, what: str) -> NoReturn:
    """Raises GiveUpError: the site has no such group or worker."""
    raise GiveUpError(complain(args, f"there is no {what}", "see `procman status`", EXIT_FAILED))


def complain(args: argparse.Namespace, reason: str, hint: str, code: int) -> int:
    """Say what is wrong; the answer is the exit code."""
    sys.stderr.write(f"{args.parser.prog}: error: {reason}\n" + (f"hint: {hint}\n" if hint else ""))
    return code
