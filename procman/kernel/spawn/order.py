"""The order for one worker of a zygote: what the core sends, and `prefork/birth.py` reads.

It goes as a file in memory, since it may be long, with all descriptors that the worker is to have. The leash is one of
them: the worker does nothing until it hears on it, and ends when it is closed; from there on it is what the exec-error
pipe is for a command.
"""

from __future__ import annotations

import _socket
import json
import os
from collections.abc import Sequence
from errno import EAGAIN

from procman.kernel.spawn.channel import Channel
from procman.kernel.spawn.couriers import Couriers, Done
from procman.kernel.spawn.given import Given
from procman.kernel.spawn.program import SpawnError
from procman.kernel.spawn.secrets import open_secret
from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan import Launch
from procman.policy.events import WorkerId

if TYPE_CHECKING:
    from procman.kernel.spawn.environment import Start, Variables


class Wanted(NamedTuple):
    """A worker that is to be born."""

    worker: WorkerId
    launch: Launch
    given: Given


class Way(NamedTuple):
    """How an order comes to its zygote."""

    channel: Channel
    couriers: Couriers
    done: Done
    """Takes how it went, where a courier brings it."""


def ask(wanted: Wanted, start: Start, words: tuple[int, int], way: Way) -> tuple[int, int]:
    """Ask the zygote for it: the core's end of the leash, and the pid of the courier, if there is one; else 0.

    `start` is what it starts with, `words` the file that its last words go to, and the place there. Raises OSError, or
    SpawnError where there can be no courier.
    """
    account, place = words
    order = os.memfd_create("procman-order")
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        os.write(order, json.dumps(_order(wanted, start, place)).encode())
        given = [fd for _, fd in wanted.given.numbered]
        first, courier = [order, theirs.fileno(), account], 0
        if start.secrets:
            fds = [*first, *given, way.channel.fileno()]
            courier = way.couriers.send(lambda: _bring(start.secrets, first, given, way.channel), fds, way.done)
        else:
            way.channel.send(b"{}", [*first, *given])
        ours.setblocking(False)
        return ours.detach(), courier
    finally:
        os.close(order)
        ours.close()
        theirs.close()


def _bring(secrets: Variables, first: Sequence[int], given: Sequence[int], channel: Channel) -> None:
    """In a courier: open the secrets, and send the order with them."""
    opened = [open_secret(name, path) for name, path in secrets]
    if not channel.pass_on(b"{}", [*first, *opened, *given]):
        raise SpawnError("fork", EAGAIN, "its zygote does not listen")


def _order(wanted: Wanted, start: Start, place: int) -> dict[str, object]:
    worker, launch, given = wanted
    entries = (os.fsdecode(entry).partition("=") for entry in start.environment.values())
    return {
        "argv": start.argv,
        "cwd": start.cwd,
        "umask": start.umask,
        "environment": {name: value for name, _, value in entries},
        "secrets": [name for name, _ in start.secrets],
        "pid_names": given.pid_names,
        "numbers": [number for number, _ in given.numbered],
        "death_signal": launch.privileges and launch.privileges.parent_death_signal,
        "name": str(worker),
        "place": place,
    }
