"""What is measured: a running procman and a running C loop, each with the same workers on a board of its own."""

from __future__ import annotations

import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
_SLOT = struct.Struct("QQ")
_PATIENCE_S = 60.0

SITE = """\
schema = 1
[site]
name = "benchmark"
[group.worker]
command = ["{worker}"]
workers = {count}
[group.worker.restart]
max_restarts = 1000000000
backoff = false
"""


class MissingError(Exception):
    """Something that the benchmark needs is not on this machine."""


def compile_c(name: str, into: Path) -> Path:
    """Compile one of the C programs here, statically if that can be had."""
    program = into / name
    for flags in (["-static"], []):
        command = ["gcc", "-O2", *flags, "-o", str(program), str(HERE / f"{name}.c")]
        try:
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return program
        except FileNotFoundError:
            raise MissingError("gcc") from None
    raise MissingError(f"a C library to compile {name}.c with")


class Subject:
    """A supervisor with its workers. Times are seconds."""

    def __init__(self, name: str, command: Sequence[str], count: int, directory: Path) -> None:
        path = directory / f"{name}.board"
        path.write_bytes(bytes(_SLOT.size * count))
        with path.open("r+b") as file:
            self._board = mmap.mmap(file.fileno(), 0)
        self.name, self.count = name, count
        with (directory / f"{name}.log").open("wb") as log:
            self.started_ns = time.monotonic_ns()
            self._process = subprocess.Popen(
                command, env={**os.environ, "BOARD": str(path), "PROCMAN_RUNTIME_DIR": str(directory)}, stderr=log
            )
        self.await_all_after(0)

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return self._process.pid

    def status(self, field: str) -> int:
        """A number of the supervisor's /proc/PID/status."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))

    def cpu_s(self) -> float:
        """CPU time of the supervisor alone, from the scheduler's own account (ns)."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text(encoding="utf-8").split()[0]) / 1e9

    def await_rest(self) -> None:
        """Wait until the supervisor has nothing left to do: when the last worker begins it has not told of all yet."""
        before = -1.0
        while (now := self.cpu_s()) != before:
            before = now
            time.sleep(0.1)

    def boot_s(self) -> tuple[float, float]:
        """From the start to the last worker's first instruction; and from the first worker's to the last's."""
        stamps = sorted(stamp for stamp, _ in self._slots())
        return (stamps[-1] - self.started_ns) / 1e9, (stamps[-1] - stamps[0]) / 1e9

    def restart_s(self, slot: int) -> float:
        """From the death of a worker to the first instruction of its replacement."""
        _, pid = self._slot(slot)
        before = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        self._await(lambda: self._slot(slot)[0] > before)
        return (self._slot(slot)[0] - before) / 1e9

    def restart_all_s(self) -> float:
        """From the first of so many deaths to the last replacement's first instruction."""
        pids = [pid for _, pid in self._slots()]
        before = time.monotonic_ns()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.await_all_after(before)
        return (max(stamp for stamp, _ in self._slots()) - before) / 1e9

    def await_all_after(self, before_ns: int) -> None:
        """Wait until every slot's worker has begun after that time."""
        self._await(lambda: all(stamp > before_ns for stamp, _ in self._slots()))

    def stop_s(self) -> float:
        """From SIGTERM to the supervisor's end, which its pidfd tells at once: Popen.wait looks every 50 ms."""
        end = os.pidfd_open(self._process.pid)
        try:
            before = time.monotonic()
            self._process.send_signal(signal.SIGTERM)
            select.select([end], [], [], _PATIENCE_S)
            taken = time.monotonic() - before
        finally:
            os.close(end)
        self._process.wait(_PATIENCE_S)
        return taken

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE_S)
            finally:
                self._process.kill()
        self._board.close()

    def _slot(self, slot: int) -> tuple[int, int]:
        stamp, pid = _SLOT.unpack_from(self._board, slot * _SLOT.size)
        return stamp, pid

    def _slots(self) -> list[tuple[int, int]]:
        return [self._slot(slot) for slot in range(self.count)]

    def _await(self, condition: Callable[[], bool]) -> None:
        """Look each millisecond: the workers stamp their own times, so this delays no figure."""
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise MissingError(f"{self.name}'s workers, within {_PATIENCE_S:g} s")
            time.sleep(0.001)


def procman(worker: Path, count: int, directory: Path) -> Subject:
    """`procman up` with so many workers."""
    site = directory / "site.toml"
    site.write_text(SITE.format(worker=worker, count=count), encoding="utf-8")
    return Subject("procman", [sys.executable, "-m", "procman", "up", str(site)], count, directory)


def c_loop(worker: Path, reference: Path, count: int, directory: Path) -> Subject:
    """The C loop with so many workers."""
    return Subject("C", [str(reference), str(worker), str(count)], count, directory)
