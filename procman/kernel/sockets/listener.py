"""One listening socket: opened, named, set up, and closed again; and why it cannot be, for people.

It never accepts, never reads, and keeps no account. The module `socket` is not here: it would cost the core a megabyte.
"""

# No pathlib in the core.
# ruff: noqa: PTH101, PTH108, PTH120

from __future__ import annotations

import _socket
import errno
import os
import stat

from procman.lean import suppress
from procman.plan import Listen
from procman.plan.listen import address

LONGEST_PATH = 107
"""Bytes; sun_path has one more, for its end."""

_INHERITABLE_KINDS = {"tcp": _socket.SOCK_STREAM, "udp": _socket.SOCK_DGRAM, "unix": _socket.SOCK_STREAM}


class ListenError(Exception):
    """A socket that cannot be had."""

    def __init__(self, listen: Listen, code: int, reason: str, hint: str) -> None:
        super().__init__(listen, code, reason, hint)
        self.errno, self.reason, self.hint = code, f"cannot listen on {listen.url}: {reason}", hint


class Listener:
    """An open one. `fd` is its descriptor; what comes from above (`inherited`) leaves no file to take away."""

    __slots__ = ("_file", "_sock", "fd", "inherited")

    def __init__(self, sock: _socket.socket, file: os.stat_result | None = None, *, inherited: bool = False) -> None:
        self._sock, self._file, self.inherited = sock, file, inherited
        self.fd = sock.fileno()

    def address(self) -> str:
        """Where it really listens, a port that was free included: `127.0.0.1:8000`, `/run/api.sock`, `@api`."""
        try:
            name = self._sock.getsockname()
        except OSError:
            return ""
        if isinstance(name, tuple):
            return address(name[0], name[1])
        return f"@{os.fsdecode(name[1:])}" if isinstance(name, bytes) else str(name)

    def set_up(self, listen: Listen) -> None:
        """Give it what can be changed while it is open. Raises ListenError."""
        try:
            _options(self._sock, listen)
            if self._file is not None:
                _permit(listen)
            if listen.kind != "udp":
                self._sock.listen(listen.backlog)
        except OSError as error:
            raise _explained(listen, error) from None

    def close(self, listen: Listen) -> None:
        """Let go of it, and of its file, unless that is another's by now. What came from above stays open."""
        if self.inherited:
            self._sock.detach()
        else:
            self._sock.close()
        if self._file is not None:
            with suppress(OSError):
                if os.path.samestat(self._file, os.lstat(listen.host)):
                    os.unlink(listen.host)


def open_listener(listen: Listen) -> Listener:
    """Open it. Raises ListenError, and then there is nothing left of the attempt."""
    family = {"unix": _socket.AF_UNIX}.get(listen.kind, _socket.AF_INET6 if ":" in listen.host else _socket.AF_INET)
    if listen.kind == "unix" and len(os.fsencode(listen.host)) > LONGEST_PATH:
        raise _explained(listen, OSError(errno.ENAMETOOLONG, ""))
    try:
        sock = _socket.socket(family, _INHERITABLE_KINDS[listen.kind] | _socket.SOCK_CLOEXEC)
    except OSError as error:
        raise _explained(listen, error) from None
    listener = Listener(sock)
    try:
        _options(sock, listen)
        listener = Listener(sock, _bind(sock, listen))
        listener.set_up(listen)
    except OSError as error:
        listener.close(listen)
        raise _explained(listen, error) from None
    except ListenError:
        listener.close(listen)
        raise
    return listener


