#!/usr/bin/env python3
"""`procman init` under the command lines of dumb-init and tini, so that their own suites can be run against it.

Called by either name, with PROCMAN_UNDER_TEST naming procman's command, and PEER_WORDS the socket of who turns what
procman says into what the suites look for (`peers.Words`). Options and variables are translated, then procman takes
this process's place. It changes nothing of what procman does.
"""

import os
import socket
import sys


def main() -> None:
    name = os.path.basename(sys.argv[0])  # noqa: PTH119
    options, heard = (tini if name == "tini" else dumb_init)(sys.argv[1:])
    if heard:
        translate_stderr(name)
    procman = os.environ["PROCMAN_UNDER_TEST"].split()
    os.execvp(procman[0], [*procman, *options])


def dumb_init(argv: list[str]) -> tuple[list[str], bool]:
    """The words for procman, and whether its standard error matters."""
    options = ["-c"] * (os.environ.get("DUMB_INIT_SETSID") == "0")
    options += ["-v"] * (os.environ.get("DUMB_INIT_DEBUG") == "1")
    # Not for the variable: the suite reads nothing then, and bash wants standard error to be the terminal.
    return options + argv, bool({"-v", "--verbose", "/doesnotexist"} & set(argv))


def tini(argv: list[str]) -> tuple[list[str], bool]:
    """The same for tini, which signals the child alone unless it is told otherwise."""
    options = ["-s"] * ("TINI_SUBREAPER" in os.environ) + ["-v"] * ("TINI_VERBOSITY" in os.environ)
    group = "TINI_KILL_PROCESS_GROUP" in os.environ
    if argv[:1] == ["-g"]:
        group, argv = True, argv[1:]
    return [*options, *([] if group else ["-c"]), *argv], True


def translate_stderr(name: str) -> None:
    """Have standard error go through the translator, which is no child of ours: the suites count children."""
    read, write = os.pipe()
    with socket.socket(socket.AF_UNIX) as words:
        words.connect(os.environ["PEER_WORDS"])
        socket.send_fds(words, [name.encode()], [read, 2])
    os.dup2(write, 2)


if __name__ == "__main__":
    main()
