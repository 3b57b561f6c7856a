"""The core's end of the control socket: who may come in, what is asked, and what is told to whom.

It decides nothing: a request becomes a fact for the manager, whose answers it sends. Nothing that a client does, or
leaves undone, makes the core wait or grow: their number is bounded here, the rest in `connection.py`. A connection
carries one request.
"""

from __future__ import annotations

import _socket
import os
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from errno import EMFILE, ENFILE
from itertools import count

from procman.control import protocol
from procman.control.connection import Connection, turn_away
from procman.control.protocol import Compile, End, ShowEvents, ShowLogs
from procman.control.wire import MAX_REQUEST, VERSION, ProtocolError
from procman.kernel.wait.poller import READ, Poller
from procman.lean import TYPE_CHECKING, Protocol, suppress
from procman.log.jsonl import JsonLines
from procman.policy.events import LoadFailed, Record
from procman.policy.events.requests import Accepted, Answer, Asked, Departed, Refused, Selector

if TYPE_CHECKING:
    from typing import Any

MAX_CLIENTS = 64
PAST = 256
"""How often the log may be given records until those of the first time are forgotten by `events`."""

_PEER = struct.Struct("3i")


class Log(Protocol):
    """Who gets the records first."""

    def write(self, records: Sequence[Record], at_ns: int | None = None) -> None: ...


Ask = Callable[[Compile, Callable[[str | LoadFailed], None]], bool]
"""Has the loader answer, and tells the answer; False if it has too much to do."""


