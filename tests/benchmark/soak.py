"""Gigabytes through one site while its pump is replaced and killed and its workers end and start: is every line there?

python -m tests.benchmark.soak [GIGABYTES [DIRECTORY]]

Every byte of what has been written is compared with the lines that the workers had to write. Where a pump was killed
there is a mark, and nowhere else may anything be missing. 1 if it is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.benchmark.loggers import pump_of
from tests.benchmark.subjects import MissingError, compile_c

WORKERS = 4
LIVES = 25
"""Of each worker, one after the other."""
ROUNDS = 20
"""The pump is ended so often."""
ENDS = (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM, signal.SIGKILL)
"""How, in turns."""
_PATIENCE_S = 7200.0
_SITE = """\
schema = 1
[site]
name = "soak"
control = false
[group.worker]
command = ["{program}", "{life}", "{lines}", "{folder}/at.${{PROCMAN_TASK_ID}}"]
workers = {workers}
restart = {{ max_restarts = 1000000, backoff = false }}
output = {{ to = {{ file = "out.${{PROCMAN_TASK_ID}}" }}, on_full = "block" }}
"""


class Tally(NamedTuple):
    """The account of a worker's file, in lines."""

    lines: int
    """Whole ones."""
    next: int
    """The number that would come next."""
    marks: int
    missing: int
    most: int
    """That are missing at one place."""
    repeated: int
    pieces: int
    """Of lines."""
    unexcused: int
    """Places without a mark where anything is wrong."""


class Soak:
    """The programs, and the folder with the site."""

    def __init__(self, folder: Path, workers: int, life: int, lines: int) -> None:
        """Each worker writes so many lines in all, `life` of them before it fails. Raises MissingError."""
        self._folder, self._workers = folder, workers
        self._tally = compile_c("tally", folder)
        program = compile_c("numbered", folder)
        for task in range(workers):
            (folder / f"at.{task}").write_text("0\n", encoding="utf-8")
        self.text = _SITE.format(program=program, life=life, lines=lines, folder=folder, workers=workers)
        """The site's."""

    def tallies(self) -> Iterator[tuple[Tally, int]]:
        """Of each worker its file's account, and how many lines it says that it has written."""
        for task in range(self._workers):
            command = [str(self._tally), str(self._folder / f"out.{task}")]
            told = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            yield Tally(**json.loads(told)), self.said(task)

    def said(self, task: int) -> int:
        """How many lines the lives of this worker that are over have written."""
        return int((self._folder / f"at.{task}").read_text(encoding="utf-8") or 0)

    @property
    def written(self) -> int:
        """How many bytes there are by now."""
        return sum(path.stat().st_size for path in self._folder.glob("out.*"))


def main() -> int:
    """Run and compare; 1 if anything is missing, repeated or out of order without a mark."""
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as name:
        try:
            return soak(Path(name), int(gigabytes * 10_000_000) // WORKERS)
        except MissingError as missing:
            print(f"soak: missing: {missing}", file=sys.stderr)  # noqa: T201
            return 1


def soak(folder: Path, lines: int) -> int:
    """So many lines of each worker."""
    one = Soak(folder, WORKERS, lines // LIVES + 1, lines)
    (folder / "site.toml").write_text(one.text, encoding="utf-8")
    command = [sys.executable, "-m", "procman", "up", str(folder / "site.toml")]
    begun, size = time.monotonic(), WORKERS * lines * 100
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
    try:
        for number in range(ROUNDS):
            enough = size * (number + 1) // (ROUNDS + 2)
            _until(process, lambda enough=enough: one.written >= enough)  # type: ignore[misc]
            _end_pump(process.pid, ENDS[number % len(ENDS)])
        _until(process, lambda: all(one.said(task) == lines for task in range(WORKERS)))
    finally:
        process.terminate()
        process.wait()
    seconds = time.monotonic() - begun
    print(f"{size / 1e9:g} GB, {size / seconds / 1e6:.0f} MB/s, the pumps' absences included")  # noqa: T201
    kills = sum(ENDS[number % len(ENDS)] == signal.SIGKILL for number in range(ROUNDS))
    starts = (folder / "log").read_bytes().count(b'"event":"worker.starting"')
    print(f"{ROUNDS} ends of the pump, {kills} by KILL; {starts} starts of {WORKERS} workers")  # noqa: T201
    right = True
    for task, (tally, said) in enumerate(one.tallies()):
        print(f"worker {task} has written {said:,} lines: {tally}")  # noqa: T201
        right = right and said == lines == tally.next and not tally.unexcused and tally.marks <= 2 * kills
    return 0 if right else 1


def _until(process: subprocess.Popen[bytes], done: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not done():
        time.sleep(0.05)
        if process.poll() is not None or time.monotonic() - begun > _PATIENCE_S:
            raise MissingError("what was to be written")


def _end_pump(core: int, number: signal.Signals) -> None:
    """Signal the pump that runs, and wait until another one does."""
    former = pump = pump_of(core)
    os.kill(former, number)
    while pump == former:
        time.sleep(0.01)
        with suppress(MissingError):  # there is none just now
            pump = pump_of(core)


if __name__ == "__main__":
    raise SystemExit(main())
