"""Which file a command means, and the error of a start that failed. It starts nothing itself."""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from errno import EACCES, EINVAL, ENOENT, ENOTDIR

import procman
from procman.kernel.proc import reasons
from procman.kernel.spawn.environment import Start
from procman.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from procman.choices import Stage

ROOT = procman.__file__.rsplit("/", 2)[0]
"""The directory that has the package, for whoever is started without site-packages."""


class SpawnError(Exception):
    """A start that failed, as `StartFailed` will tell it."""

    def __init__(self, stage: Stage, errno: int, reason: str) -> None:
        super().__init__(stage, errno, reason)
        self.stage, self.errno, self.reason = stage, errno, reason


def first(start: Start, run: Callable[[str], int]) -> int:
    """Run the command; a bare one is the first on the worker's PATH that can be run, as for execvp."""
    command = start.argv[0]
    failed: tuple[str, int] | None = None
    for path in candidates(command, start):
        try:
            return run(path)
        except OSError as error:
            errno = error.errno or EINVAL
            if errno not in (ENOENT, ENOTDIR, EACCES):
                failed = (path, errno)
                break
            failed = failed or (path, errno)
        except ValueError as error:  # a NUL byte, a "=" in a name: what no exec can pass on
            raise SpawnError("exec", EINVAL, f"{command}: {error}") from None
    if failed is None:
        raise SpawnError("exec", ENOENT, reasons.not_found(command))
    path, errno = failed
    if errno in reasons.OUT_OF_RESOURCES:
        raise SpawnError("fork", errno, reasons.of_fork(errno))
    raise SpawnError("exec", errno, reasons.of_exec(path, errno, start.cwd))


def candidates(command: str, start: Start) -> Iterator[str]:
    """The files that a command may mean. Those that do not exist are left out: a vain attempt costs a vfork."""
    if "/" in command:
        yield command
        return
    search = start.environment.get(b"PATH", b"PATH=" + os.defpath.encode())[5:]
    for directory in os.fsdecode(search).split(":"):
        path = f"{directory or '.'}/{command}"
        if command and os.access(os.path.join(start.cwd or ".", path), os.F_OK):
            yield path
