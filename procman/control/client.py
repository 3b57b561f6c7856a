"""The operator's end of the control socket: which site is meant, and a conversation of one request with it.

What is said are the plain objects that `schemas/control.schema.json` describes. It prints nothing and parses no command
line. It blocks, which is right for a command, and never longer than it is told. Commands are to be quick: it loads no
`typing` and nothing that the core is made of.
"""

from __future__ import annotations

import _socket
import os
import stat
import struct
import time
from collections.abc import Iterator, Mapping
from select import POLLIN, poll

from procman.control import place
from procman.control.wire import Object, ProtocolError, from_line, to_line
from procman.lean import suppress

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from typing import IO

_PEER = struct.Struct("3i")
_CHUNK = 1 << 16
PATIENCE_S = 5.0
"""How long a site may take for what it answers at once."""
_HINT_VERSION = "is that procman, of this version?"


class ClientError(Exception):
    """There is no conversation; what is wrong, and the hint."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


class TimedOutError(Exception):
    """The time is over, and the last answer has not come."""


class Client:
    """A connection to one site."""

    def __init__(self, path: str) -> None:
        """Connect. Raises ClientError where nobody listens."""
        self.path = path
        self._sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            with place.Reach(path) as address:
                self._sock.connect(address)
        except PermissionError:
            self._sock.close()
            raise ClientError(f"{path}: permission denied", "its own user may control a site, and root") from None
        except OSError:
            self._sock.close()
            raise ClientError(f"no site is running at {path}", "start it with `procman up`") from None
        self._rest = b""
        peer = self._sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _PEER.size)
        self.pid: int = _PEER.unpack(peer)[0]
        """The core's; 0 where it lives in another pid namespace."""

    def ask(self, request: Object, timeout_s: float | None = PATIENCE_S) -> Iterator[Object]:
        """The replies as they come, the last one included (but `end`, which says nothing). Raises TimedOutError,
        ClientError.

        `timeout_s` is for the whole conversation; None is no limit.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self.send(request)
        while (line := self._line(deadline)) is not None:
            try:
                reply = from_line(line)
            except ProtocolError as error:
                raise ClientError(f"{self.path}: {error}", _HINT_VERSION) from None
            if reply.get("say") == "end":
                return
            yield reply
            if reply.get("say") not in ("accepted", "event"):
                return
        raise ClientError("procman has ended the connection", "see its log: has it ended?")

    def stream(self, request: Object) -> IO[bytes]:
        """Ask for what is answered with more than replies, and give what comes; TimedOutError if nothing does."""
        self.send(request)
        if not _wait_for(self._sock.fileno(), PATIENCE_S):
            raise TimedOutError
        return os.fdopen(os.dup(self._sock.fileno()), "rb")

    def send(self, request: Object) -> None:
        """Ask, and leave the answer to be read from `fileno()`."""
        with suppress(OSError):  # it may have refused before it has read anything
            self._sock.sendall(to_line(request))

    def fileno(self) -> int:
        return self._sock.fileno()

    def wait_for_its_end(self, timeout_s: float | None) -> None:
        """Wait until the core is gone. Raises TimedOutError."""
        try:
            process = os.pidfd_open(self.pid) if self.pid else -1
        except OSError:
            return
        if process >= 0:
            gone = _wait_for(process, timeout_s)
            os.close(process)
            if not gone:
                raise TimedOutError

    def close(self) -> None:
        self._sock.close()

    def _line(self, deadline: float | None) -> bytes | None:
        """The next line; None at the end of the connection."""
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not _wait_for(self._sock.fileno(), left):
                raise TimedOutError
            try:
                parts.append(self._sock.recv(_CHUNK))
            except OSError:
                parts.append(b"")
            if not parts[-1]:
                return None
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line


def find(wanted: str | None, env: Mapping[str, str]) -> Client:
    """Connect to the site that is meant: by name, file or socket, else by PROCMAN_SITE, else the only one.

    Raises ClientError.
    """
    found = place.sites(place.directory(env, os.geteuid()))
    wanted = wanted or env.get("PROCMAN_SITE")
    if wanted is None:
        return _the_only_one(found)
    if _is_socket(wanted):
        return Client(wanted)
    if wanted.endswith(".toml"):
        return _by_file(wanted, found)
    if "/" not in wanted and wanted in found:
        with suppress(ClientError):
            return Client(found[wanted])
    running = _names(_connect_all(found))
    hint = f"running: {running}" if running else "no site of yours is running; start it with `procman up`"
    raise ClientError(f"no site `{wanted}` is running", hint)


def status_of(client: Client) -> Object:
    """What a site says of itself. Raises ClientError, TimedOutError."""
    for reply in client.ask({"do": "status"}):
        if reply.get("say") == "status":
            return reply
    raise ClientError(f"{client.path} does not tell its status", _HINT_VERSION)


def names(env: Mapping[str, str]) -> list[str]:
    """The sites of this user that run."""
    clients = _connect_all(place.sites(place.directory(env, os.geteuid())))
    for client in clients.values():
        client.close()
    return [*clients]


def _the_only_one(found: dict[str, str]) -> Client:
    clients = _connect_all(found)
    if len(clients) == 1:
        return next(iter(clients.values()))
    if not clients:
        raise ClientError("no site of yours is running", "start one with `procman up`, or name its socket with -s")
    raise ClientError(f"several sites are running: {_names(clients)}", f"say which: -s {next(iter(clients))}")


def _by_file(file: str, found: dict[str, str]) -> Client:
    """The site that was read from this file."""
    path, silent = os.path.realpath(file), []
    for name, client in _connect_all(found).items():
        try:
            if path in map(os.path.realpath, status_of(client)["files"]):
                return Client(found[name])
        except ClientError:
            pass
        except TimedOutError:
            silent.append(name)
        finally:
            client.close()
    if silent:
        raise ClientError(f"no site that answers was read from {file}", f"no answer from {', '.join(silent)}")
    raise ClientError(f"no site is running that was read from {file}", f"start it with `procman up {file}`")


def _connect_all(found: dict[str, str]) -> dict[str, Client]:
    clients = {}
    for name, path in found.items():
        with suppress(ClientError):
            clients[name] = Client(path)
    return clients


def _names(clients: dict[str, Client]) -> str:
    return ", ".join(clients)


def _is_socket(path: str) -> bool:
    try:
        return "/" in path and stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return False


def _wait_for(fd: int, timeout_s: float | None) -> bool:
    """Whether it became readable in time."""
    readable = poll()
    readable.register(fd, POLLIN)
    return bool(readable.poll(None if timeout_s is None else timeout_s * 1000))
