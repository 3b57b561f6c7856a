"""A wall clock that jumps: only the stamps of the log follow it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from time import monotonic

from tests.site.running import DEADLINE_S, up
from tests.site.sites import DEAF, FOREVER, group, site_of

HOUR = 3600


def test_durations_are_the_same_whatever_the_wall_clock_does(tmp_path: Path) -> None:
    library, offset = tmp_path / "clock.so", tmp_path / "offset"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True, timeout=DEADLINE_S)

    def jump(seconds: int) -> None:
        """At one moment, for a reader."""
        offset.with_suffix(".new").write_text(str(seconds), encoding="ascii")
        offset.with_suffix(".new").rename(offset)

    jump(0)
    slow = 'restart = { backoff = { initial = "500ms" }, reset_after = "10m" }'
    text = site_of(group("api", FOREVER, slow), group("deaf", DEAF, 'stop = { grace = "1s" }'))
    with up(tmp_path, text, env={"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)}) as site:
        site.until_said("deaf")
        os.kill(site.until("worker.running", "api:0")["pid"], signal.SIGKILL)
        again = site.until("worker.running", "api:0", count=2)
        jump(HOUR)  # it has not run for an hour: this is no stable run
        os.kill(again["pid"], signal.SIGKILL)
        crash = site.until("worker.backoff", "api:0", count=2)
        assert crash["delay_s"] >= 0.5
        assert 0 <= crash["uptime_s"] < 600
        jump(-HOUR)  # nor does the next start take another
        site.until("worker.running", "api:0", count=3)
        jump(HOUR)
        asked = monotonic()
        site.signal(signal.SIGTERM)
        site.until("worker.stopping", "deaf:0")
        jump(2 * HOUR)  # the grace is not over
        assert site.wait() == 0
        assert site.told("worker.killing", "deaf:0")[0].seen - asked >= 1.0
        stamps = [event.at for event in site.events]
        assert max(stamps) - min(stamps) > 2 * HOUR
