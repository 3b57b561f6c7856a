"""A text for people on standard error, as it stands. It never waits for a reader for long."""

from __future__ import annotations

import os
from contextlib import suppress
from select import PIPE_BUF, POLLOUT, poll


def say(text: str) -> None:
    """Write it, giving up on a reader that takes nothing for five seconds."""
    data = text.encode("utf-8", "backslashreplace")
    writable = poll()
    writable.register(2, POLLOUT)
    with suppress(OSError):
        while data and writable.poll(5000):
            data = data[os.write(2, data[:PIPE_BUF]) :]
