"""Gigabytes through one site while its pump is replaced and its workers end and start again: is every line there?

python -m tests.benchmark.soak [GIGABYTES [DIRECTORY]]

Each worker's file is compared, byte for byte, with the lines that it had to write. 1 if one differs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.benchmark.loggers import pump_of
from tests.benchmark.subjects import MissingError, compile_c

WORKERS = 4
LIVES = 10
"""Of each worker, one after the other."""
REPLACE_S = 2.0
"""From one replacement of the pump to the next."""
_PATIENCE_S = 3600.0
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


def main() -> int:
    """Run and compare; 1 if anything is missing, repeated or out of order."""
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as name:
        try:
            return soak(Path(name), int(gigabytes * 10_000_000) // WORKERS)
        except MissingError as missing:
            print(f"soak: missing: {missing}", file=sys.stderr)  # noqa: T201
            return 1


def soak(folder: Path, lines: int) -> int:
    """So many lines of each worker."""
    program = compile_c("numbered", folder)
    for task in range(WORKERS):
        (folder / f"at.{task}").write_text("0\n", encoding="utf-8")
    text = _SITE.format(program=program, life=lines // LIVES + 1, lines=lines, folder=folder, workers=WORKERS)
    (folder / "site.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "procman", "up", str(folder / "site.toml")]
    begun, pumps = time.monotonic(), 0
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
    try:
        while _written(folder) < WORKERS * lines * 100:
            time.sleep(REPLACE_S)
            if process.poll() is not None or time.monotonic() - begun > _PATIENCE_S:
                raise MissingError(f"{WORKERS * lines * 100 - _written(folder):,} bytes")
            with suppress(MissingError, OSError):  # there is none just now
                os.kill(pump_of(process.pid), signal.SIGTERM)
                pumps += 1
    finally:
        process.terminate()
        process.wait()
    seconds = time.monotonic() - begun
    whole = [_is_whole(program, folder / f"out.{task}", lines) for task in range(WORKERS)]
    starts = (folder / "log").read_bytes().count(b'"event":"worker.starting"')
    size = WORKERS * lines * 100
    print(f"{WORKERS * lines:,} lines, {size / 1e9:g} GB, {size / seconds / 1e6:.0f} MB/s")  # noqa: T201
    print(f"{pumps} replacements of the pump, {starts} starts of {WORKERS} workers")  # noqa: T201
    print(f"whole and in order: {whole.count(True)} of {WORKERS} files")  # noqa: T201
    return 0 if all(whole) else 1


def _written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("out.*"))


def _is_whole(program: Path, file: Path, lines: int) -> bool:
    """Whether the file is what the worker had to write."""
    with subprocess.Popen([str(program), str(lines), str(lines)], stdout=subprocess.PIPE) as expected:
        same = subprocess.run(["cmp", "-", str(file)], stdin=expected.stdout, check=False).returncode == 0
        if not same:
            expected.kill()
    return same


if __name__ == "__main__":
    raise SystemExit(main())
