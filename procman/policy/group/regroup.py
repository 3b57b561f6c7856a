"""One-for-all: the group goes down as a whole, waits, and starts as a whole (as Erlang's supervisors do)."""

from __future__ import annotations

from collections.abc import Sequence

from procman.lean import NamedTuple
from procman.policy.events import State
from procman.policy.step import Step
from procman.policy.worker.worker import Worker


class Regroup(NamedTuple):
    """A restart of the whole group that is under way."""

    cause: str
    delay: float
    """Seconds, from the moment at which all are down."""

    def begin(self, workers: Sequence[Worker], step: Step) -> None:
        """Who waits for a deadline of his own waits for his siblings from now on."""
        for worker in workers:
            if worker.state is State.BACKOFF:
                worker.wait_until(None, step)

    def is_over(self, workers: Sequence[Worker], step: Step) -> bool:
        """All are down: whether they may start at once; if not, the delay begins, unless it has begun before."""
        waiting = [worker for worker in workers if worker.state is State.BACKOFF]
        if not waiting or self.delay == 0:
            return True
        if waiting[0].deadline is None:
            for worker in waiting:
                worker.wait_until(step.now + self.delay, step)
        return False
