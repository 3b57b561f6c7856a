"""Workers that show that they are ready, each in its own way, and workers that are found not to be well (CASES, D)."""

from __future__ import annotations

import os
import signal
import socket
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.site.running import up
from tests.site.sites import FOREVER, group, site_of

NOTIFY = (
    "import os, socket, sys, time\n"
    "def say(text):\n"
    "    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(text.encode(), os.environ['NOTIFY_SOCKET'])\n"
)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return tmp_path / "program.py"


def runs(program: Path, text: str) -> str:
    """A shell command that runs this Python program."""
    program.write_text(text, encoding="utf-8")
    return f"exec {sys.executable} {program}"


def test_one_that_says_so_is_ready_and_what_waits_for_it_begins_then(tmp_path: Path, program: Path) -> None:
    command = runs(program, NOTIFY + "time.sleep(0.3); print('saying', flush=True); say('READY=1'); time.sleep(1000)")
    late = group("b", "echo b; " + FOREVER, 'after = ["a"]')
    with up(tmp_path, site_of(group("a", command, "ready = { notify = true }"), late)) as site:
        site.until("worker.running", "b:0")
        site.until_said("b")
        assert [word for word in site.words if word in ("saying", "b")] == ["saying", "b"]
        assert site.told("worker.running", "a:0")[0]["reason"] == "it says that it is ready"
        assert site.stop() == 0


def test_a_line_on_its_descriptor_is_readiness_and_its_closing_without_one_is_a_failure(tmp_path: Path) -> None:
    well = group("a", "echo >&5; exec sleep 1000", "ready = { fd = 5 }")
    never = group("b", "exec 5>&-; exec sleep 1000", "ready = { fd = 5 }", "restart = { max_restarts = 0 }")
    with up(tmp_path, site_of(well, never)) as site:
        site.until("worker.running", "a:0")
        assert site.wait() == 12
        assert "descriptor 5" in site.told("worker.failed", "b:0")[0]["reason"]


@pytest.mark.parametrize("output", ["inherit", "null", "json"])
def test_a_line_of_its_output_shows_that_it_is_ready_wherever_that_goes(tmp_path: Path, output: str) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    command = f"echo not started yet; read -r _ < {go}; echo started on port 1 >&2; {FOREVER}"
    options = ('ready = { log = "^started on port [0-9]+$$" }', f'output = "{output}"')
    with up(tmp_path, site_of(group("a", command, *options))) as site:
        site.until("worker.starting", "a:0")
        go.write_text("go\n", encoding="utf-8")  # waits until it reads
        assert site.until("worker.running", "a:0")["reason"] == "it has written the line that shows it"
        assert site.stop() == 0


