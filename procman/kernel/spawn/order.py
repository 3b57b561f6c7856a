"""The order for one worker of a zygote: what the core sends, and `prefork/birth.py` reads.

It goes as a file in memory, since it may be long, with all descriptors that the worker is to have. The leash is one of
them: the worker does nothing until it hears on it, and ends when it is closed; from there on it is what the exec-error
pipe is for a command.
"""

from __future__ import annotations

import _socket
import json
import os

from procman.kernel.spawn.channel import Channel
from procman.kernel.spawn.given import Given
from procman.kernel.spawn.secrets import Opened
from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan import Launch
from procman.policy.events import WorkerId

if TYPE_CHECKING:
    from procman.kernel.spawn.environment import Start


class Wanted(NamedTuple):
    """A worker that is to be born."""

    worker: WorkerId
    launch: Launch
    given: Given


def ask(wanted: Wanted, start: Start, words: tuple[int, int], channel: Channel) -> int:
    """Ask the zygote on this channel for it: the core's end of the leash.

    `start` is what it starts with, `words` the file that its last words go to, and the place there. Raises OSError, or
    SpawnError for a secret that cannot be opened.
    """
    account, place = words
    order = os.memfd_create("procman-order")
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        os.write(order, json.dumps(_order(wanted, start, place)).encode())
        given = [fd for _, fd in wanted.given.numbered]
        with Opened(start.secrets) as secrets:
            channel.send(b"{}", (order, theirs.fileno(), account, *secrets, *given))
        ours.setblocking(False)
        return ours.detach()
    finally:
        os.close(order)
        ours.close()
        theirs.close()


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
