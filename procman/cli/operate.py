"""`procman start`, `stop`, `run`, `scale`, `signal`, `reload`, `rollback`, `down`: move a site by hand.

What happens is shown on standard error as it happens; standard output stays empty.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

from procman import words
from procman.cli import talk
from procman.cli.main import Parser
from procman.control.client import TimedOutError
from procman.control.wire import Object
from procman.screen import wants_colour, without_colour

_HELP = {
    "start": "start workers by hand, with a fresh budget for whole groups",
    "stop": "stop workers by hand, until they are started by hand",
    "restart": "restart workers by hand; it counts on no budget",
    "run": "run a job now, and wait for its end",
    "scale": "run another number of workers than the file says",
    "signal": "send a signal to workers",
    "reload": "read the configuration again and apply what changed",
    "rollback": "go back to the last good configuration",
    "down": "stop the site in order, and wait for its end",
}
_EXAMPLES = {
    "start": "procman start api          all workers of the group api\n  procman start api:2        one of them",
    "stop": "procman stop api mailer    two groups\n  procman stop api:2 --no-wait",
    "restart": "procman restart api --timeout 1m\n  procman restart api:0 api:1",
    "run": "procman run backup\n  procman run backup --no-wait",
    "scale": "procman scale api=8\n  procman scale api=0        none, until it is scaled again",
    "signal": "procman signal HUP api      the main process of each worker\n  procman signal --tree KILL api:2",
    "reload": "procman reload --timeout 2m    wait until it has proved itself\n"
    "  procman reload --reset         drop what was scaled and stopped by hand",
    "rollback": "procman rollback",
    "down": "procman down\n  procman down --now         without grace\n  procman -s shop down",
}
_LOADING_S = 60.0
"""How long the reading of a configuration may take, twice over if another reload is under way."""
_PAST = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "run": "started",
    "scale": "scaled",
    "signal": "signalled",
}


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare one of the commands."""
    text = _HELP[name]
    parser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"examples:\n  {_EXAMPLES[name]}\n\n{talk.SITE_EPILOG}{talk.exit_codes(invalid=name == 'reload')}",
    )
    if name == "scale":
        parser.add_argument("count", metavar="GROUP=N", help="the group, and how many workers it is to have")
    elif name == "run":
        parser.add_argument("job", metavar="JOB", help="the group, which is one of kind job")
    elif name == "signal":
        parser.add_argument("signal", metavar="SIGNAL", help="its name or number: USR1, SIGUSR1, 10")
        parser.add_argument("--tree", action="store_true", help="to the worker's whole process group")
    elif name == "reload":
        parser.add_argument("--reset", action="store_true", help="drop what was scaled and stopped by hand")
    elif name == "down":
        parser.add_argument("--now", action="store_true", help="kill everything at once")
    if name in ("start", "stop", "restart", "signal"):
        parser.add_argument("targets", nargs="+", metavar="SELECTOR", help="GROUP, or GROUP:TASK for one worker")
    if name == "signal":
        parser.set_defaults(wait=False)  # it is sent, and that is all
    else:
        talk.add_waiting(parser)
    talk.add_site(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for it, show what happens, and say how it came out."""
    request = {"do": args.command, "wait": args.wait, **_fields(args)}
    timeout = talk.timeout_of(args) if args.wait else _LOADING_S if args.command == "reload" else 5.0
    try:
        client = talk.connect(args)
        try:
            failures = _follow(args, talk.ask(args, client, request, timeout))
            if args.command == "down" and args.wait:
                with suppress(TimedOutError):
                    client.wait_for_its_end(5.0)
        finally:
            client.close()
    except talk.GiveUpError as error:
        return error.code
    for failure in failures:
        talk.complain(args, failure, "", talk.EXIT_FAILED)
    return talk.EXIT_FAILED if failures else 0


def _follow(args: argparse.Namespace, replies: Iterator[Object]) -> list[str]:
    """Show what the site says until it is done: what did not come true."""
    lines = None
    for reply in replies:
        match reply["say"]:
            case "accepted":
                _announce(args, reply["workers"], reply["note"])
            case "event" if args.wait:
                from procman.cli.records import for_people  # much is done before anything happens

                lines = lines or for_people(2)
                sys.stderr.buffer.writelines(lines(reply["event"]))
                sys.stderr.flush()
            case "rejected":
                found = reply["diagnostics"]
                sys.stderr.write(found if wants_colour(os.isatty(2)) else without_colour(found))
                raise talk.GiveUpError(talk.complain(args, reply["reason"], "nothing has changed", talk.EXIT_INVALID))
            case "done":
                return [*reply["failures"]]
    return []


def _announce(args: argparse.Namespace, workers: Sequence[str], note: str) -> None:
    """Say whom it concerns, in a line."""
    if args.command == "down":
        text = "the site is stopping"
    elif args.command in ("reload", "rollback"):
        text, note = f"{args.command}: {note}", ""
    elif not workers:
        text = f"{args.command}: nothing to do"
    else:
        shown = [*workers[:8], f"and {len(workers) - 8} more"] if len(workers) > 9 else workers
        verb = args.command if args.wait else _PAST[args.command]
        text = f"{verb} {', '.join(shown)}"
    sys.stderr.write(text + (f" ({note})" if note else "") + "\n")
    sys.stderr.flush()


def _fields(args: argparse.Namespace) -> Object:
    """What the request says besides what is to be done."""
    match args.command:
        case "down":
            return {"now": args.now}
        case "run":
            return {"group": args.job}
        case "reload":
            return {"reset": args.reset}
        case "scale":
            group, _, number = args.count.partition("=")
            if not (group and number.isascii() and number.isdigit() and len(number) < 8):
                args.parser.error(f"{args.count}: not of the form GROUP=N\nhint: for example procman scale api=4")
            return {"group": group, "workers": int(number)}
        case "signal":
            scope = "tree" if args.tree else "leader"
            return {"signal": _signal(args), "targets": talk.targets(args), "scope": scope}
        case "rollback":
            return {}
        case _:
            return {"targets": talk.targets(args)}


def _signal(args: argparse.Namespace) -> int:
    number = words.signal_number(args.signal) or 0
    if number not in signal.valid_signals():
        from difflib import get_close_matches

        known = [words.signal_name(one).removeprefix("SIG") for one in signal.valid_signals()]
        near = get_close_matches(args.signal.upper().removeprefix("SIG"), known, n=1)
        hint = f"did you mean {near[0]}?" if near else "see `kill -l`"
        args.parser.error(f"there is no signal {args.signal}\nhint: {hint}")
    return number
