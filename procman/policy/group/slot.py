"""A place for one worker; its index among the group's slots is the task id.

While a worker is replaced start-first, there is another one beside it: first its successor, which starts; from the
moment at which that is ready and takes the place, its predecessor, which ends. There are never more than two.
"""

from __future__ import annotations

from procman.policy.events import WorkerId
from procman.policy.worker.restart import Ladder
from procman.policy.worker.worker import LIVE, Worker


class Slot:
    """Who has the place, and who is there beside."""

    __slots__ = ("ladder", "other", "worker")

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.other: Worker | None = None
        """A successor while it starts, or a predecessor while it ends."""
        self.ladder = Ladder()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """All that are there, first the one that has the place."""
        return (self.worker,) if self.other is None else (self.worker, self.other)

    @property
    def is_live(self) -> bool:
        """Whether a worker has a process here, or is about to."""
        return any(worker.state in LIVE for worker in self.workers)

    def find(self, run: WorkerId) -> Worker | None:
        """The worker that is in this run; None if that is over."""
        return next((worker for worker in self.workers if worker.id == run), None)

    def swap(self) -> None:
        """The other one has the place from now on."""
        assert self.other is not None, f"{self.worker.id}: nobody is there beside it"
        self.worker, self.other = self.other, self.worker

    def drop(self) -> None:
        """Nothing of the other one is left."""
        assert self.other is not None, f"{self.worker.id}: nobody is there beside it"
        self.other.tally[self.other.state] -= 1
        self.other = None
