"""Sockets that procman opens: every worker finds them, and no restart or reload refuses a connection."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Semaphore, Thread
from typing import Any

from tests.site.running import COMMAND, DEADLINE_S, ROOT, Site, up
from tests.site.sites import FOREVER, group, python, site_of

LOOK = python(
    "import fcntl, json, os, socket, sys, time\n"
    "count = int(os.environ.get('LISTEN_FDS', '0'))\n"
    "open_ = [int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) < 3 + count]\n"
    "found = []\n"
    "for fd in range(3, 3 + count):\n"
    "    sock = socket.socket(fileno=fd)\n"
    "    name = sock.getsockname()\n"
    "    kept = not fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC\n"
    "    blocks = not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK\n"
    "    found.append([sock.family.name, sock.type.name, name, kept, blocks])\n"
    "names = ('LISTEN_FDNAMES', 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_PIDFDID', 'SERVER')\n"
    "own = os.environ.get('LISTEN_PID') == str(os.getpid())\n"
    "told = {name: os.environ[name] for name in names if name in os.environ}\n"
    "variables = {n: v for n, v in os.environ.items() if n.startswith(('LISTEN_FD_', 'LISTEN_ADDR_'))}\n"
    "print('saw', json.dumps([count, own, told, variables, found, sys.argv[1:], open_]), flush=True)\n"
    "time.sleep(3600)\n"
)
SERVE = python(
    "import os, socket, sys\n"
    "server = socket.socket(fileno=3)\n"
    "print('serves', *server.getsockname()[:2], flush=True)\n"
    "while True:\n"
    "    connection, _ = server.accept()\n"
    "    connection.recv(1)\n"
    "    connection.sendall(b'%d\\n' % os.getpid())\n"
    "    connection.close()\n"
)
FREE = 'listen = "tcp://127.0.0.1:0"'


def saw(site: Site, count: int = 1) -> Any:
    """What the worker that looked last has seen."""
    return json.loads(site.until_said("saw", count)[count - 1].removeprefix("saw "))


def port_of(site: Site, count: int = 1) -> int:
    """Where the worker that began last serves."""
    return int(site.until_said("serves", count)[count - 1].split()[2])


class Clients:
    """Connects again and again, until told to stop; what it met."""

    def __init__(self, port: int) -> None:
        self.refused, self.cut = 0, 0
        self._port, self._stop, self._answers = port, Event(), Semaphore(0)
        self._thread = Thread(target=self._run)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def wait_for_an_answer(self) -> None:
        """Wait until somebody was served, whom nobody has waited for before."""
        assert self._answers.acquire(timeout=DEADLINE_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=DEADLINE_S) as client:
                    client.sendall(b"?")
                    if client.recv(100):
                        self._answers.release()
                    else:
                        self.cut += 1
            except ConnectionResetError:
                self.cut += 1  # it was accepted, by a worker that was killed before it answered
            except ConnectionRefusedError:
                self.refused += 1


def test_a_worker_finds_its_sockets_from_descriptor_3_on_and_their_names_as_systemd_gives_them(tmp_path: Path) -> None:
    listen = (
        'listen = ["tcp://127.0.0.1:0", { address = "tcp://[::1]:0", name = "six" }, '
        '{ address = "unix:api.sock", name = "local.sock" }, { address = "udp://127.0.0.1:0", name = "udp" }]'
    )
    look = group("api", LOOK, listen, 'env = { SERVER = "${LISTEN_FD_six};${LISTEN_ADDR_local_sock}" }')
    look = look.replace('time.sleep(3600)\\n"]', 'time.sleep(3600)\\n", "--fd", "${LISTEN_FD_api}"]')
    above = {
        "NOTIFY_SOCKET": "/nowhere",
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "1",
        "LISTEN_FDS": "9",
        "LISTEN_PID": "1",
    }
    with up(tmp_path, site_of(look), env=above) as site:
        count, own, told, variables, found, words, inherited = saw(site)
        path = str(tmp_path / "api.sock")
        assert (count, own, words, sorted(inherited)) == (4, True, ["--fd", "3"], [0, 1, 2, 3, 4, 5, 6])
        assert told == {"LISTEN_FDNAMES": "api:six:local.sock:udp", "SERVER": f"4;{path}"}
        kinds = [("AF_INET", "SOCK_STREAM"), ("AF_INET6", "SOCK_STREAM"), ("AF_UNIX", "SOCK_STREAM")]
        assert [(family, kind) for family, kind, *_ in found] == [*kinds, ("AF_INET", "SOCK_DGRAM")]
        assert all(kept and blocks for *_, kept, blocks in found)
        ports = [name[1] for _, _, name, _, _ in found]
        assert variables == {
            "LISTEN_FD_api": "3", "LISTEN_ADDR_api": f"127.0.0.1:{ports[0]}",
            "LISTEN_FD_six": "4", "LISTEN_ADDR_six": f"[::1]:{ports[1]}",
            "LISTEN_FD_local_sock": "5", "LISTEN_ADDR_local_sock": path,
            "LISTEN_FD_udp": "6", "LISTEN_ADDR_udp": f"127.0.0.1:{ports[3]}",
        }  # fmt: skip
    assert not (tmp_path / "api.sock").exists()


def test_a_worker_without_sockets_is_told_of_none(tmp_path: Path) -> None:
    above = {
        "LISTEN_FDS": "1",
        "LISTEN_PID": "1",
        "LISTEN_FDNAMES": "x",
        "NOTIFY_SOCKET": "/nowhere",
        "WATCHDOG_USEC": "1",
    }
    with up(tmp_path, site_of(group("api", LOOK)), env=above) as site:
        assert saw(site) == [0, False, {}, {}, [], [], [0, 1, 2]]


def test_no_connection_is_refused_while_a_worker_is_restarted_twenty_times(tmp_path: Path) -> None:
    restart = "restart = { backoff = false, max_restarts = 1000 }"
    with up(tmp_path, site_of(group("api", SERVE, FREE, restart))) as site:
        clients = Clients(port_of(site))
        with clients.running():
            for count in range(1, 21):
                clients.wait_for_an_answer()
                os.kill(site.until("worker.running", "api:0", count)["pid"], 9)
            clients.wait_for_an_answer()
        assert clients.refused == 0
        assert clients.cut <= 20


def test_no_connection_is_refused_while_a_reload_replaces_the_workers(tmp_path: Path) -> None:
    first = site_of(group("api", SERVE, FREE, "workers = 2"))
    with up(tmp_path, first) as site:
        port_of(site, 2)
        clients = Clients(port_of(site))
        with clients.running():
            for release in range(3):
                site.reload(site_of(group("api", SERVE, FREE, "workers = 2", f'env = {{ RELEASE = "{release}" }}')))
                port_of(site, 4 + 2 * release)
                clients.wait_for_an_answer()
        assert clients.refused == 0
        assert len({line.split()[2] for line in site.until_said("serves", 8)}) == 1  # always the same port


def test_a_reload_opens_new_sockets_and_closes_those_that_are_gone(tmp_path: Path) -> None:
    unix = group("api", SERVE, 'listen = { address = "unix:one.sock", mode = "0600" }')
    with up(tmp_path, site_of(unix)) as site:
        site.until_said("serves")
        site.reload(site_of(unix.replace("one.sock", "two.sock")))
        site.until_said("serves", 2)
        assert not (tmp_path / "one.sock").exists()
        assert (tmp_path / "two.sock").stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "two.sock"))
            client.sendall(b"?")
            assert client.recv(100)
        site.reload(site_of(unix.replace("one.sock", "two.sock").replace("0600", "0666")))
        site.until_said("serves", 3)
        assert (tmp_path / "two.sock").stat().st_mode & 0o777 == 0o666


def test_a_port_in_use_is_an_error_at_the_start_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = site_of(group("a", FOREVER), group("api", SERVE, f'listen = "tcp://127.0.0.1:{port}"'))
        with up(tmp_path, text) as site:
            assert site.wait() == 78
            assert site.foreign == [
                f"procman: error: cannot listen on tcp://127.0.0.1:{port}: the port is in use",
                f"hint: who: `ss -tlnp sport = :{port}`; procman opens it itself, so no command is to bind it",
            ]
            assert site.told("worker.starting") == []


def test_a_port_in_use_at_a_reload_leaves_all_as_it_is(tmp_path: Path) -> None:
    good = site_of(group("api", SERVE, FREE))
    with socket.create_server(("127.0.0.1", 0)) as other, up(tmp_path, good) as site:
        port, before = port_of(site), site.pids()
        taken = f'listen = ["tcp://127.0.0.1:0", "tcp://127.0.0.1:{other.getsockname()[1]}", "unix:no/where"]'
        site.reload(site_of(group("api", SERVE, taken), group("b", FOREVER)))
        rejected = site.until("config.rejected")
        assert "the port is in use (and 1 more)" in rejected["reason"]
        assert f"there is no directory {tmp_path}/no" in rejected["diagnostics"]
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
            client.sendall(b"?")
            assert int(client.recv(100)) == before["api:0"]
        other.close()
        site.reload(site_of(group("api", SERVE, taken.replace(', "unix:no/where"', "")), group("b", FOREVER)))
        site.until("worker.running", "b:0")
        assert port_of(site, 2) == port


def test_a_socket_that_procman_was_given_is_used_by_its_name(tmp_path: Path) -> None:
    """As under systemd with a socket unit: what is not there by name procman opens itself."""
    look = group("api", LOOK, 'listen = ["tcp://127.0.0.1:0", { address = "tcp://127.0.0.1:0", name = "web" }]')
    exec_up = (
        "import os, sys; os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='other:web'); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    with socket.create_server(("127.0.0.1", 0)) as given, socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{given.getsockname()[1]}"
        place = f"import os; os.dup2({other.fileno()}, 3); os.dup2({given.fileno()}, 4); "
        before = [sys.executable, "-c", place + exec_up]
        fds = (given.fileno(), other.fileno())
        assert min(fds) > 4
        with up(tmp_path, site_of(look), before=before, pass_fds=fds) as site:
            _, own, told, variables, _, _, inherited = saw(site)
            assert (own, told, sorted(inherited)) == (True, {"LISTEN_FDNAMES": "api:web"}, [0, 1, 2, 3, 4])
            assert variables["LISTEN_ADDR_web"] == where
            assert variables["LISTEN_ADDR_api"] not in (where, f"127.0.0.1:{other.getsockname()[1]}")


def test_check_says_where_a_site_listens(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(site_of(group("api", FOREVER, 'listen = ["tcp://[::1]:80", "unix:/run/x.sock"]')), encoding="utf-8")
    done = subprocess.run(
        [*COMMAND, "check", str(file)], stdout=subprocess.PIPE, text=True, timeout=60, cwd=ROOT, check=True
    )
    assert "  listens  tcp://[::1]:80 (api), unix:/run/x.sock (api-2)\n" in done.stdout