def adopt(fd: int, listen: Listen) -> Listener:
    """A descriptor that procman was started with, as this socket. Raises ListenError if it is another kind of thing."""
    try:
        sock = _socket.socket(fileno=fd)
    except OSError:
        sock = None
    is_unix = listen.kind == "unix"
    if sock is None or sock.type != _INHERITABLE_KINDS[listen.kind] or (sock.family == _socket.AF_UNIX) != is_unix:
        if sock is not None:
            sock.detach()
        hint = f"{listen.name} is the name of a descriptor in LISTEN_FDNAMES: make it a {listen.kind} socket there"
        raise ListenError(listen, errno.EINVAL, "what procman was given under this name is something else", hint)
    listener = Listener(sock, inherited=True)
    try:
        listener.set_up(listen)
    except ListenError:
        sock.detach()
        raise
    return listener


def _options(sock: _socket.socket, listen: Listen) -> None:
    if listen.kind == "unix":
        return
    if listen.kind == "tcp":
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, listen.nodelay)  # what is accepted inherits it
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEPORT, listen.reuse_port)
    if sock.family == _socket.AF_INET6:
        with suppress(OSError):  # it is bound already
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)


def _bind(sock: _socket.socket, listen: Listen) -> os.stat_result | None:
    """Give it its address; what its file is, if it has one, with its permissions from the first moment."""
    if listen.kind != "unix":
        sock.bind((listen.host, listen.port))
        return None
    if listen.host.startswith("@"):
        sock.bind(b"\0" + os.fsencode(listen.host[1:]))
        return None
    _remove_stale(listen.host)
    before = os.umask(0o777 & ~listen.mode)
    try:
        sock.bind(listen.host)
    finally:
        os.umask(before)
    return os.lstat(listen.host)


def _remove_stale(path: str) -> None:
    """Take away the file of a socket that nobody has open any more. Raises OSError where somebody has."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "")
    except FileNotFoundError:
        return
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
        return
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EPROTOTYPE):  # somebody has it: his queue is full, or no stream
            raise
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, "")


def _permit(listen: Listen) -> None:
    """Give a socket's file to whom it is to belong; first the owner, which takes bits of the mode away."""
    if listen.uid is not None or listen.gid is not None:
        os.chown(listen.host, *(-1 if one is None else one for one in (listen.uid, listen.gid)))
    os.chmod(listen.host, listen.mode)


def _explained(listen: Listen, error: OSError) -> ListenError:
    code = error.errno or errno.EINVAL
    reason, hint = _words(listen, code)
    return ListenError(listen, code, reason, hint)


def _words(listen: Listen, code: int) -> tuple[str, str]:
    folder = os.path.dirname(listen.host)
    owner = listen.uid is not None or listen.gid is not None
    match code:
        case errno.EADDRINUSE if listen.kind == "unix":
            return "another process has it open", f"who: `ss -xlp src {listen.host}`"
        case errno.EADDRINUSE:
            who = f"who: `ss -{'u' if listen.kind == 'udp' else 't'}lnp sport = :{listen.port}`"
            return "the port is in use", f"{who}; procman opens it itself, so no command is to bind it"
        case errno.EADDRNOTAVAIL:
            return "no interface of this machine has this address", "`ip address` lists those that it has"
        case errno.EAFNOSUPPORT:
            return "this machine has no IPv6", "use an IPv4 address"
        case errno.ENAMETOOLONG:
            return f"the path is longer than {LONGEST_PATH} bytes", "choose a shorter one, for example in /run"
        case errno.EEXIST:
            return "there is a file of this name, and it is no socket", "choose another path, or move the file"
        case errno.ENOENT:
            return f"there is no directory {folder}", "make it first"
        case errno.EACCES | errno.EPERM if listen.kind == "unix" and owner:
            return "no permission to make it, or to give it away", "only root can give a file to another user"
        case errno.EACCES | errno.EPERM | errno.EROFS if listen.kind == "unix":
            return f"{folder} cannot be written", "choose a directory that procman's user may write to"
        case errno.EACCES | errno.EPERM:
            hint = "ports below 1024 are root's: choose a higher one, or give procman CAP_NET_BIND_SERVICE"
            return "permission denied", hint
        case _:
            return os.strerror(code), ""
