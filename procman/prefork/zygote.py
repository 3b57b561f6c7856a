"""The zygote of a Python group: imports its program once, and forks each of its workers when the core asks for one.

A program of its own, started by the core with what the group's workers have: user, limits, directory, environment. It
has one thread, or says who has started others. It frees no memory that its workers share (`gc.freeze`), runs nothing
of the program but its imports, and ends without a word when the core closes the channel, or is gone. Workers are the
core's children, not the zygote's: its end does not touch them.

Like every helper it begins with signals blocked that are meant for the core and the workers where all of a cgroup get
them. It stays so, and so does what its imports start; its workers hear them.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from procman.prefork.birth import Order, be_called, bear, keep_free, out_of_the_way, settle_in
from procman.prefork.program import Program, call, last_words, program_of, show, tell_to
from procman.prefork.safety import open_event_loop
from procman.prefork.threads import Watch

_MAX_FDS = 250


class Channel:
    """The way to the core, descriptor 0 at the beginning: messages both ways, and descriptors from there."""

    def __init__(self) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        self._socket = socket.socket(fileno=out_of_the_way(os.dup(0)))
        os.dup2(null, 0)
        os.close(null)

    def say(self, **message: object) -> None:
        """To who may be gone."""
        with suppress(OSError):
            self._socket.sendmsg([json.dumps(message).encode()], (), socket.MSG_NOSIGNAL)

    def hear(self) -> list[int] | None:
        """The descriptors of the next message, which says nothing else; None if there will be none."""
        message, fds, _, _ = socket.recv_fds(self._socket, 64, _MAX_FDS, socket.MSG_CMSG_CLOEXEC)
        return fds if message else None

    def close(self) -> None:
        self._socket.close()


def main(text: str) -> int:
    """Be the zygote of a program. Returns the status to end with: of a worker, or of a zygote that cannot be one."""
    deaf_to = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    program = program_of(text)
    channel = Channel()
    keep_free()
    be_called(f"zygote:{os.environ.get('PROCMAN_GROUP', '')}")
    gc.disable()  # what it would free makes holes in pages that are to be shared
    program.prepare()
    watch = Watch()
    try:
        with watch:
            function = program.load()
    except BaseException as error:
        show(error)
        _flush()
        channel.say(failed=last_words(error))
        return 1
    _pass_the_gate(program, watch, channel)
    gc.collect()
    gc.freeze()
    return _serve(channel, function, deaf_to)


def _pass_the_gate(program: Program, watch: Watch, channel: Channel) -> None:
    """Tell the core whether workers can be forked from here; end where they cannot."""
    loop = open_event_loop()
    if loop is not None:
        _refuse(channel, failed=f"an asyncio event loop was made by an import: {loop!r}; its workers would share it")
    others = watch.others()
    if not others:
        channel.say(ready=True, warning="")
        return
    count = f"{len(others)} thread{'' if len(others) == 1 else 's'}"
    words = f"a fork would lose {count}: {'; '.join(others)}"
    if program.threads == "error":
        _refuse(channel, failed=words)
    if program.threads == "spawn":
        _refuse(channel, ready=False, warning=words)
    channel.say(ready=True, warning=words)


def _refuse(channel: Channel, **message: object) -> NoReturn:
    """End without the program's own functions for its end: nothing of it has begun."""
    channel.say(**message)
    _flush()
    os._exit(0)


def _serve(channel: Channel, function: Callable[..., object], deaf_to: set[int]) -> int:
    """Bear a worker for every order, until the core has no more. Returns in the worker."""
    while (heard := channel.hear()) is not None:
        ordered, leash, *fds = heard
        with open(ordered, "rb") as file:  # noqa: PTH123
            file.seek(0)
            order = Order(**json.loads(file.read()))
        _flush()
        try:
            pid = bear()
        except OSError as error:
            channel.say(unborn=error.errno)
        else:
            if pid == 0:
                channel.close()
                account = settle_in(order, fds, leash)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, deaf_to)
                return _live(order, function, account)
            channel.say(born=pid)
        for fd in (leash, *fds):
            os.close(fd)
    os._exit(0)


def _live(order: Order, function: Callable[..., object], account: int) -> int:
    gc.enable()
    program = program_of(order.argv[-1])
    sys.argv = [program.callable, *map(str, program.args)]
    return call(function, program.args, tell_to(account, order.place))


def _flush() -> None:
    """Write out what the imports have printed, lest every worker print it again."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()
