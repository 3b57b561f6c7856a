"""Sixteen workers of one program, forked by a zygote and executed: memory, latency and time for all, in one run.

python -m tests.benchmark.zygote
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import monotonic

from tests.site.running import Site, up
from tests.site.sites import site_of

WORKERS = 16
ROUNDS = 20
PROGRAM = """
import os, signal, time

import fastapi, numpy, uvicorn

def run():
    os.write(1, f"up {os.getpid()} {time.monotonic()}\\n".encode())
    while True:
        signal.pause()
"""


def main() -> int:
    """Measure both ways, and print them side by side."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
        path = f"path = [{json.dumps(name)}]"
        source = f"import sys; sys.path.insert(0, {name!r}); import program; program.run()"
        forked = measure(folder, f'callable = "program:run"\n{path}')
        executed = measure(folder, f"command = {json.dumps([sys.executable, '-c', source])}")
    print(f"{f'{WORKERS} workers with fastapi, numpy, uvicorn':46}{'zygote':>12}{'exec':>12}{'ratio':>8}")  # noqa: T201
    for (what, unit), ours in forked.items():
        theirs = executed[what, unit]
        print(f"{what:46}{ours:>9.1f} {unit}{theirs:>9.1f} {unit}{theirs / ours:>8.1f}")  # noqa: T201
    return 0


def measure(folder: Path, program: str) -> dict[tuple[str, str], float]:
    """The figures of one way, by name and unit."""
    text = site_of(f"[group.app]\n{program}\nworkers = {WORKERS}\nrestart = {{ backoff = false }}\n")
    begun = monotonic()
    with up(folder, text) as site:
        last = max(float(line.split()[2]) for line in site.until_said("up", WORKERS))
        site.until("worker.running", count=WORKERS)
        pids = [*site.pids().values()]
        sizes = [_sizes(pid) for pid in pids]
        latencies = [_latency(site, count) for count in range(1, ROUNDS + 1)]
    return {
        ("memory of a worker (PSS)", "MB"): median(size["Pss"] for size in sizes),
        ("of which nobody else has it", "MB"): median(size["Private_Dirty"] + size["Private_Clean"] for size in sizes),
        ("all workers up, from the start of procman", "ms"): (last - begun) * 1000,
        ("death to the replacement's first line", "ms"): median(latencies),
    }


def _latency(site: Site, count: int) -> float:
    """Kill one: milliseconds until the program of its replacement runs."""
    pid = [*site.pids().values()][count % WORKERS]
    killed = monotonic()
    os.kill(pid, signal.SIGKILL)
    said = site.until_said("up", WORKERS + count)[-1].split()
    site.until("worker.running", count=WORKERS + count)
    return (float(said[2]) - killed) * 1000


def _sizes(pid: int) -> dict[str, float]:
    """Megabytes by the names of smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    return {line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines}


if __name__ == "__main__":
    sys.exit(main())