def test_the_line_is_found_by_the_pump_that_follows_one_that_was_killed(tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    command = f"read -r _ < {go}; echo up; {FOREVER}"
    with up(tmp_path, site_of(group("a", command, 'ready = { log = "^up$$" }', 'output = "null"'))) as site:
        site.until("worker.starting", "a:0")
        with go.open("w", encoding="utf-8") as gate:  # waits until it reads
            pump = site.helper()
            assert b"procman.output.pump" in Path(f"/proc/{pump}/cmdline").read_bytes()
            os.kill(pump, signal.SIGKILL)
            gate.write("go\n")
        site.until("worker.running", "a:0")
        assert len(site.told("worker.starting", "a:0")) == 1
        assert site.stop() == 0


def test_without_the_line_it_is_not_ready(tmp_path: Path) -> None:
    options = ('ready = { log = "^up$$", timeout = "300ms" }', "restart = { max_restarts = 0 }")
    with up(tmp_path, site_of(group("a", "echo not up; " + FOREVER, *options))) as site:
        assert site.wait() == 12
        assert site.told("worker.running") == []


def test_not_ready_in_time_is_a_failed_start(tmp_path: Path) -> None:
    options = ('ready = { notify = true, timeout = "200ms" }', "restart = { max_restarts = 1, backoff = false }")
    with up(tmp_path, site_of(group("a", FOREVER, *options))) as site:
        assert site.wait() == 12
        assert len(site.told("worker.starting")) == 2
        assert site.told("worker.failed")[0]["reason"] == "not ready within 200ms; 1 restart spent"


def test_a_server_is_ready_when_it_accepts_connections(tmp_path: Path, program: Path) -> None:
    port = free_port()
    server = (
        "import http.server, os, sys, time\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if self.path == '/well' else 503); self.end_headers()\n"
        "    def log_message(self, *args): pass\n"
        f"http.server.HTTPServer(('127.0.0.1', {port}), H).serve_forever()\n"
    )
    command = runs(program, server)
    by_tcp = group("a", command, f'ready = {{ tcp = "127.0.0.1:{port}", interval = "100ms" }}')
    with up(tmp_path, site_of(by_tcp)) as site:
        site.until("worker.running", "a:0")
        site.reload(
            site_of(group("a", command, f'ready = {{ http = "http://127.0.0.1:{port}/well" }}', 'env = { A = "1" }'))
        )
        site.until("worker.running", "a:0", count=2)
        assert site.told("worker.running", "a:0")[1]["reason"] == "GET /well: 200"
        sick = f'ready = {{ http = "http://127.0.0.1:{port}/sick", timeout = "500ms" }}'
        site.reload(site_of(group("a", command, sick, 'env = { A = "2" }', "restart = { max_restarts = 0 }")))
        assert site.wait() == 12


def test_a_command_says_whether_a_worker_is_ready(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    options = (f'ready = {{ exec = ["test", "-e", "{mark}"], interval = "100ms" }}',)
    with up(tmp_path, site_of(group("a", f"sleep 0.3; touch {mark}; {FOREVER}", *options))) as site:
        site.until("worker.running", "a:0")
        assert mark.exists()
        assert site.stop() == 0


def test_a_stopped_worker_is_found_by_its_watchdog_and_replaced(tmp_path: Path, program: Path) -> None:
    command = runs(program, NOTIFY + "say('READY=1')\nwhile True:\n    say('WATCHDOG=1'); time.sleep(0.05)\n")
    options = ("ready = { notify = true }", 'health = { watchdog = true, interval = "500ms", failures = 1 }')
    with up(tmp_path, site_of(group("a", command, *options))) as site:
        first = site.until("worker.running", "a:0")["pid"]
        os.kill(first, signal.SIGSTOP)
        again = site.until("worker.running", "a:0", count=2)["pid"]
        assert again != first
        assert "not healthy" in site.told("worker.stopping", "a:0")[0]["reason"]
        assert site.told("worker.backoff", "a:0")[0]["restarts"] == 1
        assert site.stop() == 0


def test_a_stopped_server_is_found_by_asking_it_and_replaced_once(tmp_path: Path, program: Path) -> None:
    port = free_port()
    server = f"import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"
    rule = f'http = "http://127.0.0.1:{port}/"'
    options = (
        f"ready = {{ {rule} }}",
        f'health = {{ {rule}, interval = "200ms", timeout = "300ms", failures = 2 }}',
    )
    with up(tmp_path, site_of(group("a", runs(program, server), *options))) as site:
        first = site.until("worker.running", "a:0")["pid"]
        os.kill(first, signal.SIGSTOP)
        site.until("worker.running", "a:0", count=2)
        assert len(site.told("worker.stopping", "a:0")) == 1
        assert site.stop() == 0


def test_what_a_stranger_says_is_not_heard(tmp_path: Path, program: Path) -> None:
    command = runs(program, NOTIFY + "print('at', os.environ['NOTIFY_SOCKET'], flush=True); time.sleep(1000)")
    options = ('ready = { notify = true, timeout = "1s" }', "restart = { max_restarts = 0 }")
    with up(tmp_path, site_of(group("a", command, *options))) as site:
        path = site.until_said("at")[0].split()[1]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"READY=1", path)  # of the same user, but of no process of that worker
        assert site.wait() == 12
        assert site.told("worker.running") == []


def test_a_worker_that_floods_is_ready_all_the_same_and_holds_up_nobody(tmp_path: Path, program: Path) -> None:
    flood = (
        "say('READY=1'); print('floods', flush=True)\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.connect(os.environ['NOTIFY_SOCKET']); s.setblocking(False)\n"
        "while True:\n"
        "    try: s.send(b'STATUS=' + b'x' * 1000)\n"
        "    except BlockingIOError: pass\n"
    )
    text = site_of(group("a", runs(program, NOTIFY + flood), "ready = { notify = true }"), group("b", FOREVER))
    with up(tmp_path, text) as site:
        site.until("worker.running", "a:0")
        site.until_said("floods")
        for count in range(1, 6):
            os.kill(site.until("worker.running", "b:0", count)["pid"], signal.SIGKILL)
        site.until("worker.running", "b:0", 6)
        assert site.stop() == 0


def test_one_that_asks_for_more_time_is_waited_for_until_it_is_ready(tmp_path: Path, program: Path) -> None:
    text = NOTIFY + "say('EXTEND_TIMEOUT_USEC=60000000'); time.sleep(2.5); say('READY=1'); time.sleep(1000)"
    options = ('ready = { notify = true, timeout = "2s" }', "restart = { backoff = false }")
    with up(tmp_path, site_of(group("a", runs(program, text), *options))) as site:
        ready = site.until("worker.running", "a:0")
        began = [one for one in site.told("worker.starting", "a:0") if one["generation"] == ready["generation"]]
        lasted = datetime.fromisoformat(ready["ts"]) - datetime.fromisoformat(began[0]["ts"])
        assert lasted.total_seconds() > 2.4
        assert site.stop() == 0


def test_the_socket_of_a_core_that_was_killed_is_taken_away_by_the_next_one(tmp_path: Path, program: Path) -> None:
    text = NOTIFY + "print('at', os.environ['NOTIFY_SOCKET'], flush=True); say('READY=1'); time.sleep(1000)"
    site_text = site_of(group("a", runs(program, text), "ready = { notify = true }"))
    with up(tmp_path, site_text) as killed:
        killed.until("worker.running", "a:0")
        place = Path(killed.until_said("at")[0].split()[1])
        with up(tmp_path, site_text, "--name", "other") as lives:
            lives.until("worker.running", "a:0")
            killed.signal(signal.SIGKILL)
            killed.wait()  # its guard ends what is left
            assert place.exists()
            with up(tmp_path, site_text) as site:
                site.until("worker.running", "a:0")
                assert not place.parent.exists()
                assert Path(lives.until_said("at")[0].split()[1]).exists()
                assert site.stop() == 0
            assert lives.stop() == 0
