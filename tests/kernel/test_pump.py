"""The core's side of a real pump: the end of the site while it still has something to say."""

from __future__ import annotations

import os
import select
from pathlib import Path

from procman.kernel.captured import Run
from procman.kernel.poller import Poller
from procman.kernel.pump import Pump
from procman.kernel.spawn import Spawner
from procman.plan import Output, Sink
from procman.policy.events import PumpRules, WorkerId

DEADLINE_S = 60.0


def test_what_a_pump_has_said_and_nobody_has_read_is_no_error_at_the_end(tmp_path: Path) -> None:
    told: list[object] = []
    poller = Poller()
    pump = Pump(poller, Spawner(), told.append, told.append)
    pump.follow(PumpRules("shop", 65536))
    file = Sink("file", str(tmp_path / "web.log"))
    run = Run(1, WorkerId("web", 0, 1), Output(file, file))
    pump.expect(run)
    run.pid = os.getpid()
    pump.open(run)
    end = run.end_of("stdout")
    assert end is not None
    os.write(end, b"one\n")
    pump.end(run)
    channel = pump._channel
    assert channel is not None
    assert select.select([channel._sock], [], [], DEADLINE_S)[0], "its answer never came"
    pump.close()
    poller.close()
    assert told == []
    assert (tmp_path / "web.log").read_bytes() == b"one\n"
