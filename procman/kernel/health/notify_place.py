"""Where the notify sockets of a site are: a directory of its own, locked for as long as the core lives.

A core that was killed leaves its directory behind. Whoever makes one later takes away those that nobody has locked, so
that it is never a live site's; not even one in a container that shares the place and knows other pids.
"""

# No pathlib in the core.
# ruff: noqa: PTH101, PTH102, PTH106, PTH208

from __future__ import annotations

import fcntl
import os
from errno import EACCES

from procman.kernel.spawn.program import SpawnError
from procman.lean import suppress

NAME = "procman-notify"
_TRIES = 4
"""Somebody who takes away what is left may have had the same name in hand, for a moment."""


class Place:
    """The directory: made when the first socket is wanted, with a name that nobody can have taken before."""

    __slots__ = ("_count", "_lock", "_path")

    def __init__(self) -> None:
        self._path: str | None = None
        self._lock = -1
        self._count = 0

    def path(self) -> str:
        """Where the next socket is to be. Raises SpawnError where there is no place for any."""
        if self._path is None:
            self._path = self._make()
        self._count += 1
        return f"{self._path}/{self._count}"

    def close(self) -> None:
        """Take it away."""
        if self._path is not None:
            with suppress(OSError):
                os.rmdir(self._path)
            os.close(self._lock)
            self._path = None

    def _make(self) -> str:
        uid = os.geteuid()
        homes = ["/run"] if uid == 0 else [os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"]
        for home in [*filter(None, homes), "/tmp"]:
            sweep(home)
            for _ in range(_TRIES):
                path = f"{home}/{NAME}.{os.getpid()}.{os.urandom(4).hex()}"
                try:
                    os.mkdir(path, 0o711)
                    self._lock = _locked(path)
                except BlockingIOError:
                    continue
                except OSError:
                    break
                os.chmod(path, 0o711)  # workers of other users go through it, and cannot look around
                return path
        raise SpawnError("listen", EACCES, "no directory can be made for its notify socket")


def sweep(home: str) -> None:
    """Take away the directories of this user's cores that are no more."""
    try:
        names = [name for name in os.listdir(home) if name.startswith(f"{NAME}.")]
    except OSError:
        return
    for name in names:
        number = name.split(".")[1]
        # A look at the lock is for sure; where a process has the number, it is not even taken for a moment.
        if number.isdecimal() and (number == str(os.getpid()) or not _lives(int(number))):
            with suppress(OSError):
                _take_away(f"{home}/{name}")


def _take_away(path: str) -> None:
    """Raises OSError where it is somebody's, or cannot be taken away."""
    lock = _locked(path)
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            for name in os.listdir(lock):
                os.unlink(name, dir_fd=lock)
            os.rmdir(path)
    finally:
        os.close(lock)


def _locked(path: str) -> int:
    """The directory, locked as its owner locks it. Raises OSError; BlockingIOError where somebody has, or had, it."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink == 0:
            raise BlockingIOError
    except OSError:
        os.close(lock)
        raise
    return lock


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
