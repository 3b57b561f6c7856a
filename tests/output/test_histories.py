"""Random histories of a pump: writes cut anywhere, replacements, kills, rotations. Each line comes out exactly once."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from procman.output.rotate import put_aside
from tests.output.pumping import Core, output, sink


@pytest.mark.parametrize("seed", range(6))
def test_each_line_comes_out_exactly_once_and_in_order(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    with Core() as core:
        rotate = {"size": 4096, "keep": 10_000, "age": None, "compress": False}
        files = [tmp_path / f"{task}.log" for task in range(3)]
        workers = [core.open(output(sink("file", str(f), rotate=rotate)), "web", t) for t, f in enumerate(files)]
        texts = [
            b"".join(b"%d %d %b\n" % (task, line, b"x" * random.randrange(200)) for line in range(400))
            for task in range(3)
        ]
        killed, at = False, [0, 0, 0]
        while any(at[task] < len(texts[task]) for task in range(3)):
            task = random.randrange(3)
            cut = at[task] + random.choice((1, 10, 1000, 5000))
            workers[task].write(texts[task][at[task] : cut])
            at[task] = cut
            if random.random() < 0.02:
                core.replace()
            elif random.random() < 0.01 and not killed and seed % 2:
                core.settle_at_newlines(workers, texts, at)
                core.kill()
                killed = True
        core.settle()
        for task, file in enumerate(files):
            got = b"".join(path.read_bytes() for path in [*put_aside(str(file)), file])
            kept = b"".join(line for line in got.splitlines(keepends=True) if not line.startswith("…".encode()))
            assert kept == texts[task]
