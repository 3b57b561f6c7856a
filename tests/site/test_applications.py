"""Real applications with sixteen workers, each by way of a zygote and as a command: the same to see from outside."""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
from collections import deque
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.site.running import ROOT, up
from tests.site.sites import site_of

WORKERS = 16
WAYS = pytest.mark.parametrize("way", ["zygote", "command"])


def application(way: str, module: str, call: str, args: list[object], *options: str) -> str:
    """A group that calls a function of `tests.site.applications`, in either way."""
    if way == "zygote":
        program = [f'callable = "tests.site.applications.{module}:{call}"', f"args = {json.dumps(args)}"]
    else:
        words = ", ".join(map(repr, args))
        source = f"from tests.site.applications.{module} import {call}; {call}({words})"
        program = [f"command = {json.dumps([sys.executable, '-c', source])}"]
    return "\n".join(["[group.app]", *program, f"cwd = {json.dumps(str(ROOT))}", f"workers = {WORKERS}", *options, ""])


@WAYS
def test_a_fastapi_service_under_uvicorn_answers_and_stops(tmp_path: Path, way: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = site_of(application(way, "web", "serve", [], f'listen = "tcp://127.0.0.1:{port}"'))
    with up(tmp_path, text) as site:
        site.until("worker.running", count=WORKERS)
        pids = site.pids()
        for _ in range(40):
            with urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                who = json.load(answer)
            assert pids[f"app:{who['task']}"] == who["pid"]
        assert site.stop() == 0
        assert {event["reason"] for event in site.told("worker.stopping")} == {"SIGTERM"}
        assert len(site.told("worker.stopped")) == WORKERS


@WAYS
def test_a_job_over_numpy_is_done_by_all_of_its_workers(tmp_path: Path, way: str) -> None:
    with up(tmp_path, site_of(application(way, "numbers", "add_up", [WORKERS], 'kind = "job"'))) as site:
        assert site.wait() == 0
        sums = [line.split() for line in site.words]
        assert sorted(int(words[1]) for words in sums) == list(range(WORKERS))
        assert sum(int(words[2]) for words in sums) == 2_000_000 * 1_999_999 // 2
        drawn = {words[3] for words in sums}
        assert len(drawn) == (WORKERS if way == "zygote" else 1), "reseeded after the fork; the program's own seed"
        assert [line for line in site.foreign if "Warning" in line] == []


class Broker:
    """The queue's side: gives each consumer one job at a time, and gives a job again whose consumer is gone."""

    def __init__(self, path: Path, jobs: list[str]) -> None:
        self.jobs, self.done = deque(jobs), dict[str, int]()
        self._left = len(jobs)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._stop, self.stop = socket.socketpair()
        self.all_done = threading.Event()
        self._held: dict[socket.socket, str] = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self.stop.close()
        self._thread.join(60)
        for one in (self._listener, self._stop, *self._held):
            one.close()

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._stop, *self._held], [], [])
            if self._stop in ready:
                return
            for one in ready:
                if one is self._listener:
                    self._held[self._listener.accept()[0]] = ""
                else:
                    self._hear(one)

    def _hear(self, consumer: socket.socket) -> None:
        try:
            said = consumer.recv(200).decode().split()
        except ConnectionResetError:
            said = []
        if not said:
            job = self._held.pop(consumer)
            consumer.close()
            self.jobs.extend([job] if job else [])
        elif said[0] == "done":
            self.done[said[1]] = int(said[2])
            self._held[consumer] = ""
            if len(self.done) == self._left:
                self.all_done.set()
        elif self.jobs:
            self._held[consumer] = job = self.jobs.popleft()
            consumer.send(job.encode())


@WAYS
def test_a_consumer_of_a_queue_loses_no_job_to_a_crash_nor_to_a_stop(tmp_path: Path, way: str) -> None:
    """A consumer that has asked when the queue was empty waits for a job, or for its stop."""
    numbers = [str(number) for number in range(400)]
    jobs = [*numbers[:100], f"kill:{tmp_path}/one", *numbers[100:200], f"kill:{tmp_path}/two", *numbers[200:]]
    broker = Broker(tmp_path / "broker", jobs)
    try:
        options = ("restart = { max_restarts = 10, backoff = false }",)
        with up(
            tmp_path, site_of(application(way, "consumer", "consume", [str(tmp_path / "broker")], *options))
        ) as site:
            site.until("worker.backoff", count=2)
            assert broker.all_done.wait(120), f"{len(broker.done)} of {len(jobs)} done"
            site.until_said("up", WORKERS + 2)
            assert site.stop() == 0
            ends = [event["reason"] for event in site.told("worker.stopped")]
            assert ends == ["exit status 0"] * WORKERS
        assert {job: broker.done[job] for job in numbers} == {job: int(job) ** 2 for job in numbers}
    finally:
        broker.close()
