"""`procman up`: from what was asked to a lean process that runs the site.

This process has argparse and what else a command line needs, and is soon gone: it gives way, by exec and under the same
pid, to an interpreter with nothing but the core. It reads no configuration and starts no worker.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from errno import E2BIG
from typing import Any, NoReturn

import procman
from procman.cli.arguments import add_configuration, configuration
from procman.cli.main import EXIT_CODES, UNSET, Parser
from procman.kernel.proc import orphans
from procman.kernel.spawn.environment import base_environment

BOOT = "import os, sys; sys.path.append(sys.argv[1]); from procman.cli.core import main; os._exit(main(sys.argv[2]))"
"""The program of the core: isolated from the environment and without site-packages, so told where procman is.

`_exit`: an interpreter that tidies up puts the signals back first, and one more Ctrl-C would change the exit code.
"""

_HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
"""What may come before the core has its handlers: blocked over the exec, it stays pending, and none is lost."""

_DESCRIPTORS = 24
"""With so many it runs a site of a few plain workers; with fewer it could not even say what it lacks."""

_EPILOG = f"""\
examples:
  procman up site.toml                      run the site until Ctrl-C
  procman up site.toml -o prod.toml         with what prod.toml changes
  procman up site.toml --set group.api.workers=8
  procman up site.toml 2> events.jsonl      the log as JSON, in a file
  procman up --detach site.toml 2> log      in the background, once it is ready

signals:
  TERM, INT (Ctrl-C)   stop in order; a second one kills what is left
  QUIT                 kill everything now
  HUP                  read the configuration again and apply what changed
  USR1                 open the log file again

{EXIT_CODES}"""


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        name,
        help="run a site",
        description="Runs a site until it has finished or is asked to stop.",
        epilog=_EPILOG,
    )
    add_configuration(parser)
    parser.add_argument(
        "--detach",
        action="store_true",
        help="return when the site is ready (it runs on), or with its error; its log goes on only in a file: "
        "`[log] file`, or what stderr is redirected to",
    )
    parser.add_argument("--timeout", metavar="DURATION", help="with --detach: wait no longer than this: 30s, 5m")
    parser.add_argument("--watch", action="store_true", help="read it again as soon as one of its files changes")
    parser.add_argument("--control", metavar="PATH", help="have the control socket there")
    parser.add_argument("--name", help="run the site under this name instead of its own")
    parser.add_argument(
        "--log-format",
        choices=("auto", "json", "human"),
        help="form of the event log: human on a terminal and json elsewhere (auto), or always the same",
    )
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="whether a human log has colours (auto: if they show)",
    )


def run(args: argparse.Namespace) -> int:
    """Become the core; comes back only if that fails."""
    if args.timeout is not None and not args.detach:
        args.parser.error("--timeout is for --detach alone\nhint: without it, procman runs until the site has ended")
    request = request_of(args)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= most < _DESCRIPTORS:  # -1: no limit
        args.parser.error(
            f"no more than {most} files may be open, and procman needs {_DESCRIPTORS}\nhint: raise ulimit -Hn"
        )
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    if args.detach:
        from procman.cli.detach import detach

        return detach(args, request, become_core)
    return become_core(request)


def request_of(args: argparse.Namespace) -> dict[str, Any]:
    """What the core is to do, as JSON can say it; `core.main` reads it."""
    request: dict[str, Any] = configuration(args)
    if args.name is not None:
        request["sets"] = [*request["sets"], f"site.name={json.dumps(args.name, ensure_ascii=False)}"]
    if args.control == "":
        args.parser.error(f"--control: PATH is empty\n{UNSET}")
    if args.control is not None:
        path = os.path.abspath(args.control)  # noqa: PTH100 - no pathlib here
        request["sets"] = [*request["sets"], f"site.control={json.dumps(path, ensure_ascii=False)}"]
    if args.watch:
        request["sets"] = [*request["sets"], "site.reload.watch=true"]
    colour = {"auto": None, "always": True, "never": False}[args.color]
    return request | {"log_format": args.log_format, "colour": colour, "path": sys.path}


def become_core(request: dict[str, Any]) -> NoReturn:
    """Exec the core, with the environment that this process was exec'd with: Python may have added to its own."""
    if os.getpid() != 1:  # whose children all orphans become anyway
        with suppress(OSError):  # where that cannot be, they go to process 1, as anywhere
            orphans.adopt()
    root = procman.__file__.rsplit("/", 2)[0]
    argv = [sys.executable, "-I", "-S", "-X", "utf8", "-c", BOOT, root, json.dumps(request)]
    environment = {name: entry[len(name) + 1 :] for name, entry in base_environment().items()}
    try:
        os.execve(sys.executable, argv, environment)
    except OSError as error:
        hint = "what stands in --set can stand in an overlay file" if error.errno == E2BIG else "is Python still there?"
        sys.exit(f"procman: error: cannot start the core: {error.strerror}\nhint: {hint}")
