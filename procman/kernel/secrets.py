"""Secrets: read by the forked child, with the core's rights, before it becomes the worker. The core has none."""

from __future__ import annotations

import os
import stat
from errno import EINVAL

from procman.kernel.environment import Variables
from procman.kernel.program import SpawnError

MOST_BYTES = 65536


def read_secrets(wanted: Variables) -> dict[bytes, bytes]:
    """The values by their names, without a last newline. Raises SpawnError; its reason tells nothing of them."""
    return {os.fsencode(name): _read(name, file) for name, file in wanted}


def _read(name: str, path: str) -> bytes:
    try:
        # O_NONBLOCK: opening a fifo would wait for its writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise _failure(name, path, EINVAL, "it is no regular file")
            data = os.read(fd, MOST_BYTES + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise _failure(name, path, error.errno or EINVAL, os.strerror(error.errno or EINVAL)) from None
    if len(data) > MOST_BYTES or b"\0" in data:
        raise _failure(name, path, EINVAL, "it is no text of at most 64 KiB")
    return data.removesuffix(b"\n").removesuffix(b"\r")


def _failure(name: str, path: str, errno: int, what: str) -> SpawnError:
    return SpawnError("secret", errno, f"{name}: cannot read the secret {path}: {what}")
