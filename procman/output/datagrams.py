"""Lines for syslog and for the journal, each a datagram to their socket on this machine.

A line is a datagram without its newline. The journal's have fields of a line each; in here those are separated by a
character that no message holds any more.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from typing import Any

from procman.output.framing import Lines, for_terminal
from procman.output.outlet import Outlet, Waiting
from procman.output.styles import Origin

SYSLOG, JOURNAL = "/dev/log", "/run/systemd/journal/socket"
_DAEMON = 3 << 3
_INFO, _WARNING, _NOTICE = 6, 4, 5
_BETWEEN = b"\x1e"
_TOO_LONG = (errno.EMSGSIZE,)


class Syslog:
    """RFC 3164, as syslog(3) writes it: `<30>Nov 25 12:00:07 web.0[4242]: the line`. Standard error is a warning."""

    __slots__ = ("_level", "_tag")

    def __init__(self, origin: Origin) -> None:
        self._level = _level_of(origin)
        self._tag = f"{origin.label}[{origin.pid}]" if origin.pid else origin.label

    def lines(self, lines: Lines, now_ns: int) -> Lines:
        """See `styles.Style`."""
        return self._lines(for_terminal(bytes(lines), colour=False), now_ns, self._level)

    def note(self, text: str, now_ns: int, fields: dict[str, Any]) -> bytes:  # noqa: ARG002 - see `styles.Style`
        """See `styles.Style`."""
        return self._lines(text.encode() + b"\n", now_ns, _NOTICE)

    def _lines(self, lines: bytes, now_ns: int, level: int) -> bytes:
        clock = time.localtime(now_ns // 1_000_000_000)
        when = f"{time.strftime('%b', clock)} {clock.tm_mday:2} {time.strftime('%H:%M:%S', clock)}"
        head = f"<{_DAEMON | level}>{when} {self._tag}: ".encode()
        return head + lines[:-1].replace(b"\n", b"\n" + head) + b"\n"


class Journal:
    """The journal's native protocol, with procman's own fields beside the message."""

    __slots__ = ("_fields", "_level")

    def __init__(self, site: str, origin: Origin) -> None:
        self._level = _level_of(origin)
        fields = {
            "SYSLOG_IDENTIFIER": origin.label,
            "SYSLOG_PID": origin.pid or "",
            "PROCMAN_SITE": site,
            "PROCMAN_GROUP": origin.group,
            "PROCMAN_TASK_ID": origin.task,
            "PROCMAN_STREAM": origin.stream,
        }
        self._fields = b"".join(_BETWEEN + f"{name}={value}".encode() for name, value in fields.items())

    def lines(self, lines: Lines, now_ns: int) -> Lines:  # noqa: ARG002 - the journal stamps them itself
        """See `styles.Style`."""
        return self._lines(for_terminal(bytes(lines), colour=False), self._level)

    def note(self, text: str, now_ns: int, fields: dict[str, Any]) -> bytes:  # noqa: ARG002
        """See `styles.Style`."""
        return self._lines(text.encode() + b"\n", _NOTICE)

    def _lines(self, lines: bytes, level: int) -> bytes:
        end = _BETWEEN + b"PRIORITY=%d" % level + self._fields + b"\n"
        return b"MESSAGE=" + lines[:-1].replace(b"\n", end + b"MESSAGE=") + end


class DatagramOutlet(Outlet):
    """An outlet to a socket that takes a datagram a line."""

    def __init__(self, path: str, limit: int, waiting: Waiting, clock: Callable[[], int]) -> None:
        super().__init__(path, -1, limit, waiting, clock)
        self._socket: socket.socket | None = None

    def write(self, pieces: list[memoryview]) -> int:
        """See `Outlet`. A socket that has been replaced is connected to anew."""
        try:
            return self._send(pieces)
        except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
            self.close()
            return self._send(pieces)
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                self.close()
            raise

    def close(self) -> None:
        """See `Outlet`."""
        self._watch(False)
        if self._socket is not None:
            self._socket.close()
            self._socket, self.fd = None, -1

    def _send(self, pieces: list[memoryview]) -> int:
        target = self._socket or self._connect()
        sent = 0
        for line in b"".join(pieces).splitlines(keepends=True):
            try:
                target.send(line.rstrip(b"\n").replace(_BETWEEN, b"\n"))
            except BlockingIOError:
                if not sent:
                    raise
                return sent
            except OSError as error:
                if error.errno in _TOO_LONG:
                    self.lost_lines += 1
                    self.lost_bytes += len(line)
                elif sent:
                    return sent
                else:
                    raise
            sent += len(line)
        return sent

    def _connect(self) -> socket.socket:
        target = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            target.connect(self.name)
        except OSError:
            target.close()
            raise
        self._socket, self.fd = target, target.fileno()
        return target


def _level_of(origin: Origin) -> int:
    return _WARNING if origin.stream == "stderr" else _INFO
