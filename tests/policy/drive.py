"""Drives the manager by hand: facts in, states, signals and starts out. No process, no clock, no kernel."""

from __future__ import annotations

from typing import Any

from procman.choices import Stage
from procman.plan import GroupPlan, Launch, Plan
from procman.policy.events import (
    Action,
    Drain,
    Event,
    Execed,
    Exited,
    Forked,
    Left,
    Load,
    Loaded,
    Notice,
    ShutDown,
    Signal,
    Spawn,
    StartFailed,
    TimePassed,
    Transition,
    TreeEnded,
    Usage,
    WorkerId,
)
from procman.policy.manager import Manager


def group(name: str = "a", workers: int = 1, **fields: Any) -> GroupPlan:
    """A group that needs nothing said about it."""
    return GroupPlan(name, Launch(("run",), "/"), workers=workers)._replace(**fields)


def changed(plan: GroupPlan) -> GroupPlan:
    """The same group with another command."""
    return plan._replace(launch=plan.launch._replace(command=("other",)))


class Drive:
    """A site in which every spawn succeeds at once, until a test says otherwise."""

    def __init__(
        self, *groups: GroupPlan, stop_timeout: float | None = None, exit_code_from: str | None = None
    ) -> None:
        self.manager = Manager()
        self.now = 0.0
        self.pid = 100
        self.spawns_work = True
        self.starts: list[tuple[float, str]] = []
        """When which worker was started."""
        self.signals: list[tuple[float, str, int, str]] = []
        """When which worker was sent what, and to whom of it."""
        self.left: list[str] = []
        """Who is left besides the workers."""
        self.drains: list[tuple[float, int]] = []
        """When all who are left were sent what."""
        self.trace: list[str] = []
        """Transitions, as `a:0 running>backoff`."""
        self.reasons: list[str] = []
        self.transitions: list[Transition] = []
        self.notices: list[Notice] = []
        self.actions: list[Action] = []
        self.tell(Load())
        self.apply(*groups, stop_timeout=stop_timeout, exit_code_from=exit_code_from)

    def apply(self, *groups: GroupPlan, **site: Any) -> None:
        """A loader has come back with this site."""
        self.tell(Loaded(Plan("site", groups)._replace(**site), "digest"))

    def reload(self, *groups: GroupPlan, **site: Any) -> None:
        self.tell(Load())
        self.apply(*groups, **site)

    def tell(self, event: Event) -> None:
        """One event, and whatever the spawns that it causes answer."""
        outcome = self.manager.handle(event, self.now)
        self.actions += outcome.actions
        for record in outcome.records:
            if isinstance(record, Transition):
                self.trace.append(f"{record.worker} {record.from_}>{record.to}")
                self.reasons.append(record.reason)
                self.transitions.append(record)
            else:
                self.notices.append(record)
        for action in outcome.actions:
            if isinstance(action, Signal):
                self.signals.append((self.now, str(action.worker), int(action.signal), action.scope))
        for action in outcome.actions:
            if isinstance(action, Drain):
                self.drains.append((self.now, int(action.signal)))
                self.tell(Left(len(self.left), ", ".join(self.left)))
            elif isinstance(action, Spawn):
                self.starts.append((self.now, str(action.worker)))
                if self.spawns_work:
                    self.pid += 1
                    self.tell(Forked(action.worker, self.pid))
                    self.tell(Execed(action.worker))

    def id(self, worker: str) -> WorkerId:
        name, task = worker.split(":")
        return self.manager.groups[name].slots[int(task)].worker.id

    def pid_of(self, worker: str) -> int:
        name, task = worker.split(":")
        pid = self.manager.groups[name].slots[int(task)].worker.pid
        assert pid is not None, f"{worker} has no process"
        return pid

    def die(self, worker: str, code: int | None = None, *, signal: int | None = None, leftover: bool = False) -> int:
        """The worker's leader ends; the answer is the pid that it had."""
        pid = self.pid_of(worker)
        self.tell(Exited(pid, code, signal, Usage(), leftover, 0.0))
        return pid

    def tree_ended(self, pid: int) -> None:
        self.tell(TreeEnded(pid))

    def cannot_start(self, worker: str, stage: Stage, errno: int) -> None:
        self.tell(StartFailed(self.id(worker), stage, errno, f"errno {errno}", 0.0))

    def sleep(self, seconds: float) -> None:
        """Let time pass, and every deadline on the way come at its instant."""
        end = self.now + seconds
        while (deadline := self.manager.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.tell(TimePassed())
        self.now = end

    def stop(self, *, now: bool = False) -> None:
        self.tell(ShutDown("SIGTERM", now))

    def state(self, worker: str) -> str:
        name, task = worker.split(":")
        return self.manager.groups[name].slots[int(task)].worker.state

    @property
    def exit_code(self) -> int | None:
        return self.manager.exit_code
