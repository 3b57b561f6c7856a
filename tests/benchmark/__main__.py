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
LIVES = {1: 5, 4: 1, 100: 5, 1000: 5}
"""So often each side is booted and stopped, in turns; what is measured while they run is measured in the last one."""
ROUNDS = {1: 200, 4: 0, 100: 200, 1000: 100}
MASS_ROUNDS = 5
IDLE_S = 3.0

Pair = tuple[float, float]
"""Ours, and that of the C loop."""


def main() -> int:
    """Measure and print; 1 if something is missing."""
    print(f"{'what':46}{'procman':>12}{'C':>12}{'ratio':>8}  target")  # noqa: T201
    try:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            worker, reference = (compile_c(program, directory) for program in ("worker", "reference"))
            one = 0.0
            for count in COUNTS:
                boots, stops = lives(worker, reference, count, directory)
                one = tell(count, boots, stops, one)
    except MissingError as missing:
        print(f"benchmark: missing: {missing}", file=sys.stderr)  # noqa: T201
        return 1
    print()  # noqa: T201
    commands.main()
    print()  # noqa: T201
    return options.main()


def lives(worker: Path, reference: Path, count: int, directory: Path) -> tuple[list[tuple[Pair, Pair]], list[Pair]]:
    """Boot, and stop, both sides in turns. For each life: how long both booted, whole and from first to last; stops."""
    boots, stops = [], []
    for life in range(1, LIVES[count] + 1):
        ours, theirs = procman(worker, count, directory), c_loop(worker, reference, count, directory)
        try:
            (whole, spread), (their_whole, their_spread) = ours.boot_s(), theirs.boot_s()
            boots.append(((whole, their_whole), (spread, their_spread)))
            if life == LIVES[count]:
                measure(ours, theirs, count)
            for subject in (ours, theirs):
                subject.await_rest()
            stops.append((ours.stop_s(), theirs.stop_s()))
        finally:
            ours.close()
            theirs.close()
    return boots, stops


def tell(count: int, boots: list[tuple[Pair, Pair]], stops: list[Pair], one: float) -> float:
    """Print what boots and stops took; gives back how long one worker takes to come up, loader included."""
    whole, theirs = medians([boot for boot, _ in boots])
    if count == 1:
        row("boot of 1 (start-up and loader)", whole, theirs)
        row("stop of 1", *medians(stops))
        return whole
    if count == 1000:
        row("boot of 1000, beyond the boot of 1", whole - one, theirs, "<= 4")
        row("boot of 1000, first worker to last", *medians([spread for _, spread in boots]))
    if count >= 100:
        row(f"stop of {count}", *medians(stops), "<= 3" if count == 1000 else "")
    return one


def measure(ours: Subject, theirs: Subject, count: int) -> None:
    """All figures of a site that runs."""
    if count in (4, 1000):
        idle(ours, count)
    if ROUNDS[count]:
        compare(ours, theirs, f"death to replacement, {count} workers", count)
    if count >= 100:
        rounds = [(ours.restart_all_s(), theirs.restart_all_s()) for _ in range(MASS_ROUNDS)]
        row(f"{count} killed at once, all back", *medians(rounds), "<= 3" if count == 1000 else "")


def compare(ours: Subject, theirs: Subject, what: str, count: int) -> None:
    """Single deaths, in turn here and there."""
    before = ours.cpu_s()
    rounds = [(ours.restart_s(at % count), theirs.restart_s(at % count)) for at in range(ROUNDS[count])]
    row(what, *medians(rounds), "<= 2.2")
    spent = (ours.cpu_s() - before) / len(rounds)
    plain(f"  CPU of the core for each, {count} workers", f"{spent * 1e6:.0f} us", "")


def idle(ours: Subject, count: int) -> None:
    """Memory and wakeups of a procman that has nothing to do."""
    time.sleep(0.5)
    limit = 14 if count == 4 else 16
    rss = ours.status("VmRSS") * 1024 / 1e6  # the kernel's kB are KiB
    plain(
        f"RSS idle, {count} workers, Python {'.'.join(map(str, sys.version_info[:2]))}",
        f"{rss:.1f} MB",
        f"<= {limit} MB",
    )
    before = ours.status("voluntary_ctxt_switches")
    time.sleep(IDLE_S)
    wakeups = ours.status("voluntary_ctxt_switches") - before
    plain(f"wakeups in {IDLE_S:g} s idle, {count} workers", str(wakeups), "0")


def medians(rounds: list[Pair]) -> Pair:
    """Of each side."""
    return median(ours for ours, _ in rounds), median(theirs for _, theirs in rounds)


def row(what: str, ours: float, theirs: float, target: str = "") -> None:
    """Two times and their ratio."""
    unit: Callable[[float], str] = lambda value: f"{value * 1e3:.2f} ms"  # noqa: E731
    print(f"{what:46}{unit(ours):>12}{unit(theirs):>12}{ours / theirs:8.2f}  {target}", flush=True)  # noqa: T201


def plain(what: str, figure: str, target: str) -> None:
    """One figure."""
    print(f"{what:46}{figure:>12}{'':20}  {target}", flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
