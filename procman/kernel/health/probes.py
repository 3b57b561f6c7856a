"""One question to one worker: over HTTP, by a mere connection, or by a command. It never waits and never asks twice.

An answer is told once; what is cancelled before tells nothing. What is said to it is bounded: it reads a status line
and no more, follows no redirection and looks up no name.
"""

from __future__ import annotations

import _socket
import os
from collections.abc import Callable
from errno import EINPROGRESS, EISCONN
from signal import SIGKILL

from procman import words
from procman.kernel.spawn.given import Given
from procman.kernel.spawn.program import SpawnError
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import READ, WRITE, Poller
from procman.lean import Protocol, suppress
from procman.plan import Launch
from procman.plan.target import Target
from procman.policy.events import WorkerId

Report = Callable[[bool, str], None]
"""Whether it is well, and what was found, for people."""

LONGEST_STATUS_LINE = 1024
"""Bytes; a server that says more before its first end of line is not answering the question."""
_KIND = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC


class Probe(Protocol):
    """A question that has been asked."""

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left: only then may the next one be asked."""

    def cancel(self) -> None:
        """Ask no longer, and tell nothing more."""


class Connection:
    """A question over a socket: well if it connects or, with a path, if HTTP says 200 to 399, as Kubernetes has it."""

    __slots__ = ("_about", "_poller", "_report", "_said", "_sock", "_target")

    def __init__(self, poller: Poller, target: Target, report: Report) -> None:
        self._poller, self._target, self._report = poller, target, report
        self._about = f"GET {target.path}" if target.path else f"connect to {target.name}"
        self._said = b""
        self._sock: _socket.socket | None = None
        family = _socket.AF_UNIX if target.port is None else _socket.AF_INET6 if ":" in target.host else _socket.AF_INET
        place = (target.host, target.port) if target.port is not None else target.host.replace("@", "\0", 1)
        try:
            self._sock = _socket.socket(family, _KIND)
            code = self._sock.connect_ex(place)
            if code not in (0, EINPROGRESS, EISCONN):
                raise OSError(code, os.strerror(code))
            self._poller.watch(self._sock.fileno(), WRITE, self._connected)
        except OSError as error:
            self._over(False, _why(error))

    @property
    def gone(self) -> bool:
        """See `Probe`."""
        return self._sock is None

    def cancel(self) -> None:
        """See `Probe`."""
        sock, self._sock = self._sock, None
        if sock is not None:
            self._poller.unwatch(sock.fileno())
            sock.close()

    def _over(self, well: bool, found: str) -> None:
        self.cancel()
        self._report(well, f"{self._about}: {found}")

    def _connected(self, _mask: int) -> None:
        sock = self._sock
        assert sock is not None, "what is over is not watched"
        try:
            if code := sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR):
                raise OSError(code, os.strerror(code))
            if self._target.port is not None and sock.getsockname() == sock.getpeername():
                # The kernel may choose the very port that is asked for: then it has connected to itself.
                raise OSError(0, "nobody listens")
            if not self._target.path:
                self._over(True, "connected")
                return
            sock.send(_request(self._target))  # a fresh socket takes so little as a whole
            self._poller.watch(sock.fileno(), READ, self._heard)
        except OSError as error:
            self._over(False, _why(error))

    def _heard(self, _mask: int) -> None:
        sock = self._sock
        assert sock is not None, "what is over is not watched"
        try:
            more = sock.recv(LONGEST_STATUS_LINE - len(self._said))
        except BlockingIOError:
            return
        except OSError as error:
            self._over(False, _why(error))
            return
        self._said += more
        line, end, _ = self._said.partition(b"\n")
        if end:
            self._judge(line.rstrip(b"\r"))
        elif not more or len(self._said) >= LONGEST_STATUS_LINE:
            found = "the connection was closed before an answer" if not more else "no answer in HTTP"
            self._over(False, found)

    def _judge(self, line: bytes) -> None:
        version, _, rest = line.partition(b" ")
        status = rest[:3]
        if not version.startswith(b"HTTP/1.") or not status.isdigit() or rest[3:4] not in (b"", b" "):
            self._over(False, "no answer in HTTP")
        else:
            self._over(200 <= int(status) < 400, status.decode("ascii"))


class Run:
    """A question by a command, which runs as the worker does: well if it ends with status 0."""

    __slots__ = ("_about", "_report", "pid")

    def __init__(self, spawner: Spawner, worker: WorkerId, launch: Launch, null: int, report: Report) -> None:
        """`launch`: the worker's, with the command to run; `null`: where its output goes."""
        self._about = os.path.basename(launch.command[0])  # noqa: PTH119 - no pathlib in the core
        self._report: Report | None = report
        self.pid: int | None = None
        given = Given(null, null)
        try:
            if spawner.must_fork(launch, given):
                self.pid, pipe = spawner.fork(worker, launch, given)
                os.close(pipe)  # one that cannot exec ends with 127
            else:
                self.pid = spawner.spawn(worker, launch, given)
        except (SpawnError, ValueError) as error:
            self._tell(False, f"cannot start: {getattr(error, 'reason', error)}")

    @property
    def gone(self) -> bool:
        """See `Probe`."""
        return self.pid is None

    def cancel(self) -> None:
        """See `Probe`. What it has started ends with it; that it is gone is learnt when it is reaped."""
        self._report = None
        if self.pid is not None:
            for target in (-self.pid, self.pid):  # the one that has no group of its own yet, too
                with suppress(ProcessLookupError):
                    os.kill(target, SIGKILL)

    def reaped(self, code: int) -> None:
        """It has ended: with an exit status or, below 0, by a signal."""
        self.pid = None
        self._tell(code == 0, f"exit status {code}" if code >= 0 else f"killed by {words.signal_name(-code)}")

    def _tell(self, well: bool, found: str) -> None:
        report, self._report = self._report, None
        if report is not None:
            report(well, f"{self._about}: {found}")


def _request(target: Target) -> bytes:
    lines = (f"GET {target.path} HTTP/1.1", f"Host: {target.name}", "User-Agent: procman", "Accept: */*")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8", "surrogateescape")


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
