"""Prints the table of figures; DESIGN's targets stand beside them. Ratios mean something, absolute times do not."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.benchmark import commands, options
from tests.benchmark.subjects import MissingError, Subject, c_loop, compile_c, procman

COUNTS = (1, 4, 100, 1000)
ROUNDS = {1: 200, 4: 0, 100: 200, 1000: 100}
MASS_ROUNDS = 5
IDLE_S = 3.0


def main() -> int:
    """Measure and print; 1 if something is missing."""
    print(f"{'what':46}{'procman':>12}{'C':>12}{'ratio':>8}  target")  # noqa: T201
    try:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            worker, reference = (compile_c(program, directory) for program in ("worker", "reference"))
            one = 0.0
            for count in COUNTS:
                pair = (procman(worker, count, directory), c_loop(worker, reference, count, directory))
                try:
                    one = measure(*pair, count, one)
                finally:
                    for subject in pair:
                        subject.close()
    except MissingError as missing:
        print(f"benchmark: missing: {missing}", file=sys.stderr)  # noqa: T201
        return 1
    print()  # noqa: T201
    commands.main()
    print()  # noqa: T201
    return options.main()


def measure(ours: Subject, theirs: Subject, count: int, one: float) -> float:
    """All figures for one count of workers; gives back how long one worker takes to come up, loader included."""
    whole, spread = ours.boot_s()
    if count == 1:
        one = whole
        row("boot of 1 (start-up and loader)", whole, theirs.boot_s()[0])
    if count == 1000:
        row("boot of 1000, beyond the boot of 1", whole - one, theirs.boot_s()[0], "<= 4")
        row("boot of 1000, first worker to last", spread, theirs.boot_s()[1])
    if count in (4, 1000):
        idle(ours, count)
    if ROUNDS[count]:
        compare(ours, theirs, f"death to replacement, {count} workers", count)
    if count >= 100:
        rounds = [(ours.restart_all_s(), theirs.restart_all_s()) for _ in range(MASS_ROUNDS)]
        row(f"{count} killed at once, all back", *medians(rounds), "<= 3" if count == 1000 else "")
        row(f"stop of {count}", ours.stop_s(), theirs.stop_s(), "<= 3" if count == 1000 else "")
    return one


def compare(ours: Subject, theirs: Subject, what: str, count: int) -> None:
    """Single deaths, in turn here and there."""
    before = cpu_s(ours)
    rounds = [(ours.restart_s(at % count), theirs.restart_s(at % count)) for at in range(ROUNDS[count])]
    row(what, *medians(rounds), "<= 2.2")
    spent = (cpu_s(ours) - before) / len(rounds)
    plain(f"  CPU of the core for each, {count} workers", f"{spent * 1e6:.0f} us", "")


def idle(ours: Subject, count: int) -> None:
    """Memory and wakeups of a procman that has nothing to do."""
    time.sleep(0.5)
    limit = 14 if count == 4 else 16
    plain(f"RSS idle, {count} workers", f"{ours.status('VmRSS') / 1024:.1f} MiB", f"<= {limit} MB")
    before = ours.status("voluntary_ctxt_switches")
    time.sleep(IDLE_S)
    wakeups = ours.status("voluntary_ctxt_switches") - before
    plain(f"wakeups in {IDLE_S:g} s idle, {count} workers", str(wakeups), "0")


def medians(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    """Of each side."""
    return median(ours for ours, _ in rounds), median(theirs for _, theirs in rounds)


def cpu_s(subject: Subject) -> float:
    """CPU time of the supervisor alone, from the scheduler's own account (ns)."""
    return int(Path(f"/proc/{subject.pid}/schedstat").read_text(encoding="utf-8").split()[0]) / 1e9


def row(what: str, ours: float, theirs: float, target: str = "") -> None:
    """Two times and their ratio."""
    unit: Callable[[float], str] = lambda value: f"{value * 1e3:.2f} ms"  # noqa: E731
    print(f"{what:46}{unit(ours):>12}{unit(theirs):>12}{ours / theirs:8.2f}  {target}", flush=True)  # noqa: T201


def plain(what: str, figure: str, target: str) -> None:
    """One figure."""
    print(f"{what:46}{figure:>12}{'':20}  {target}", flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