class Server:
    """The clients. It stands before the log, as the loop sees it, for the order of answers and records."""

    __slots__ = (
        "_answers", "_ask", "_began", "_clients", "_deliver", "_listener", "_log", "_numbers", "_open_to_group",
        "_past", "_poller", "_reserve", "_site", "show_logs",
    )  # fmt: skip

    def __init__(self, poller: Poller, log: Log, deliver: Callable[[Asked | Departed], None], ask: Ask) -> None:
        """`deliver` takes the requests for the manager, `ask` those for the loader."""
        self._poller, self._log, self._deliver, self._ask = poller, log, deliver, ask
        self._listener: Any = None
        """A `_socket.socket`; the module `socket` would cost the core a megabyte."""
        self._clients: dict[int, Connection] = {}
        """By their numbers."""
        self._numbers = count(1)
        self._answers: list[Answer] = []
        self._past: deque[tuple[int, Sequence[Record]]] = deque(maxlen=PAST)
        self._site = ""
        self._open_to_group = False
        self._began = time.monotonic()
        self.show_logs: Callable[[int, Sequence[Selector], bool], bool] = lambda _fd, _targets, _follow: False
        """Has the pump answer on a descriptor; False if there is no pump."""
        self._reserve = -1
        """A descriptor to give up when there are no more, so that a client can still be refused."""

    def listen(self, listener: _socket.socket, site: str, *, open_to_group: bool) -> None:
        """Serve the clients of a socket that listens, for the site of this name."""
        self._site, self._open_to_group, self._listener = site, open_to_group, listener
        listener.setblocking(False)
        self._reserve = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._poller.watch(listener.fileno(), READ, self._accept)

    def answer(self, action: Answer) -> None:
        """Send an answer: that it is under way before the records of the same turn of the loop, any other after."""
        self._answers.append(action)

    def write(self, records: Sequence[Record], at_ns: int | None = None) -> None:
        """Write the records of one turn to the log, between the answers of that turn."""
        answers, self._answers = self._answers, []
        for action in answers:
            if isinstance(action.reply, Accepted):
                self._reply(action)
        self._log.write(records, at_ns)
        for action in answers:
            if not isinstance(action.reply, Accepted):
                self._reply(action)

    def heard(self, records: Sequence[Record], at_ns: int) -> None:
        """Tell those who want to know, now or later, what the log has been given by whomever."""
        self._past.append((at_ns, records))
        for client in [*self._clients.values()]:
            if client.follows or client.tells:
                self._tell(client, at_ns, [record for record in records if client.cares(record)])

    def close(self) -> None:
        """Say what can still be said, and let go of everything."""
        for client in [*self._clients.values()]:
            if client.follows:
                client.finish(protocol.encode_reply(End()))
            client.close()
        if self._listener is not None:
            self._poller.unwatch(self._listener.fileno())
            self._listener.close()
            os.close(self._reserve)
            self._listener = None

    # --- who comes ---------------------------------------------------------------------------------------

    def _accept(self, _mask: int) -> None:
        try:
            fd, _ = self._listener._accept()
        except OSError as error:
            if error.errno in (EMFILE, ENFILE):
                self._accept_to_refuse()
            return
        sock = _socket.socket(fileno=fd)
        if not self._may(sock):
            _refuse(sock, "you may not control this site", "its own user may, and root")
        elif len(self._clients) >= MAX_CLIENTS and not self._make_room():
            _refuse(sock, f"{MAX_CLIENTS} clients are being served already", "try again later")
        else:
            number = next(self._numbers)
            try:
                self._clients[number] = Connection(number, sock, self._poller, self._heard, self._gone)
            except OSError as error:  # it cannot be watched
                _refuse(sock, f"procman cannot serve you: {error.strerror}", "try again later")

    def _accept_to_refuse(self) -> None:
        """No descriptor is left: the reserve lets the next one in, to be refused, or it would knock for ever."""
        os.close(self._reserve)
        with suppress(OSError):
            fd, _ = self._listener._accept()
            _refuse(_socket.socket(fileno=fd), "procman has no descriptor left", "raise its limit, nofile")
        self._reserve = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def _may(self, sock: _socket.socket) -> bool:
        """Whether it is the same user, or root; where a group may, the socket's mode has let it in."""
        peer = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _PEER.size)
        return self._open_to_group or _PEER.unpack(peer)[1] in (0, os.geteuid())

    def _make_room(self) -> bool:
        """Whoever came first of those whom nobody would miss has to go."""
        idle = next((client for client in self._clients.values() if client.idle), None)
        if idle is not None:
            idle.close()
        return idle is not None

    def _gone(self, client: Connection) -> None:
        del self._clients[client.number]
        self._deliver(Departed(client.number))

    # --- what is asked, and told -------------------------------------------------------------------------

    def _heard(self, client: Connection, line: bytes) -> None:
        try:
            if len(line) >= MAX_REQUEST:
                raise ProtocolError(f"a request is at most {MAX_REQUEST} bytes long")
            request, wait = protocol.decode_request(line)
        except ProtocolError as error:
            hint = f"this is procman's control socket, version {VERSION}"
            client.finish(protocol.encode_reply(Refused(str(error), hint)))
            return
        if isinstance(request, ShowEvents):
            self._show_events(client, request)
        elif isinstance(request, ShowLogs):
            self._show_logs(client, request)
        elif isinstance(request, Compile):
            if not self._ask(request, lambda answer: _tell_compiled(client, answer)):
                client.finish(protocol.encode_reply(Refused("the loader has too much to do", "try again later")))
        else:
            self._deliver(Asked(client.number, request, wait))

    def _show_logs(self, client: Connection, request: ShowLogs) -> None:
        """Hand the connection over to the pump, which has the lines."""
        if self.show_logs(client.fd, request.targets, request.follow):
            client.close()
        else:
            hint = 'set output = "prefix", "json" or a file for the groups in question'
            client.finish(protocol.encode_reply(Refused("procman captures nobody's output here", hint)))

    def _show_events(self, client: Connection, request: ShowEvents) -> None:
        past = [(now_ns, record) for now_ns, records in self._past for record in records]
        for now_ns, record in past[max(0, len(past) - max(0, request.last)) :]:
            self._tell(client, now_ns, [record])
        if request.follow:
            client.follows = True
        else:
            client.finish(protocol.encode_reply(End()))

    def _tell(self, client: Connection, now_ns: int, records: Sequence[Record]) -> None:
        lines = JsonLines(self._site or None).lines(now_ns, records)
        client.send(b"".join(map(protocol.encode_event, lines)))

    def _reply(self, action: Answer) -> None:
        client = self._clients.get(action.client)
        if client is None:
            return
        about = {"pid": os.getpid(), "uptime_s": round(time.monotonic() - self._began, 3)}
        data = protocol.encode_reply(action.reply, about)
        if isinstance(action.reply, Accepted):
            client.tells = frozenset(action.reply.workers)
            client.groups = frozenset(worker.rpartition(":")[0] for worker in action.reply.workers)
            client.send(data)
        else:
            client.finish(data)


def _tell_compiled(client: Connection, answer: str | LoadFailed) -> None:
    if isinstance(answer, LoadFailed):
        hint = answer.diagnostics.rpartition("hint: ")[2].strip()
        client.finish(protocol.encode_reply(Refused(answer.reason, hint)))
    else:
        client.finish(protocol.encode_compiled(answer))


def _refuse(sock: _socket.socket, reason: str, hint: str) -> None:
    turn_away(sock, protocol.encode_reply(Refused(reason, hint)))
