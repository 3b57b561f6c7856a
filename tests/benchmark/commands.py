"""How long a command takes that talks to a running site, as a whole process, beside an interpreter that does nothing.

python -m tests.benchmark.commands
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.site.running import up
from tests.site.sites import FOREVER, group, site_of

ROUNDS = 20
COMMANDS = {
    "status": ("status",),
    "status --json": ("status", "--json"),
    "status --ready": ("status", "--ready"),
    "signal CONT": ("signal", "CONT", "a"),
    "scale a=4": ("scale", "a=4"),
    "restart --no-wait": ("restart", "a:0", "--no-wait"),
}


def main() -> int:
    """Measure in turns, and print each in milliseconds and as a ratio."""
    bare = [sys.executable, "-c", "pass"]
    times: dict[str, list[float]] = {name: [] for name in ("python -c pass", *COMMANDS)}
    text = site_of(group("a", FOREVER, "workers = 4"))
    procman = str(Path(sys.executable).with_name("procman"))
    with tempfile.TemporaryDirectory() as folder, up(Path(folder), text, env={"PROCMAN_RUNTIME_DIR": folder}) as site:
        site.until("worker.running", count=4)
        for _ in range(ROUNDS):
            times["python -c pass"].append(_ms(bare))
            for name, words in COMMANDS.items():
                times[name].append(_ms([procman, "-s", f"{folder}/test.sock", *words]))
        site.stop()
    reference = median(times["python -c pass"])
    print(f"{'a command, as a whole process':46}{'median':>12}{'least':>12}{'ratio':>8}  target")  # noqa: T201
    for name, found in times.items():
        target = "<= 60 ms" if name in COMMANDS else ""
        middle = median(found)
        print(f"{name:46}{middle:>9.1f} ms{min(found):>9.1f} ms{middle / reference:>8.2f}  {target}")  # noqa: T201
    return 0


def _ms(command: list[str]) -> float:
    before = perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (perf_counter() - before) * 1000


if __name__ == "__main__":
    sys.exit(main())
