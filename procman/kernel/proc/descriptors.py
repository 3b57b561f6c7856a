"""The descriptors that procman was started with, made harmless: no worker inherits what it was not given.

And how many it may have: a worker whose output is captured takes the core two or four.
"""

from __future__ import annotations

import os
import resource


def seal_descriptors() -> None:
    """Make 0, 1 and 2 exist, 0 be /dev/null, and all others close on exec, whatever procman was started with.

    If one of 0, 1 and 2 may have been closed, call it before anything else opens a descriptor and is given its number.
    """
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for standard in (0, 1, 2):
        if standard == 0 or not _is_open(standard):
            os.dup2(null, standard)
        os.set_inheritable(standard, True)  # where it was closed, `null` itself may have become it
    try:
        others = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - no pathlib in the core
    except OSError:
        others = list(range(3, 65536))
    for descriptor in others:
        if descriptor > 2 and _is_open(descriptor):
            os.set_inheritable(descriptor, False)
    if null > 2:
        os.close(null)


def raise_limit() -> tuple[int, int] | None:
    """Let this process have as many as it may: the soft limit becomes the hard one. Gives the former two, if it did."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return None
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def _is_open(descriptor: int) -> bool:
    try:
        os.get_inheritable(descriptor)
    except OSError:
        return False
    return True
