"""Questions over a socket to servers that are well, that are not, and that are hostile; over a real epoll set."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from time import monotonic
from typing import NamedTuple

import pytest

from procman.kernel.health.asking import Asking
from procman.kernel.health.probes import LONGEST_STATUS_LINE, Connection
from procman.kernel.wait.alarms import Alarms
from procman.kernel.wait.poller import READ, Poller
from procman.plan.target import Target, http_target, tcp_target

DEADLINE_S = 60.0
Answer = tuple[bool, str]


class World(NamedTuple):
    """What drives questions, as the loop does."""

    poller: Poller
    alarms: Alarms

    def until(self, done: Callable[[], bool]) -> None:
        """Go on until it is done."""
        end = monotonic() + DEADLINE_S
        while not done():
            now = monotonic()
            assert now < end, "it never came"
            self.alarms.due(now)
            if not done():
                self.poller.poll(max(0.0, min(self.alarms.deadline or end, end) - now))


class Server:
    """Listens on a port of its own; what it says to each connection is a test's business."""

    def __init__(self, world: World, says: bytes = b"", *, hangs_up: bool = False) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]
        self.taken: list[socket.socket] = []
        self.heard = b""
        self._poller, self._says, self._hangs_up = world.poller, says, hangs_up
        world.poller.watch(self.sock.fileno(), READ, self._accept)

    def _accept(self, _mask: int) -> None:
        taken = self.sock.accept()[0]
        self.taken.append(taken)
        self._poller.watch(taken.fileno(), READ, lambda _mask: self._answer(taken))

    def _answer(self, taken: socket.socket) -> None:
        said = taken.recv(4096, socket.MSG_DONTWAIT)
        self.heard += said
        if said:
            taken.setblocking(False)
            taken.send(self._says)
        if self._hangs_up or not said:
            self._poller.unwatch(taken.fileno())
            taken.close()

    def close(self) -> None:
        """Stop listening."""
        for sock in (self.sock, *self.taken):
            if sock.fileno() >= 0:
                self._poller.unwatch(sock.fileno())
                sock.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World(Poller(), Alarms())
    yield made
    made.poller.close()


def ask(world: World, target: Target) -> Answer:
    answers: list[Answer] = []
    probe = Connection(world.poller, target, lambda well, found: answers.append((well, found)))
    world.until(lambda: bool(answers))
    assert probe.gone
    return answers[0]


def get(world: World, says: bytes, *, hangs_up: bool = False) -> Answer:
    """What a GET finds at a server that says this."""
    server = Server(world, says, hangs_up=hangs_up)
    try:
        return ask(world, http_target(f"http://127.0.0.1:{server.port}/health?full=1"))
    finally:
        server.close()


@pytest.mark.parametrize(
    ("says", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\n", (True, "200")),
        (b"HTTP/1.0 204\n", (True, "204")),
        (b"HTTP/1.1 302 Found\r\nLocation: http://203.0.113.1/\r\n\r\n", (True, "302")),
        (b"HTTP/1.1 404 Not Found\r\n", (False, "404")),
        (b"HTTP/1.1 503 Down\r\n\r\n" + b"x" * 60_000, (False, "503")),
        (b"HTTP/1.1 100 Continue\r\n", (False, "100")),
        (b"HTTP/1.1 2000 OK\r\n", (False, "no answer in HTTP")),
        (b"SSH-2.0-OpenSSH\r\n", (False, "no answer in HTTP")),
        (b"\xff\x00\n", (False, "no answer in HTTP")),
        (b"x" * (LONGEST_STATUS_LINE + 1000), (False, "no answer in HTTP")),
    ],
)
def test_a_status_from_200_to_399_is_well_and_nothing_else(world: World, says: bytes, answer: Answer) -> None:
    assert get(world, says) == (answer[0], f"GET /health?full=1: {answer[1]}")


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 20"])
def test_a_connection_that_ends_within_the_answer_is_not_well(world: World, says: bytes) -> None:
    assert get(world, says, hangs_up=True) == (
        False,
        "GET /health?full=1: the connection was closed before an answer",
    )


