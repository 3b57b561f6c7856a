"""A helper's process and the channel to it: messages both ways, with descriptors, and nothing that makes the core wait.

The helper finds its end as descriptor 0: a SOCK_SEQPACKET, so a message arrives whole or not at all. It ends by itself
when the channel does. What messages mean, the helper's own module knows.
"""

from __future__ import annotations

import _socket
import os
import select
import sys
from collections import deque
from collections.abc import Callable, Sequence
from errno import EINVAL
from signal import SIGKILL
from struct import calcsize, pack, unpack

from procman.kernel.spawn.program import ROOT, SpawnError
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import READ, WRITE, Poller
from procman.lean import suppress

MAX_MESSAGE = 65536
"""Bytes of a message; more is for several."""
MAX_FDS = 250
"""Descriptors of a message; the kernel takes 253."""
MAX_QUEUED = 4096
"""So many messages may wait for a helper that does not read; with one more it is taken to hang, and killed."""

_PATIENCE_S = 1.0

Hear = Callable[[bytes, tuple[int, ...]], None]
"""Takes a message of the helper, and the descriptors that came with it, which the taker owns."""

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {} import main; sys.exit(main(*sys.argv[1:]))"
)
_LEAN_BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from {} import main; sys.exit(main(*sys.argv[1:]))"


def argv(module: str, *words: str, library: str | None = None) -> tuple[str, ...]:
    """The command of a helper that runs `main(*words)` of a module.

    `library` is a JSON list: the library path of the command line, for a helper that imports what core and standard
    library do not have.
    """
    boot, path = (_LEAN_BOOT, ROOT) if library is None else (_BOOT, library)
    return (sys.executable, "-I", "-S", "-X", "utf8", "-c", boot.format(module), path, *words)


class Channel:
    """One process of a helper. `pid` is None once it was reaped or killed here."""

    __slots__ = ("_hear", "_poller", "_queue", "_sock", "pid")

    def __init__(
        self, poller: Poller, spawner: Spawner, command: tuple[str, ...] | Callable[[int], int], hear: Hear
    ) -> None:
        """Start it, by its command or as a function does that is given its descriptor 0 and gives its pid.

        Raises SpawnError, or OSError where there can be no channel.
        """
        self._poller, self._hear = poller, hear
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self.pid: int | None = None
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
        self._sock, theirs = _socket.socketpair(_socket.AF_UNIX, kind)
        try:
            self._sock.setblocking(False)
            self._poller.watch(self._sock.fileno(), READ, self._ready)
            end = theirs.fileno()
            self.pid = command(end) if callable(command) else spawner.helper(command, stdin=end, deaf=True)
        except BaseException:
            self.ended()
            raise
        finally:
            theirs.close()

    def send(self, message: bytes, fds: Sequence[int] = ()) -> None:
        """Send a message and copies of these descriptors, in its turn; to who is gone, nothing."""
        assert len(message) <= MAX_MESSAGE, "a message is small"
        assert len(fds) <= MAX_FDS, "a message carries few descriptors"
        if not self._queue and self.pass_on(message, fds):
            return
        if len(self._queue) >= MAX_QUEUED:
            self.kill()
            return
        with suppress(OSError):  # no descriptor is left for the copies: the helper must do without
            self._queue.append((message, tuple([os.dup(fd) for fd in fds])))
        self._poller.watch(self._sock.fileno(), READ | WRITE, self._ready)

    def ended(self) -> None:
        """The process was reaped: take what it has said, and let go of the channel."""
        if self._sock.fileno() >= 0:
            if self.pid is not None:
                self._take()
            self._poller.unwatch(self._sock.fileno())
            self._sock.close()
        while self._queue:
            _close(self._queue.popleft()[1])
        self.pid = None

    def close(self) -> None:
        """Kill it and wait for its end, if that is soon; what it still says is not heard."""
        pid, self.pid = self.pid, None
        self.ended()
        if pid is not None:
            with suppress(OSError):
                os.kill(pid, SIGKILL)
                ends_within(pid, _PATIENCE_S)
            with suppress(OSError):
                os.waitpid(pid, os.WNOHANG)

    def fileno(self) -> int:
        return self._sock.fileno()

    def kill(self) -> None:
        """It hangs; its end is told as that of any child."""
        if self.pid is not None:
            with suppress(OSError):
                os.kill(self.pid, SIGKILL)

    def _ready(self, mask: int) -> None:
        if mask & WRITE:
            while self._queue:
                message, fds = self._queue[0]
                if not self.pass_on(message, fds):
                    break
                _close(self._queue.popleft()[1])
            else:
                self._poller.watch(self._sock.fileno(), READ, self._ready)
        if mask & ~WRITE:
            self._take()

    def _take(self) -> None:
        """Take all that has been said."""
        while self._sock.fileno() >= 0:
            try:
                message, ancillary, _, _ = self._sock.recvmsg(
                    MAX_MESSAGE, _socket.CMSG_SPACE(4 * MAX_FDS), _socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                message, ancillary = b"", []
            fds: list[int] = []
            for level, kind, data in ancillary:
                if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                    whole = len(data) // calcsize("i")
                    fds += unpack(f"{whole}i", data[: whole * calcsize("i")])
            if not message:  # it has closed its end, and is about to end
                self._poller.unwatch(self._sock.fileno())
                return
            self._hear(message, tuple(fds))

    def pass_on(self, message: bytes, fds: Sequence[int]) -> bool:
        """Send it at once: whether it is out; what nobody can hear any more is."""
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack(f"{len(fds)}i", *fds))] if fds else []
        try:
            self._sock.sendmsg([message], ancillary, _socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True


def ends_within(pid: int, seconds: float) -> bool:
    """Wait so long for the end of a child: whether it has come. Raises OSError where there can be no such wait.

    Not for ever: who is held by a disk does not even end of SIGKILL.
    """
    pidfd = os.pidfd_open(pid)
    try:
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        return bool(ended.poll(seconds * 1000))
    finally:
        os.close(pidfd)


def begin(
    name: str, poller: Poller, spawner: Spawner, command: tuple[str, ...], hear: Hear, tell: Callable[[str], None]
) -> Channel | None:
    """Start a helper, which has this name for people; None if it cannot start, and then why is told."""
    try:
        return Channel(poller, spawner, command, hear)
    except SpawnError as error:
        reason = error.reason
    except OSError as error:
        reason = os.strerror(error.errno or EINVAL)
    tell(f"the {name} cannot start: {reason}")
    return None


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
