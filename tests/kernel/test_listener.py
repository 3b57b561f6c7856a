"""One listening socket: it is there for clients as written, and where it cannot be, it is said why and what to do."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from procman.kernel.sockets.listener import LONGEST_PATH, Listener, ListenError, adopt, open_listener
from procman.plan import Listen

TCP = Listen("web", "tcp", "127.0.0.1")


@pytest.fixture
def opened() -> Iterator[Opener]:
    with ExitStack() as stack:
        yield Opener(stack)


class Opener:
    """Opens, and closes all of it when the test is over."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, listen: Listen) -> Listener:
        listener = open_listener(listen)
        self._stack.callback(listener.close, listen)
        return listener


def option(listener: Listener, level: int, name: int) -> int:
    sock = socket.socket(fileno=os.dup(listener.fd))
    with sock:
        return sock.getsockopt(level, name)


def test_a_tcp_socket_takes_connections_at_the_address_that_it_names(opened: Opener) -> None:
    host, _, port = opened(TCP).address().rpartition(":")
    socket.create_connection((host, int(port)), timeout=30).close()


def test_an_ipv6_socket_is_one_of_ipv6_alone(opened: Opener) -> None:
    six = opened(Listen("six", "tcp", "::1"))
    assert six.address().startswith("[::1]:")
    any_six = opened(Listen("six", "tcp", "::"))
    port = int(any_six.address().rpartition(":")[2])
    opened(Listen("four", "tcp", "0.0.0.0", port))
    assert option(any_six, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_a_udp_socket_receives(opened: Opener) -> None:
    listener = opened(Listen("dns", "udp", "127.0.0.1"))
    port = int(listener.address().rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", ("127.0.0.1", port))
    with socket.socket(fileno=os.dup(listener.fd)) as server:
        server.settimeout(30)
        assert server.recv(100) == b"hello"


def test_no_delay_is_on_unless_it_is_turned_off_and_what_is_accepted_has_it(opened: Opener) -> None:
    for nodelay in (True, False):
        listener = opened(TCP._replace(nodelay=nodelay))
        assert bool(option(listener, socket.IPPROTO_TCP, socket.TCP_NODELAY)) is nodelay
        port = int(listener.address().rpartition(":")[2])
        with socket.socket(fileno=os.dup(listener.fd)) as server, socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            with accepted:
                assert bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is nodelay


def test_options_of_an_open_socket_are_changed_without_closing_it(opened: Opener) -> None:
    listener = opened(TCP)
    where = listener.address()
    listener.set_up(TCP._replace(nodelay=False, reuse_port=True, backlog=1))
    assert listener.address() == where
    assert option(listener, socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1
    assert option(listener, socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0


def test_a_port_can_be_shared_by_two_that_both_say_so(opened: Opener) -> None:
    first = TCP._replace(reuse_port=True)
    port = int(opened(first).address().rpartition(":")[2])
    opened(first._replace(port=port))
    with pytest.raises(ListenError) as refused:
        open_listener(TCP._replace(port=port))
    assert refused.value.errno == errno.EADDRINUSE


def test_a_descriptor_of_it_is_handed_to_nobody_by_accident(opened: Opener) -> None:
    assert not os.get_inheritable(opened(TCP).fd)


def test_a_unix_socket_has_its_mode_whatever_the_umask_and_is_taken_away_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    listen = Listen("api", "unix", str(path), mode=0o622)
    before = os.umask(0o077)
    try:
        listener = open_listener(listen)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o622
    assert listener.address() == str(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close(listen)
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_unix_socket_belongs_to_whom_it_is_to_belong(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "api.sock"
    opened(Listen("api", "unix", str(path), mode=0o660, uid=54321, gid=54322))
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (54321, 54322, 0o660)


def test_an_abstract_socket_has_no_file(opened: Opener) -> None:
    name = f"@procman-test-{os.getpid()}"
    assert opened(Listen("api", "unix", name)).address() == name
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name[1:])


def test_the_file_of_a_dead_socket_is_replaced(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    opened(Listen("api", "unix", str(path)))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_file_that_another_has_put_there_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    listen = Listen("api", "unix", str(path))
    listener = open_listener(listen)
    path.unlink()
    path.write_text("another's")
    listener.close(listen)
    assert path.read_text() == "another's"


def refusal(listen: Listen) -> ListenError:
    """How the opening of it fails; nothing is left of the attempt."""
    before = sorted(Path("/proc/self/fd").iterdir())
    with pytest.raises(ListenError) as refused:
        open_listener(listen)
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    assert refused.value.hint
    return refused.value


def test_a_port_in_use_is_an_error_that_says_how_to_find_out_whose_it_is(opened: Opener) -> None:
    port = int(opened(TCP).address().rpartition(":")[2])
    error = refusal(TCP._replace(port=port))
    assert error.reason == f"cannot listen on tcp://127.0.0.1:{port}: the port is in use"
    assert error.hint.startswith(f"who: `ss -tlnp sport = :{port}`")


def test_a_unix_socket_in_use_is_an_error_and_goes_on_serving(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "api.sock"
    listen = Listen("api", "unix", str(path), backlog=0)
    opened(listen)
    for _ in range(3):  # with the queue full, too
        assert "another process has it open" in refusal(listen).reason
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(tmp_path / "log.sock"))
        assert "another process has it open" in refusal(listen._replace(host=str(tmp_path / "log.sock"))).reason


def test_what_stands_in_the_way_of_a_unix_socket_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    unix = Listen("api", "unix", "")
    reasons = [
        refusal(unix._replace(host=str(tmp_path / path))).reason.partition(": ")[2]
        for path in ("file", "no/api.sock", "x" * LONGEST_PATH)
    ]
    assert reasons == [
        "there is a file of this name, and it is no socket",
        f"there is no directory {tmp_path}/no",
        "the path is longer than 107 bytes",
    ]
    assert (tmp_path / "file").read_text() == "precious"


def test_an_address_of_no_interface_is_an_error() -> None:
    assert "no interface of this machine has this address" in refusal(TCP._replace(host="192.0.2.1")).reason


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_what_only_root_may_do_is_said_to_others(tmp_path: Path) -> None:
    program = f"""
import os, sys; sys.path.append({str(Path(__file__).parents[2])!r})
from procman.kernel.sockets.listener import ListenError, open_listener
from procman.plan import Listen
os.setgroups([]); os.setresgid(*[54321] * 3); os.setresuid(*[54321] * 3)
for listen in (Listen("a", "unix", {str(tmp_path / "a")!r}), Listen("b", "unix", "/tmp/procman-given-away", uid=1)):
    try:
        open_listener(listen)
    except ListenError as error:
        print(error.reason)
"""
    tmp_path.chmod(0o755)
    # Root until all is imported: a checkout in a directory of root's own is nothing that others could read.
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        f"cannot listen on unix:{tmp_path}/a: {tmp_path} cannot be written",
        "cannot listen on unix:/tmp/procman-given-away: no permission to make it, or to give it away",
    ]
    assert not Path("/tmp/procman-given-away").exists()


def test_a_socket_from_above_is_taken_as_it_is_if_it_is_of_that_kind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        adopted = adopt(os.dup(given.fileno()), TCP)
        adopted.set_up(TCP)
        assert adopted.address() == f"127.0.0.1:{given.getsockname()[1]}"
        adopted.close(TCP)
        for other in (Listen("web", "udp", "127.0.0.1"), Listen("web", "unix", "/x")):
            with pytest.raises(ListenError, match="something else"):
                adopt(given.fileno(), other)
        given.getsockname()  # still open
    read, write = os.pipe()
    with pytest.raises(ListenError, match="something else"):
        adopt(read, TCP)
    os.close(read)
    os.close(write)