def test_what_is_asked_is_a_request_in_http_with_its_host(world: World) -> None:
    server = Server(world, b"HTTP/1.1 200 OK\r\n")
    ask(world, http_target(f"http://localhost:{server.port}"))
    server.close()
    assert server.heard.startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % server.port)
    assert server.heard.endswith(b"Connection: close\r\n\r\n")


def test_a_port_that_nobody_listens_on_is_not_well(world: World) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{bound.getsockname()[1]}"
        assert ask(world, tcp_target(place)) == (False, f"connect to {place}: connection refused")


def test_a_connection_is_enough_where_nothing_else_is_asked(world: World) -> None:
    server = Server(world)
    assert ask(world, tcp_target(f"127.0.0.1:{server.port}"))[0]
    server.close()


def test_a_unix_socket_is_asked_by_its_path(world: World, tmp_path: object) -> None:
    path = f"{tmp_path}/s"
    assert ask(world, tcp_target(f"unix:{path}")) == (False, f"connect to {path}: no such file or directory")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        assert ask(world, tcp_target(f"unix:{path}")) == (True, f"connect to {path}: connected")


def test_a_server_that_says_half_an_answer_is_asked_no_longer_than_it_may_take_and_by_one_question_at_a_time(
    world: World,
) -> None:
    server = Server(world, b"HTTP/1.1 20")
    target = http_target(f"http://127.0.0.1:{server.port}/")
    answers: list[Answer] = []
    open_at_once: list[int] = []

    def question(report: Callable[[bool, str], None]) -> Connection:
        probe = Connection(world.poller, target, report)
        open_at_once.append(sum(not one.gone for one in [*probes, probe]))
        probes.append(probe)
        return probe

    probes: list[Connection] = []
    asking = Asking(world.alarms, question, 0.02, 0.05, lambda well, found: answers.append((well, found)))
    asking.begin()
    world.until(lambda: len(answers) == 3)
    asking.end()
    assert answers == [(False, "no answer within 50ms")] * 3
    assert set(open_at_once) == {1}
    assert all(probe.gone for probe in probes)
    assert world.alarms.deadline is None
    server.close()


def test_what_is_cancelled_tells_nothing_and_leaves_nothing(world: World) -> None:
    server = Server(world, b"HTTP/1.1 200 OK\r\n")
    answers: list[Answer] = []
    probe = Connection(world.poller, http_target(f"http://127.0.0.1:{server.port}/"), lambda *it: answers.append(it))
    probe.cancel()
    later = Connection(world.poller, http_target(f"http://127.0.0.1:{server.port}/"), lambda *it: answers.append(it))
    world.until(lambda: bool(answers))
    assert (probe.gone, later.gone, answers) == (True, True, [(True, "GET /: 200")])
    server.close()


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://127.0.0.1", Target("127.0.0.1", 80, "/")),
        ("http://[::1]:8000?a=b#c", Target("::1", 8000, "/?a=b")),
        (" HTTP://localhost:8000/x/ ", Target("127.0.0.1", 8000, "/x/")),
    ],
)
def test_a_url_is_taken_apart(text: str, target: Target) -> None:
    assert http_target(text) == target


@pytest.mark.parametrize(
    "text",
    [
        *("https://127.0.0.1/", "127.0.0.1:80", "http://example.org/", "http://me@127.0.0.1/", "http://127.0.0.1:0/"),
        *("http://127.0.0.1:65536/", "http://127.0.0.1:٣/", "http://256.0.0.1/", "http://[::1/", "http:///x"),
        *("http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "http://[127.0.0.1]/", "http://127.0.0.1:8x/"),
    ],
)
def test_what_is_no_url_of_this_machine_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^its? "):
        http_target(text)


@pytest.mark.parametrize("text", ["6379", ":6379", "redis:6379", "127.0.0.1", "unix:redis.sock", "unix:/" + "x" * 107])
def test_what_is_no_address_of_this_machine_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(its? |a unix )"):
        tcp_target(text)
