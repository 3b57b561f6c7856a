"""What workers get as stdout and stderr: procman's own, /dev/null, or a pipe to the pump."""

from __future__ import annotations

import os
from errno import EINVAL

from procman.kernel.output.captured import NOWHERE, Run
from procman.kernel.output.pump import Pump
from procman.kernel.proc import reasons
from procman.kernel.spawn.given import NOTHING, Given
from procman.kernel.spawn.program import SpawnError
from procman.plan import Output, Sink
from procman.policy.events import Spawn, WorkerId


class Capture:
    """A `given.Provider`, and the account of the runs whose output is captured."""

    __slots__ = ("_count", "_null", "_on_terminal", "_pump", "_runs")

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._on_terminal = os.isatty(1)
        self._runs: dict[WorkerId, Run] = {}
        """Until their leader has ended."""
        self._count = 0
        self._null = -1

    def give(self, spawn: Spawn) -> Given:
        """See `given.Provider`."""
        worker, output = spawn.worker, self._resolved(spawn.launch.output)
        kinds = {output.stdout.kind, output.stderr.kind}
        wanted = spawn.ready.target if spawn.ready is not None and spawn.ready.by == "log" else ""
        if kinds == {"inherit"}:
            return NOTHING
        try:
            run = self._capture(worker, output, wanted) if wanted or kinds - {*NOWHERE} else None
            if "null" in kinds and self._null < 0:
                self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            code = error.errno or EINVAL
            raise SpawnError("fork", code, reasons.of_fork(code)) from None
        return Given(self._end_of("stdout", output.stdout, run), self._end_of("stderr", output.stderr, run))

    def started(self, worker: WorkerId, pid: int) -> None:
        """See `given.Provider`."""
        run = self._runs.get(worker)
        if run is not None:
            run.pid = pid
            self._pump.open(run)

    def ended(self, worker: WorkerId) -> None:
        """See `given.Provider`."""
        run = self._runs.pop(worker, None)
        if run is not None:
            (self._pump.forget if run.pid is None else self._pump.end)(run)

    def _capture(self, worker: WorkerId, output: Output, wanted: str) -> Run:
        self._count += 1
        run = self._runs[worker] = Run(self._count, worker, output, wanted)
        self._pump.expect(run)
        return run

    def _resolved(self, output: Output) -> Output:
        """The same with nothing left to be decided by where procman's stdout goes."""
        chosen = Sink("prefix" if self._on_terminal else "inherit")
        out, err = [chosen if sink.kind == "auto" else sink for sink in (output.stdout, output.stderr)]
        return output._replace(stdout=out, stderr=err)

    def _end_of(self, stream: str, sink: Sink, run: Run | None) -> int | None:
        if run is not None and run.captures(stream):
            return run.end_of(stream)
        return self._null if sink.kind == "null" else None
