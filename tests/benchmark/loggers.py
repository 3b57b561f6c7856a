"""Who brings the lines of workers into files: nobody, a program behind each of them, supervisord, or procman."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmark.subjects import MissingError
from tests.site import processes

_SITE = """\
schema = 1
[site]
name = "benchmark"
control = false
[group.worker]
command = {command}
workers = {count}
output = {output}
"""
_SETTLED_S = 0.3
_PATIENCE_S = 60.0
_S6 = ("s6-log", "-b", "n1000", "s16777215")  # it always rotates: as large as it can, and all are kept
OUTPUTS = {
    "procman, a file each": ('{ to = { file = "out.${PROCMAN_TASK_ID}" } }', "<= 0.7"),
    "procman, prefix": ('"prefix"', "<= 2"),
    "procman, JSON": ('"json"', "<= 4"),
}


class Load(NamedTuple):
    """What is to be written: by a program that waits for its gate, so many times, so many lines each."""

    writer: Path
    gate: Path
    workers: int
    lines: int

    @property
    def command(self) -> list[str]:
        """What each worker runs."""
        return [str(self.writer), str(self.gate), str(self.lines)]

    @property
    def bytes(self) -> int:
        """Of all."""
        return self.workers * self.lines * 100


class Figures(NamedTuple):
    """Of one run; `cpu_s` of those who read the pipes."""

    cpu_s: float
    seconds: float


Measure = Callable[[Load, Path], Figures]


def subjects() -> dict[str, tuple[Measure, str]]:
    """Who is measured, and what procman is to reach."""
    others: dict[str, tuple[Measure, str]] = {
        "no pipe at all": (straight, ""),
        "cat": (lambda load, place: piped(load, place, lambda at: ["sh", "-c", f"exec cat > out.{at}"]), ""),
        "s6-log": (lambda load, place: piped(load, place, lambda at: [*_S6, f"./log.{at}"]), ""),
        "svlogd": (lambda load, place: piped(load, place, lambda at: ["svlogd", f"./log.{at}"]), ""),
        "supervisord": (supervisord, ""),
    }
    return others | {name: (procman(output), target) for name, (output, target) in OUTPUTS.items()}


def straight(load: Load, place: Path) -> Figures:
    """Each worker writes to its file itself."""
    writers = []
    for at in range(load.workers):
        with (place / f"out.{at}").open("wb") as file:
            writers.append(subprocess.Popen(load.command, stdout=file))
    try:
        return Figures(0.0, _run(load, place))
    finally:
        _end(writers)


def piped(load: Load, place: Path, command_of: Callable[[int], Sequence[str]]) -> Figures:
    """Each worker has a program of its own behind it."""
    writers, loggers = [], []
    try:
        for at in range(load.workers):
            (place / f"log.{at}").mkdir()
            (place / f"log.{at}" / "config").write_text("s0\n", encoding="utf-8")  # svlogd: never rotate
            logger = subprocess.Popen(command_of(at), stdin=subprocess.PIPE, cwd=place)
            loggers.append(logger)
            writers.append(subprocess.Popen(load.command, stdout=logger.stdin))
            assert logger.stdin is not None
            logger.stdin.close()
        time.sleep(0.5)
        before = sum(cpu_s(logger.pid) for logger in loggers)
        seconds = _run(load, place)
        return Figures(sum(cpu_s(logger.pid) for logger in loggers) - before, seconds)
    finally:
        _end(writers)
        for logger in loggers:
            logger.wait(_PATIENCE_S)
        for at in range(load.workers):
            (place / f"log.{at}" / "config").unlink(missing_ok=True)


def supervisord(load: Load, place: Path) -> Figures:
    """All of them under one supervisord."""
    program = shutil.which("supervisord")
    if program is None:
        raise FileNotFoundError(2, "not found", "supervisord")
    (place / "supervisord.conf").write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={place}/gate.pid\n"
        f"[program:w]\ncommand={' '.join(load.command)}\nprocess_name=%(process_num)d\nnumprocs={load.workers}\n"
        f"stdout_logfile={place}/out.%(process_num)d\nstdout_logfile_maxbytes=0\n",
        encoding="utf-8",
    )
    command = [program, "-c", str(place / "supervisord.conf"), "-u", "root"]
    command = command if os.geteuid() == 0 else command[:3]
    with (place / "gate.talk").open("wb") as talk:
        process = subprocess.Popen(command, stdout=talk, stderr=talk)
    try:
        time.sleep(2.0)
        before = cpu_s(process.pid)
        seconds = _run(load, place)
        return Figures(cpu_s(process.pid) - before, seconds)
    finally:
        _end([process])
        for name in ("supervisord.conf", "gate.talk", "gate.pid"):
            (place / name).unlink(missing_ok=True)


def procman(output: str) -> Measure:
    """A site of them, with this output."""

    def measure(load: Load, place: Path) -> Figures:
        with (place / "out.all").open("wb") as out:
            site = running(place, load.command, load.workers, output, out.fileno())
            with site as core:
                pump = pump_of(core, load.workers)
                time.sleep(0.5)  # for the last worker to be at its gate
                before = cpu_s(pump)
                seconds = _run(load, place)
                return Figures(cpu_s(pump) - before, seconds)

    return measure


@contextmanager
def running(place: Path, command: Sequence[str], workers: int, output: str, stdout: int) -> Iterator[int]:
    """A running procman: its pid."""
    words = "[" + ", ".join(f"'''{word}'''" for word in command) + "]"
    file = place / "site.toml"
    file.write_text(_SITE.format(command=words, count=workers, output=output), encoding="utf-8")
    up = [sys.executable, "-m", "procman", "up", str(file)]
    process = subprocess.Popen(up, stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        _end([process])
        file.unlink()


def pump_of(core: int, workers: int = 0) -> int:
    """The pid of a procman's pump, once there are so many workers beside it."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        children = [pid for pid, (_, parent) in processes.all_of_them().items() if parent == core]
        pumps = [pid for pid in children if is_pump(pid)]
        if pumps and len(children) > workers:
            return pumps[0]
        time.sleep(0.01)
    raise MissingError("the pump")


def is_pump(pid: int) -> bool:
    """Whether this process is a pump."""
    try:
        return b"output.pump" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return False


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process, ended or not, from the scheduler's own account (ns)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="utf-8").split()[0]) for task in tasks) / 1e9


def _run(load: Load, place: Path) -> float:
    """Open the gate; seconds until the files grow no more."""
    with load.gate.open("wb"):
        begun = time.time()
        files = [path for path in place.rglob("*") if path.is_file()]
        size, settled, deadline = -1, begun, begun + _PATIENCE_S
        while size < load.bytes or time.time() - settled < _SETTLED_S:
            time.sleep(0.01)
            files = [path for path in place.rglob("*") if path.is_file()]
            now = sum(path.stat().st_size for path in files)
            if now != size:
                size, settled = now, time.time()
            if time.time() > deadline:
                raise MissingError("all that was written")
        return max(path.stat().st_mtime for path in files) - begun


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in running:
        process.terminate()
    for process in running:
        process.wait(_PATIENCE_S)
