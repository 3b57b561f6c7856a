"""`procman completion`: what a shell asks when Tab is pressed, and the few lines that have it ask.

What may come next is found in the parsers themselves, and for groups in the site that runs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from itertools import pairwise

from procman.cli.main import COMMANDS, Parser
from procman.cli.main import parser_of as parser_of_all
from procman.control.wire import Object

_SCRIPTS = {
    "bash": """\
_procman() {
    local IFS=$'\\n' words=() word begun=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do  # bash breaks api:0 into three words
        if [[ -n $begun && ( $word == : || $begun == *: ) ]]; then begun+=$word; words[${#words[@]}-1]=$begun
        else begun=$word; words+=("$word"); fi
    done
    COMPREPLY=($(procman completion words -- "${words[@]}" 2>/dev/null))
    [[ $begun == *:* && $COMP_WORDBREAKS == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${begun%"${begun##*:}"}"}")
    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _procman procman
""",
    "zsh": """\
#compdef procman
_procman() {
    local -a found
    found=("${(@f)$(procman completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then compadd -- $found; else _files; fi
}
compdef _procman procman
""",
    "fish": """\
function __procman_words
    procman completion words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null
end
complete -c procman -a '(__procman_words)'
""",
}

_EPILOG = """\
examples:
  eval "$(procman completion bash)"           in ~/.bashrc
  eval "$(procman completion zsh)"            in ~/.zshrc, after compinit
  procman completion fish | source            in ~/.config/fish/config.fish
"""
_WITH_GROUPS = ("status", "start", "stop", "restart", "run", "signal", "logs")


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        name,
        help="have a shell complete commands, options and groups",
        description="Prints what a shell reads to complete commands, options and the groups of the running site.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", choices=[*_SCRIPTS, "words"], help="the shell, or: the words that may come next")
    parser.add_argument("words", nargs="*", default=[], help=argparse.SUPPRESS)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    if args.shell != "words":
        sys.stdout.write(_SCRIPTS[args.shell])
        return 0
    *before, begun = args.words or [""]
    found = sorted({word for word in candidates(before, begun) if word.startswith(begun)})
    sys.stdout.writelines(f"{word}\n" for word in found)
    return 0


def candidates(before: list[str], begun: str) -> Iterator[str]:
    """What may follow these words."""
    if before[-1:] in (["-s"], ["--site"]):
        from procman.control.client import names

        yield from names(os.environ)
        return
    command = next((word for word in before if word in COMMANDS or word == "init"), None)
    if command is None:
        yield from ("-s", "--help", "--version") if begun.startswith("-") else (*COMMANDS, "init")
        return
    if begun.startswith("-"):
        yield from options_of(command)
    elif command == "scale":
        yield from (f"{group['name']}=" for group in _status(before)["groups"])
    elif command == "signal" and before[-1] == command:
        import signal

        yield from (one.name.removeprefix("SIG") for one in signal.Signals)
    elif command in _WITH_GROUPS and ":" in begun and command != "run":
        yield from (f"{worker['group']}:{worker['task']}" for worker in _status(before)["workers"])
    elif command in _WITH_GROUPS:
        yield from (group["name"] for group in _status(before)["groups"])
    elif command == "completion":
        yield from _SCRIPTS


def options_of(command: str) -> Iterator[str]:
    """The options that a command has."""
    if command == "init":
        from procman.cli.init import WORDS

        yield from WORDS
        return
    parser = parser_of_all([command])
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for option in action.choices[command]._actions:
                yield from option.option_strings


def _status(before: list[str]) -> Object:
    """That of the site that is meant, if it runs."""
    from procman.control.client import ClientError, TimedOutError, find, status_of

    wanted = next((after for word, after in pairwise(before) if word in ("-s", "--site")), None)
    with contextlib.suppress(ClientError, TimedOutError):
        client = find(wanted, os.environ)
        try:
            return status_of(client)
        finally:
            client.close()
    return {"groups": [], "workers": []}
