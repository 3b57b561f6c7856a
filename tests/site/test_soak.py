"""Tens of megabytes through one site whose pump is ended again and again, while its workers end and start."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from procman.output.pipes import CHUNK
from tests.benchmark.loggers import is_pump
from tests.benchmark.soak import Soak
from tests.site.running import Site, up

WORKERS, LIFE = 3, 10_000
ENDS = (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGTERM)
LIVES = 8
"""So many starts from one end of the pump to the next: a megabyte each has been written then."""


def pump_of(site: Site) -> int:
    """Wait for the pump, and give its pid."""
    return next(filter(is_pump, site.until_descendants(lambda found: any(map(is_pump, found)))))


def test_nothing_is_lost_or_repeated_but_where_a_pump_was_killed(tmp_path: Path) -> None:
    soak = Soak(tmp_path, WORKERS, LIFE, 1 << 62)
    with up(tmp_path, soak.text) as site:
        for count, number in enumerate(ENDS, 1):
            site.until("worker.running", count=len(site.told("worker.running")) + LIVES)
            os.kill(pump_of(site), number)
            assert site.until("helper.ended", count=count)["helper"] == "pump"
        site.until("worker.running", count=len(site.told("worker.running")) + LIVES)
        assert site.stop() == 0
    for tally, said in soak.tallies():
        assert tally.unexcused == 0
        assert (tally.next, tally.lines + tally.missing) == (said, said)
        assert tally.marks in (1, 2)  # two if one life had just ended, and the next begun
        assert tally.repeated == 0
        assert tally.most <= CHUNK // 100 + 2
