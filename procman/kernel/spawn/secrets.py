"""Secrets: read by the forked child, with the core's rights, before it becomes the worker. The core has none.

The worker of a zygote has no such rights any more when it is born: it is given the files, opened by a courier.
"""

from __future__ import annotations

import os
import stat
from errno import EINVAL

from procman.kernel.spawn.program import SpawnError
from procman.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from procman.kernel.spawn.environment import Variables

MOST_BYTES = 65536


def read_secrets(wanted: Variables) -> dict[bytes, bytes]:
    """The values by their names, without a last newline. Raises SpawnError; its reason tells nothing of them."""
    return {os.fsencode(name): _read(name, file) for name, file in wanted}


def open_secret(name: str, path: str) -> int:
    """The file of a secret that is read elsewhere. Raises SpawnError. A file system that hangs holds it up."""
    try:
        # O_NONBLOCK: opening a fifo would wait for its writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise _failure(name, path, error.errno or EINVAL, os.strerror(error.errno or EINVAL)) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _failure(name, path, EINVAL, "it is no regular file")
    return fd


def _read(name: str, path: str) -> bytes:
    fd = open_secret(name, path)
    try:
        data = os.read(fd, MOST_BYTES + 1)
    except OSError as error:
        raise _failure(name, path, error.errno or EINVAL, os.strerror(error.errno or EINVAL)) from None
    finally:
        os.close(fd)
    if len(data) > MOST_BYTES or b"\0" in data:
        raise _failure(name, path, EINVAL, "it is no text of at most 64 KiB")
    return data.removesuffix(b"\n").removesuffix(b"\r")


def _failure(name: str, path: str, errno: int, what: str) -> SpawnError:
    return SpawnError("secret", errno, f"{name}: cannot read the secret {path}: {what}")
