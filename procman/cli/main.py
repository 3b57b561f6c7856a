"""The command line: which command, what is wrong with how it was asked, and the exit code.

It knows no command but by name: each is in a module of this package with `add_parser(commands, name)` and
`run(args) -> int`, which import what is heavy only once they run. It never prints a traceback for how it was called, or
for where its output goes.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from errno import EDQUOT, EIO, ENOSPC
from importlib import import_module

from procman import __version__
from procman.screen import columns

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from typing import Any, NoReturn

COMMANDS = {
    "up": "up",
    "status": "status",
    "start": "operate",
    "stop": "operate",
    "restart": "operate",
    "run": "operate",
    "scale": "operate",
    "signal": "operate",
    "events": "events",
    "logs": "logs",
    "reload": "operate",
    "rollback": "operate",
    "down": "operate",
    "check": "check",
    "plan": "plan",
    "explain": "explain",
    "schema": "schema",
    "completion": "completion",
}
"""Each with its module."""
EXIT_USAGE = 2

_FULL = (ENOSPC, EDQUOT, EIO)
"""A place that takes no more."""
EXIT_CODES = """\
exit codes:
  0    every worker finished normally, or procman was asked to stop and did
  2    wrong usage
  10   a worker failed for good: budget spent, or not to be restarted
  11   the same, and its last failure was its health check
  12   the same, and its last failure was its start: not found, never ready …
  78   the configuration is invalid
"""

_EPILOG = f"""\
examples:
  procman up site.toml          run the site until Ctrl-C
  procman check site.toml       what is wrong with it, or what it would run
  procman status                how its workers are, while it runs
  procman init -- COMMAND       run one command as a container's process 1
  procman COMMAND --help        all about one command

{EXIT_CODES}
With `[site] exit_code_from`, `up` ends with the code of that group instead.
"""


class Help(argparse.RawDescriptionHelpFormatter):
    """argparse makes one for each option that is declared, and would load `shutil`, which is much, for the width."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=(columns(1) or 80) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """As it stands, but for paragraphs, which are a line each: those are broken."""
        from textwrap import fill

        lines = [line if len(line) <= width or line[0] == " " else fill(line, width) for line in text.splitlines()]
        return "\n".join(f"{indent}{line}" for line in lines)


UNSET = "hint: is it a variable of the shell that is not set?"
"""For a word that is empty."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong, and what to do, in two lines."""

    def __init__(self, **more: Any) -> None:
        super().__init__(formatter_class=Help, allow_abbrev=False, **more)

    def error(self, message: str) -> NoReturn:
        """Exit with 2. A message may bring its own hint."""
        what, newline, hint = message.partition("\nhint: ")
        self.exit(EXIT_USAGE, f"{self.prog}: error: {what}\nhint: {hint if newline else f'see `{self.prog} --help`'}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (None: this process's own arguments) names; the answer is the exit code."""
    _have_streams()
    if argv is None:
        _die_as_others_do()
        _go_on_unheard()
        argv = sys.argv[1:]
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _silence_stdout()
        sys.stderr.write(f"procman: error: cannot write the output: {error.strerror}\n")
        return 1
    return code


def _run(argv: Sequence[str]) -> int:
    try:
        parser = parser_of(argv)
        if not argv:
            parser.print_help()
            return 0
        _check_command(parser, argv[0])
        args = _parse(parser, argv)
        return int(import_module(f"procman.cli.{COMMANDS[args.command]}").run(args))
    except SystemExit as over:  # a help, or wrong usage
        if not isinstance(over.code, int):
            raise
        return over.code


def parser_of(argv: Sequence[str] = ()) -> Parser:
    """The parser; of one command alone, if it is named where it should be: a command is to be quick."""
    parser = Parser(
        prog="procman",
        description="Runs a site: groups of processes, restarted within a budget.",
        epilog=_EPILOG,
    )
    parser.add_argument("-s", "--site", metavar="SITE", help="the site, for the commands that talk to a running one")
    parser.add_argument("--version", action="version", version=f"procman {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    asked = [word for word in _after_site(argv)[:1] if word in COMMANDS]
    for name in asked or COMMANDS:
        import_module(f"procman.cli.{COMMANDS[name]}").add_parser(commands, name)
    if not asked:  # it has been told apart already, see `entry.py`
        commands.add_parser("init", help="run one command as process 1 should run it")
    return parser


def _after_site(argv: Sequence[str]) -> Sequence[str]:
    """The words from the command on: `-s SITE` may stand before it."""
    if argv[:1] in (["-s"], ["--site"]):
        return argv[2:]
    return argv[1:] if argv[:1] and argv[0].startswith(("-s", "--site=")) else argv


def _check_command(parser: Parser, word: str) -> None:
    """Exit with the hint that fits, if the first word is no command."""
    if word in COMMANDS or word.startswith("-"):
        return
    if word.endswith(".toml"):
        parser.error(f"no command before {word}\nhint: run it with `procman up {word}`")
    from difflib import get_close_matches

    near = get_close_matches(word, COMMANDS, n=1)
    parser.error(f"there is no command `{word}`" + (f"\nhint: did you mean `procman {near[0]}`?" if near else ""))


def _parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse; what a command does not know is an error of that command, with the hint to its own help."""
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        what = "option" if unknown[0].startswith("-") else "argument"
        getattr(args, "parser", parser).error(f"there is no {what} {unknown[0]}")
    if args.command is None:
        parser.error("no command")
    if args.command not in COMMANDS:
        parser.error("init is for no site\nhint: run it as `procman init -- COMMAND`")
    return args


def _die_as_others_do() -> None:
    """Let Ctrl-C and a reader that went away end a command by their signals, as they end other programs."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


class _Talk(io.FileIO):
    """What is said to people. It is lost if it cannot be written, which changes neither what is done nor the code."""

    def write(self, data: Any) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return memoryview(data).nbytes


def _go_on_unheard() -> None:
    """Let a standard error that is full be in nobody's way."""
    talk = io.BufferedWriter(_Talk(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(talk, sys.stderr.encoding, "backslashreplace", line_buffering=True)


def _have_streams() -> None:
    """Where one was closed, /dev/null takes its place, and its number, before a socket does."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays


def _silence_stdout() -> None:
    """Keep the interpreter from failing once more at its end, when it flushes."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
