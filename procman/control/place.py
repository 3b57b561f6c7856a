"""Where a site and its operators meet: the directory of sockets, which sites are there, and one procman a site.

It listens to nobody and knows nothing of the language. Both ends import it, so it is lean.
"""

# No pathlib, in the core and in a command that is to be quick.
# ruff: noqa: PTH102, PTH108, PTH112, PTH119, PTH120, PTH208

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from errno import EEXIST
from fcntl import LOCK_EX, LOCK_NB, flock

from procman.lean import suppress

SUFFIX = ".sock"
PLANS = ".plans"
"""A directory of good plans; see `control.plans`."""


_LONGEST = 32
"""No file with a pid in it is longer, in bytes, nor what is left of one: anything longer is not ours to overwrite."""


class PlaceError(Exception):
    """A directory that cannot be used; the argument says which, and why."""


class HeldError(Exception):
    """Somebody else has the lock: `pid`, or None where the file does not tell."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"held by {pid}")
        self.pid = pid


def directory(env: Mapping[str, str], uid: int) -> str:
    """Where this user's sites are found."""
    if env.get("PROCMAN_RUNTIME_DIR"):
        return env["PROCMAN_RUNTIME_DIR"]
    if uid == 0:
        return "/run/procman"
    if env.get("XDG_RUNTIME_DIR"):
        return f"{env['XDG_RUNTIME_DIR']}/procman"
    user = f"/run/user/{uid}"
    return f"{user}/procman" if os.path.isdir(user) else f"/tmp/procman-{uid}"


def prepare(path: str, uid: int) -> None:
    """Make the directory if it is not there. Raises PlaceError where somebody else could put something into it."""
    try:
        with suppress(FileExistsError):
            os.mkdir(path, 0o755 if uid == 0 else 0o700)
        found = os.lstat(path)
    except OSError as error:
        raise PlaceError(f"{path}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise PlaceError(f"{path} is no directory")
    if found.st_uid != uid or found.st_mode & 0o022:
        raise PlaceError(f"{path} can be written by others")
    if not os.access(path, os.W_OK | os.X_OK):
        raise PlaceError(f"{path} cannot be written")


def sites(path: str) -> dict[str, str]:
    """The sites whose sockets are in the directory, by name: running, or dead and not yet cleaned up."""
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(SUFFIX))
    except OSError:
        return {}
    return {name.removesuffix(SUFFIX): f"{path}/{name}" for name in names}


class Reach:
    """`with Reach(path) as address`: the same path in a form that a socket's address can hold, which is 107 bytes."""

    __slots__ = ("_folder", "_path")

    def __init__(self, path: str) -> None:
        self._path, self._folder = path, -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < 108:
            return self._path
        self._folder = os.open(os.path.dirname(self._path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{os.path.basename(self._path)}"

    def __exit__(self, *_: object) -> None:
        if self._folder >= 0:
            os.close(self._folder)


class Lock:
    """A file that one process at most holds, with its pid in it. The kernel lets go of it however the process ends."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: str, mode: int = 0o600) -> None:
        """Take it. Raises HeldError, or OSError where there can be no such file, or something else is there."""
        self.path = path
        while True:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
            try:
                flock(self._fd, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                pid = _pid_in(self._fd)
                os.close(self._fd)
                raise HeldError(pid) from None
            except OSError:
                os.close(self._fd)
                raise
            there, found = self._is_there(), os.fstat(self._fd)
            if there and (not stat.S_ISREG(found.st_mode) or found.st_size > _LONGEST):
                os.close(self._fd)
                raise OSError(EEXIST, "what is there was not written by procman")
            if there:
                break
            os.close(self._fd)  # its last holder has just taken it away
        os.fchmod(self._fd, mode)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Take the file away, and let go."""
        with suppress(OSError):
            if self._is_there():
                os.unlink(self.path)
        os.close(self._fd)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.lstat(self.path))
        except OSError:
            return False


def _pid_in(fd: int) -> int | None:
    text = os.pread(fd, _LONGEST, 0).strip()
    return int(text) if text.isdigit() else None
