"""What it costs to bring workers' lines into files: procman's pump beside what others use, in one run.

python -m tests.benchmark.output [MEGABYTES]

Lines have 100 bytes and come in pieces of 64 KiB. The CPU is that of whoever reads the pipes, user and system, beyond
its start. Every line is counted afterwards. `supervisord` is looked for on the PATH (`pip install supervisor`).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from statistics import median

from tests.benchmark.loggers import Load, Measure, pump_of, running, subjects
from tests.benchmark.subjects import MissingError, compile_c
from tests.site import processes

MEMORY = Path("/dev/shm")
"""Files are written there if it is: how fast a disk is, is not the question."""
WORKERS = (1, 10)
MEGABYTES = 500
ROUNDS = 5
LATENCIES = 100
IDLE_S = 3.0
_SAY = """
import os, time
open({gate!r}).close()
for _ in range({count}):
    time.sleep(0.0213)
    os.write(1, b'%d\\n' % time.monotonic_ns())
time.sleep(3600)
"""


def main() -> int:
    """Measure and print; 1 if something that it needs is missing."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES
    print(f"{f'{megabytes} MB in lines of 100 bytes':36}{'CPU-s/GB':>10}{'of cat':>8}{'MB/s':>8}  target")  # noqa: T201
    try:
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
            writer = compile_c("writer", Path(name))
            for workers in WORKERS:
                compare(Path(name), writer, workers, megabytes * 10_000 // workers)
    except MissingError as missing:
        print(f"benchmark: missing: {missing}", file=sys.stderr)  # noqa: T201
        return 1
    latency_and_idle()
    return 0


def compare(folder: Path, writer: Path, workers: int, lines: int) -> None:
    """All subjects with so many workers, in turns; medians."""
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, (measure, _) in subjects().items():
            with suppress(FileNotFoundError):
                found[name].append(once(measure, folder / "place", writer, workers, lines))
    for name, (_, target) in subjects().items():
        what = f"{name}, {workers} worker{'s' * (workers > 1)}"
        if name not in found:
            print(f"{what:36}{'not installed':>26}", flush=True)  # noqa: T201
            continue
        cost, rate = (median(column) for column in zip(*found[name], strict=True))
        ratio = f"{cost / median(cat for cat, _ in found['cat']):8.1f}" if cost else f"{'':8}"
        print(f"{what:36}{cost:10.2f}{ratio}{rate:8.0f}  {target}", flush=True)  # noqa: T201


def once(measure: Measure, place: Path, writer: Path, workers: int, lines: int) -> tuple[float, float]:
    """One run of one subject, which must bring every line: CPU seconds for a gigabyte, and megabytes a second.

    Raises FileNotFoundError if it is not installed.
    """
    place.mkdir()
    os.mkfifo(place / "gate")
    try:
        load = Load(writer, place / "gate", workers, lines)
        found = measure(load, place)
        found_lines = sum(count_lines(path) for path in place.rglob("*") if path.is_file())
        if found_lines != workers * lines:
            print(f"{found_lines - workers * lines:+} lines:")  # noqa: T201
        return found.cpu_s / load.bytes * 1e9, load.bytes / found.seconds / 1e6
    finally:
        shutil.rmtree(place)


def latency_and_idle() -> None:
    """How long a single line takes to a reader of procman's stdout, and what a pump does that has nothing to do."""
    with tempfile.TemporaryDirectory() as name:
        read, write = os.pipe()
        gate = Path(name) / "gate"
        os.mkfifo(gate)
        command = [sys.executable, "-I", "-S", "-c", _SAY.format(count=LATENCIES, gate=str(gate))]
        late = []
        with os.fdopen(read, "rb") as lines, running(Path(name), command, 1, '"prefix"', write) as core:
            os.close(write)
            pump = pump_of(core, 1)
            time.sleep(0.5)
            gate.open("wb").close()
            for _ in range(LATENCIES):
                line = lines.readline()
                late.append((time.monotonic_ns() - int(line.split()[-1])) / 1e6)
            time.sleep(0.5)
            before = _wakeups(pump)
            time.sleep(IDLE_S)
            wakeups = _wakeups(pump) - before
    late.sort()
    print(f"{'a single line, prefix: median':36}{median(late):>15.2f} ms{'':8}  <= 10")  # noqa: T201
    print(f"{'a single line, prefix: the worst':36}{late[-1]:>15.2f} ms{'':8}  <= 10")  # noqa: T201
    print(f"{f'wakeups of the pump in {IDLE_S:g} s idle':36}{wakeups:>18}{'':8}  0")  # noqa: T201


def count_lines(path: Path) -> int:
    """How many newlines there are."""
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))


def _wakeups(pid: int) -> int:
    threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(processes.status(thread, "voluntary_ctxt_switches")) for thread in threads)


if __name__ == "__main__":
    raise SystemExit(main())
