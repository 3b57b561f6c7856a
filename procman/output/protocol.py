"""What the core and the pump say to each other: JSON objects with descriptors, over one socket. Pure but for that.

It is a socket of packets, so a message is whole, and its descriptors come with it; the core's end of it is
`kernel/spawn/channel.py`, what it says `kernel/output/pump.py`. Neither end ever waits for the other.

From the core, each with `do`:

    begin    first of all but `ring`: `site`, `colour`, `widest` (characters of the longest name before a line).
             Descriptor, perhaps: the state of a former pump. The answer is `begun`
    open     a worker has begun: `id`, `worker` (group, task, generation), `pid`, `streams`, `output` (an OutputPlan),
             `ready` (a regular expression, or ""), `again` if a pump that had it was killed. Descriptors: the reading
             end of a pipe for each stream
    end      the worker `id` has ended: its pipes are emptied, then `ended` is the answer
    ring     how many bytes of each group's lines are kept: `size`
    logs     `select` (pairs of group and task, null for all of the group), `follow`. Descriptor: who wants to know
    reopen   the files have been moved away
    ping     asks for `pong`

From the pump:

    begun    nothing has been read or written yet, and the state of the former pump is in this one's hands
    ended    `id`, `tail` (its last lines on stderr), `exception` (what a traceback ends with, or "")
    lost     lines were not written: `outlet`, `lines` and `bytes` since the last time, `reason`; `over` once they are
             written again. After a killed pump that is said of all that it wrote to, with no lines
    ready    `worker`: a line of it has matched its `ready` pattern
    retired  it ends; its state is in the descriptor that comes with this
    pong
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

MAX_MESSAGE = 65536
MAX_DESCRIPTORS = 8
Message = dict[str, Any]


class Channel:
    """The pump's end of the socket."""

    __slots__ = ("_socket", "fd")

    def __init__(self, fd: int) -> None:
        """Take over a descriptor."""
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self.fd = fd

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> bool:
        """Send a message; False if there is no room for it now. Raises OSError if nobody is there any more."""
        data = json.dumps(message, separators=(",", ":")).encode()
        try:
            socket.send_fds(self._socket, [data], descriptors)
        except BlockingIOError:
            return False
        return True

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and its descriptors; None if there is none.

        Raises EOFError if nobody is there any more.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, MAX_MESSAGE, MAX_DESCRIPTORS)
        except BlockingIOError:
            return None
        except ConnectionError:
            raise EOFError from None
        if not data:
            raise EOFError
        return json.loads(data), descriptors


def put_state(state: object) -> int:
    """A descriptor from which `take_state` reads this. Raises OSError."""
    fd = os.memfd_create("procman-pump-state")
    with open(fd, "wb", closefd=False) as file:
        file.write(json.dumps(state).encode())
    return fd


def take_state(fd: int) -> Any:
    """What `put_state` wrote; the descriptor is closed."""
    with open(fd, "rb") as file:
        file.seek(0)
        return json.loads(file.read())
