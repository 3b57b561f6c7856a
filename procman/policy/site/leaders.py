"""Whose process is whose: facts that the kernel tells by pid, or by worker, on their way to the right group."""

from __future__ import annotations

from collections.abc import Mapping

from procman.lean import TYPE_CHECKING
from procman.policy.events import Execed, Exited, Forked, MainPid, Outgrown, StartFailed, State, Strays, TreeEnded
from procman.policy.group import rollout
from procman.policy.site.census import Census
from procman.policy.step import Step
from procman.policy.worker import pulse, recycle
from procman.policy.worker.worker import Worker

if TYPE_CHECKING:
    from procman.policy.group.supervisor import Supervisor


class Leaders:
    """The workers by the pid of the leader, until nothing of its tree is left."""

    __slots__ = ("_census", "_workers")

    def __init__(self, census: Census) -> None:
        self._census = census
        self._workers: dict[int, Worker] = {}

    def started(self, fact: Forked | Execed | StartFailed, groups: Mapping[str, Supervisor], step: Step) -> None:
        """A spawn goes on, or has failed."""
        group = groups[fact.worker.group]
        worker = group.slots[fact.worker.task].find(fact.worker)
        assert worker is not None, f"{fact} comes too late"
        match fact:
            case Forked():
                self._workers[fact.pid] = worker
                group.forked(worker, fact.pid, step)
            case Execed():
                pulse.begin(worker, step)
            case StartFailed():
                group.start_failed(worker, fact, step)

    def felt(self, fact: pulse.Felt | Outgrown, groups: Mapping[str, Supervisor], step: Step) -> None:
        """What a check has found, or it says of itself; it may come too late, of a worker that is no more."""
        group, task = groups.get(fact.worker.group), fact.worker.task
        worker = group.slots[task].find(fact.worker) if group and task < len(group.slots) else None
        if group is None or worker is None:
            return
        if isinstance(fact, Outgrown):
            if why := recycle.hear(group, worker, fact, step):
                rollout.begin(group, [worker], why)
                step.moved[worker.id.group] = None
        else:
            pulse.hear(worker, fact, step)

    def ended(self, fact: Exited | TreeEnded | Strays | MainPid, groups: Mapping[str, Supervisor], step: Step) -> None:
        """A leader was reaped, or has a successor, or what it left is gone; or it was nobody that we know."""
        if isinstance(fact, Strays):
            self._census.hear(fact, step)
            return
        if isinstance(fact, MainPid):
            self._named(fact, groups, step)
            return
        worker = self._workers.get(fact.pid)
        if worker is None:
            self._census.orphans += 1
            return
        group = groups[worker.id.group]
        if isinstance(fact, TreeEnded):
            del self._workers[fact.pid]
            group.tree_ended(worker, step)
        else:
            if not fact.leftover:
                del self._workers[fact.pid]
            group.exited(worker, fact, step)

    def _named(self, fact: MainPid, groups: Mapping[str, Supervisor], step: Step) -> None:
        """A worker has another leader: its signals go there, and that one's end is its own."""
        worker = groups[fact.worker.group].slots[fact.worker.task].find(fact.worker)
        assert worker is not None, f"{fact} comes too late"
        assert worker.pid is not None, f"{fact} comes too early"
        fields = worker.id._asdict() | {"pid": fact.pid}
        if fact.refused:
            step.notice("worker.main_pid", "warning", fact.refused, **fields)
            return
        step.notice("worker.main_pid", "info", f"it says so: pid {fact.pid} instead of {worker.pid}", **fields)
        self._workers[fact.pid] = self._workers.pop(worker.pid)
        worker.pid = fact.pid
        if worker.state is State.RUNNING:
            recycle.begin(worker, step)  # it is the leader that is weighed
