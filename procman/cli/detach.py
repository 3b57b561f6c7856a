"""`procman up --detach`: a site that runs on by itself, and a command that returns when it is ready, or with its error.

The core tells where its control socket is by a pipe that it was given; from there on this is a client like any. That
nobody has the pipe's other end any more tells the core that this has ended, and to let go of its standard error.
"""

from __future__ import annotations

import argparse
import os
import signal
import stat
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any, NoReturn

from procman.cli import talk
from procman.cli.status import is_ready, why_not_ready
from procman.control.client import Client, ClientError, TimedOutError, status_of


def detach(args: argparse.Namespace, request: dict[str, Any], become: Callable[[dict[str, Any]], NoReturn]) -> int:
    """Start the core (which is what `become` becomes) in a session of its own, and wait until its site is ready."""
    timeout = talk.timeout_of(args)
    deadline = None if timeout is None else monotonic() + timeout
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.set_inheritable(write, True)
        become(request | {"tell": write})
    os.close(write)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    with os.fdopen(read, encoding="utf-8", errors="surrogateescape") as pipe:  # open until this has ended
        address, told, log = pipe.readline().rstrip("\n").partition("\0")  # within the loader's own deadline
        if not told:
            return _ended(child)
        if not address:
            sys.stderr.write(
                f"started, as process {child}; without a control socket it cannot be asked when it is ready\n"
            )
            return 0
        try:
            return _wait(args, address, child, deadline, _where(log))
        except ClientError:
            return _ended(child)
        except TimedOutError:
            return talk.complain(args, f"not ready within {args.timeout}; it goes on", "", talk.EXIT_TIMED_OUT)


def _where(log: str) -> str:
    """What to say of the log, which goes on: nothing if that is where the site says, or in the file that stderr is."""
    if log or stat.S_ISREG(os.fstat(2).st_mode):
        return ""
    return "hint: its log ends here; `procman events` shows the last of it, and a `[log] file` would keep it\n"


def _wait(args: argparse.Namespace, address: str, child: int, deadline: float | None, where: str) -> int:
    """Look again after every event until it is ready, or cannot be any more."""
    events, left = Client(address), None if deadline is None else max(0.0, deadline - monotonic())
    try:
        told = events.ask({"do": "events", "follow": True, "last": 1}, left)
        while True:
            client = Client(address)
            status = status_of(client)
            client.close()
            if is_ready(status):
                sys.stderr.write(f"{status['site']} is ready, as process {child}\n{where}")
                return 0
            if status["phase"] != "running":
                return _ended(child)
            if reason := why_not_ready(status):
                hint = f"it goes on; end it with `procman -s {status['site']} down`"
                return talk.complain(args, reason, hint, talk.EXIT_FAILED)
            if next(told, None) is None:
                return _ended(child)
    finally:
        events.close()


def _ended(child: int) -> int:
    """The core is gone, and has said why: its exit code. It cannot end with 0 before it was ready, but by a stop."""
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
