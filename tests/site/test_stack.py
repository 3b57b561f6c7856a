"""configs/stack.toml with the real servers: what depends on what comes up in order, and no request fails meanwhile."""

from __future__ import annotations

import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.procmans import COMMAND
from tests.site.running import DEADLINE_S, ROOT, Site, up

SITE = f'schema = 1\ninclude = ["{ROOT}/configs/stack.toml"]\n'
BIN = Path(sys.executable).parent
RESTARTS = 10


def missing() -> str:
    """What the stack needs and this machine has not; empty if nothing is."""
    tools = [name for name in ("nginx", "redis-server", "pg_isready") if shutil.which(name) is None]
    tools += [name for name in ("gunicorn", "uvicorn") if not (BIN / name).exists()]
    if os.geteuid() != 0 or "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        tools.append("root, and a user postgres")
    return ", ".join(tools)


pytestmark = pytest.mark.skipif(bool(missing()), reason=f"needs {missing()}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def stack(folder: Path) -> Iterator[tuple[Site, int]]:
    """The site, once nginx is ready, and nginx's port."""
    with tempfile.TemporaryDirectory(prefix="stack-", dir="/tmp") as state:
        Path(state).chmod(0o755)  # PostgreSQL and nginx's workers are not root
        port = free_port()
        own = {"STACK": state, "PORT": str(port), "REDIS_PORT": str(free_port())}
        path = f"{BIN}:{os.environ['PATH']}:/usr/sbin"
        with up(folder, SITE, env={**own, "PATH": path}) as site:
            site.until("worker.running", "nginx:0")
            yield site, port
            assert site.stop() == 0


class Load:
    """Clients that ask at full speed, each request on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.answers: set[str] = set()
        self.requests = 0
        self.failed: list[str] = []
        self._port, self._over = port, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(path,)) for path in ("/wsgi", "/asgi") * 2]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Let them finish what they have begun."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, path: str) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_S)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status == 200:
                    self.answers.add(text.partition(",")[0])
                else:
                    self.failed.append(f"{path}: {answer.status}")
            except OSError as error:
                self.failed.append(f"{path}: {error!r}")
            finally:
                connection.close()
            self.requests += 1


def test_all_comes_up_in_its_order_and_what_is_killed_comes_back(tmp_path: Path) -> None:
    with stack(tmp_path) as (site, _):
        order = ("prepare:0", "initdb:0", "postgres:0", "gunicorn:0", "nginx:0")
        begun = [site.events.index(site.told("worker.starting", worker)[0]) for worker in order]
        assert begun == sorted(begun)
        for worker in ("redis:0", "postgres:0", "uvicorn:1"):
            os.kill(site.told("worker.running", worker)[0]["pid"], signal.SIGKILL)
            site.until("worker.running", worker, 2)


def test_ten_rolling_restarts_and_a_reload_under_full_load_fail_no_request(tmp_path: Path) -> None:
    with stack(tmp_path) as (site, port):
        load = Load(port)
        try:
            for _ in range(RESTARTS):
                words = [*COMMAND, "restart", "-s", "stack", "gunicorn", "uvicorn"]
                done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
                assert done.returncode == 0, done.stderr
            site.reload(f'{SITE}[group.gunicorn]\nenv = {{ RELEASE = "2" }}\n')
            site.until("worker.running", "gunicorn:1", RESTARTS + 2)
        finally:
            load.end()
        assert load.failed == []
        assert load.requests > 100 * RESTARTS
        latest = {f"{name}:{task} generation {RESTARTS + 1}" for name in ("gunicorn", "uvicorn") for task in (0, 1)}
        assert latest <= load.answers
