"""What a worker says of itself: the protocol of sd_notify(3), one socket for each run of a worker.

The socket says who speaks: only this worker was told where it is, and only its user can reach it. The kernel says as
whom it speaks; a speaker that lives must be of the worker's tree. Nobody waits for anything here: of a flood a few
messages are read at a time, and what they do not change is told to nobody.
"""

# No pathlib in the core.
# ruff: noqa: PTH101, PTH108, PTH123

from __future__ import annotations

import _socket
import os
import struct
from collections.abc import Callable, Mapping
from time import monotonic

from procman.kernel.wait.alarms import Alarm, Alarms
from procman.kernel.wait.poller import READ, Poller
from procman.lean import suppress

AT_ONCE = 16
"""So many messages are read in a row; whoever has more to say is not heard for a moment."""
PAUSE_S = 0.05
LONGEST = 4096
"""Bytes of one message that are read."""
_CREDENTIALS = struct.Struct("iII")
_ROOM = _socket.CMSG_SPACE(_CREDENTIALS.size)
"""For the credentials, and for nothing else: descriptors that somebody sends find no room and are closed."""

Message = Mapping[str, str]
"""What was said, by name, in the order in which it was."""


class Mouth:
    """Where one run of a worker can speak."""

    __slots__ = ("_alarm", "_alarms", "_hear", "_known", "_poller", "_sock", "_uid", "leaders", "path")

    def __init__(self, poller: Poller, alarms: Alarms, path: str, uid: int, hear: Callable[[Message], None]) -> None:
        """Raises OSError where the socket cannot be there."""
        self._poller, self._alarms, self._hear = poller, alarms, hear
        self.path, self._uid = path, uid
        self.leaders: set[int] = set()
        """The worker's leader, once it is known, and whoever was it before."""
        self._known = 0
        self._alarm: Alarm | None = None
        kind = _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
        self._sock = _socket.socket(_socket.AF_UNIX, kind)
        try:
            self._sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
            with suppress(FileNotFoundError):
                os.unlink(path)
            self._sock.bind(path)
            os.chmod(path, 0o600)
            if uid != os.geteuid():
                os.chown(path, uid, -1)
            poller.watch(self._sock.fileno(), READ, self._readable)
        except OSError:
            self._sock.close()
            raise

    def close(self) -> None:
        """Nobody is heard any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._poller.unwatch(self._sock.fileno())
        self._sock.close()
        with suppress(OSError):
            os.unlink(self.path)

    def listen(self) -> None:
        """Hear now what was said so far."""
        self._readable(READ)

    def _readable(self, _mask: int) -> None:
        said: dict[str, str] = {}
        for _ in range(AT_ONCE):
            try:
                data, ancillary, _, _ = self._sock.recvmsg(LONGEST, _ROOM)
            except OSError:  # nothing more
                break
            if self._is_its_own(ancillary):
                _merge(said, data)
        else:
            self._poller.unwatch(self._sock.fileno())
            self._alarm = self._alarms.set(monotonic() + PAUSE_S, self._listen_again)
        if said:
            self._hear(said)

    def _listen_again(self) -> None:
        with suppress(OSError):
            self._poller.watch(self._sock.fileno(), READ, self._readable)

    def _is_its_own(self, ancillary: list[tuple[int, int, bytes]]) -> bool:
        """Whether a message is from the worker's user and, as far as can be seen, from its tree."""
        for level, kind, data in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_CREDENTIALS) and len(data) == _CREDENTIALS.size:
                pid, uid, _ = _CREDENTIALS.unpack(data)
                if uid != self._uid:
                    return False
                if pid and pid != self._known and not self._is_of_the_tree(pid):
                    return False
                self._known = pid
                return True
        return False

    def _is_of_the_tree(self, pid: int) -> bool:
        """One that has ended meanwhile is believed: systemd-notify, in a script, ends at once."""
        try:
            session = os.getsid(pid)
        except OSError:
            return True
        while self.leaders and session not in self.leaders and pid not in self.leaders:
            parent = _parent(pid)
            if parent is None:
                return True
            if parent <= 1 or parent == os.getpid():
                return False
            pid = parent
        return True


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b") ")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _merge(said: dict[str, str], data: bytes) -> None:
    """Add what one message says; of what is said twice the last counts."""
    for line in data.decode("utf-8", "replace").split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            said.pop(name, None)  # the order is that of the last words
            said[name] = value
