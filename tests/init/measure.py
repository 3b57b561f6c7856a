"""`procman init` beside tini and dumb-init, as ratios: `python -m tests.init.measure [COMMAND OF PROCMAN INIT…]`.

Start: from fork to the end of `true` under it. Deaf: how long, since then, a signal is lost. Memory: resident, and
private, while its command sleeps. Wakeups: context switches in two seconds of doing nothing. Medians of rounds that
take turns, so that a busy machine is busy for all of them. The least that a Python can do is measured beside it: to
start, and do nothing; to start, and block all signals.
"""

from __future__ import annotations

import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep

from tests.init.running import INIT, catches, field, listens

ROUNDS = 25
PYTHON = [sys.executable, "-I", "-S", "-c"]
BLOCKS = "import _signal as s; s.pthread_sigmask(s.SIG_BLOCK, s.valid_signals()); import time; time.sleep(0.3)"


def start_ms(init: list[str]) -> float:
    """From fork to end."""
    begin = perf_counter()
    subprocess.run([*init, "true"], check=True, stderr=subprocess.DEVNULL)
    return (perf_counter() - begin) * 1000


def deaf_ms(init: list[str]) -> float:
    """How long a signal is lost: until the init listens for good, but for the time in which a shell catches them."""
    deaf_s, is_deaf, seen = 0.0, True, perf_counter()
    with subprocess.Popen([*init, "sleep", "0.5"], stderr=subprocess.DEVNULL) as process:
        listening = False
        while not listening:
            listening, now = listens(process.pid), perf_counter()
            deaf_s += now - seen if is_deaf else 0.0
            is_deaf, seen = not catches(process.pid), now
        process.send_signal(signal.SIGTERM)
    return deaf_s * 1000


def memory_kib(init: list[str]) -> float:
    """Resident."""
    return _while_idle(init, lambda pid: int(field(pid, "VmRSS").split()[0]))


def private_kib(init: list[str]) -> float:
    """What it does not share."""

    def private(pid: int) -> int:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))

    return _while_idle(init, private)


def wakeups(init: list[str]) -> float:
    """In two seconds."""

    def count(pid: int) -> int:
        before = int(field(pid, "voluntary_ctxt_switches"))
        sleep(2)
        return int(field(pid, "voluntary_ctxt_switches")) - before

    return _while_idle(init, count)


def _while_idle(init: list[str], measure: Callable[[int], int]) -> float:
    with subprocess.Popen(
        [*init, "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        sleep(0.2)
        measured = measure(process.pid)
        process.send_signal(signal.SIGTERM)
    return float(measured)


def main() -> None:
    """Print a table: figures, and in brackets how many times tini's they are."""
    inits = {name: [path, "--"] for name in ("tini", "dumb-init") if (path := shutil.which(name))}
    inits["procman"] = sys.argv[1:] or list(INIT)
    least = {
        start_ms: [*PYTHON, "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"],
        deaf_ms: [*PYTHON, BLOCKS],
    }
    for measure, rounds in ((start_ms, ROUNDS), (deaf_ms, ROUNDS), (memory_kib, 3), (private_kib, 3), (wakeups, 1)):
        chosen = inits | ({"a Python": least[measure]} if measure in least else {})
        found: dict[str, list[float]] = {name: [] for name in chosen}
        for _ in range(rounds):
            for name, init in chosen.items():
                found[name].append(measure(init))
        middle = {name: statistics.median(figures) for name, figures in found.items()}
        base = middle.get("tini") or 1
        row = "   ".join(f"{name} {figure:.1f} ({figure / base:.1f}x)" for name, figure in middle.items())
        sys.stdout.write(f"{measure.__name__}: {row}\n")


if __name__ == "__main__":
    main()
