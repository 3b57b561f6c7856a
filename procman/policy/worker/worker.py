"""One worker: its state, the edges between states, and the one method that changes it.

A worker is what fills a slot: a process, or the reason why there is none. It never decides what comes next;
its supervisor does.
"""

from __future__ import annotations

from signal import SIGKILL, SIGTERM

from procman import words
from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan import GroupPlan, Launch, Stop
from procman.policy.events import Exit, Retry, Signal, Spawn, StartFailed, State, Transition, WorkerId
from procman.policy.step import Step
from procman.policy.worker.pulse import Pulse
from procman.policy.worker.restart import Fate

if TYPE_CHECKING:
    from procman.choices import Level, Scope

EDGES: dict[State, frozenset[State]] = {
    State.STOPPED: frozenset({State.STARTING}),
    State.STARTING: frozenset(
        {State.RUNNING, State.BACKOFF, State.STOPPING, State.STOPPED, State.EXITED, State.FAILED}
    ),
    State.RUNNING: frozenset({State.BACKOFF, State.STOPPING, State.STOPPED, State.EXITED, State.FAILED}),
    State.BACKOFF: frozenset({State.STARTING, State.STOPPED}),
    State.STOPPING: frozenset({State.KILLING, State.STOPPED, State.BACKOFF, State.EXITED, State.FAILED}),
    State.KILLING: frozenset({State.STOPPED, State.BACKOFF, State.EXITED, State.FAILED}),
    State.EXITED: frozenset({State.STARTING}),
    State.FAILED: frozenset({State.STARTING}),
}
"""What may follow what; the README's diagram is printed from it."""

LIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING, State.KILLING})
"""The states in which a worker has a process, or is about to."""

LEVELS: dict[State, Level] = {State.BACKOFF: "warning", State.KILLING: "warning", State.FAILED: "error"}


Generations = dict[tuple[str, int], int]
"""The last generation of every slot that a site ever had, by group and task id: none is used twice."""


class Last(NamedTuple):
    """How a worker's last run ended, and when, on the manager's clock."""

    how: str
    at: float


class Worker:
    """What fills one slot, over all its generations."""

    __slots__ = (
        "deadline", "drains", "error", "exit", "fate", "generations", "id", "last", "launch", "pid", "pulse",
        "result", "started_at", "state", "stop", "tally",
    )  # fmt: skip

    def __init__(self, plan: GroupPlan, task: int, tally: dict[State, int], generations: Generations) -> None:
        self.id = WorkerId(plan.name, task, 0)
        self.state = State.STOPPED
        self.launch: Launch = plan.launch
        """What it was, or will be, started with."""
        self.stop: Stop = plan.stop
        """The rules for ending what was started with `launch`."""
        self.pid: int | None = None
        """The leader's; kept until nothing of its tree is left."""
        self.deadline: float | None = None
        """Starting: until when to be ready; backoff: when to start; stopping: when to be told, or killed. Else None."""
        self.drains = False
        """Stopping: it serves on, and has not heard that it is to end."""
        self.started_at = 0.0
        self.error: StartFailed | None = None
        """Why its start failed, while the pid of the attempt is still to be reaped."""
        self.exit: Exit | None = None
        """How its leader ended, until a transition has said so."""
        self.result: int | None = None
        """Its last status as a shell would give it (128+n for a signal); None if it never ran."""
        self.last: Last | None = None
        self.fate: Fate | None = None
        """Stopping, killing: what it becomes when nothing of it is left."""
        self.pulse = Pulse(plan)
        self.generations = generations
        self.tally = tally
        """The group's count of workers by state; shared, so that it is right by construction."""
        tally[self.state] += 1

    def advance(
        self, to: State, reason: str, step: Step, *, deadline: float | None = None, retry: Retry | None = None
    ) -> None:
        """Change the state, which nothing else does, and record the transition."""
        from_, self.drains = self.state, False
        assert to in EDGES[from_], f"{self.id}: no edge from {from_} to {to}"
        self.state = to
        self.tally[from_] -= 1
        self.tally[to] += 1
        exit_ = None
        if to is not State.KILLING:  # that is of what the leader left behind
            exit_, self.exit = self.exit, None
        step.records.append(Transition(self.id, self.pid, from_, to, reason, LEVELS.get(to, "info"), exit_, retry))
        step.moved[self.id.group] = None
        self.wait_until(deadline, step)

    def wait_until(self, deadline: float | None, step: Step) -> None:
        """Set or clear the one deadline."""
        self.deadline = deadline
        if deadline is not None:
            step.deadlines.append((deadline, self))

    def start(self, plan: GroupPlan, reason: str, step: Step) -> None:
        """Begin the next generation."""
        generation = self.generations.get(self.id[:2], 0) + 1
        self.id = self.id._replace(generation=generation)
        self.generations[self.id[:2]] = generation
        self.launch, self.stop = plan.launch, plan.stop
        self.pulse = Pulse(plan)
        self.pid = self.error = self.fate = self.result = None
        self.started_at = step.now
        self.advance(State.STARTING, reason, step)
        step.actions.append(Spawn(self.id, self.launch, self.pulse.ready, self.pulse.health))

    def end(self, fate: Fate | None, reason: str, step: Step) -> None:
        """Go to stopping: it, or what its leader left behind, has the grace to end in. Sends nothing yet.

        Without a fate it is to be judged when its leader is gone.
        """
        self.fate = fate
        self.advance(State.STOPPING, reason, step, deadline=step.now + self.stop.grace)

    def ask(self, fate: Fate | None, reason: str, step: Step) -> None:
        """Have it end by its rules. One that was ready, and has not failed, serves on for as long as it drains."""
        failed = fate is None or fate.to is State.FAILED
        if self.state is not State.RUNNING or self.stop.drain == 0 or failed:
            self.end(fate, reason, step)
            self.signal(self.stop.signal, self.stop.scope, step)
            return
        self.end(fate, f"{reason}; drains for {words.duration(self.stop.drain)}", step)
        self.drains = True
        self.wait_until(step.now + self.stop.drain, step)

    def drained(self, step: Step) -> None:
        """It has served on for long enough."""
        self._goes(step)
        self.signal(self.stop.signal, self.stop.scope, step)

    def sweep(self, step: Step) -> None:
        """Its leader has ended: what that left behind is to end as well, whatever signal the leader expected."""
        if self.drains:
            self._goes(step)
        self.signal(SIGTERM, "tree", step)

    def _goes(self, step: Step) -> None:
        self.drains = False
        self.wait_until(step.now + self.stop.grace, step)

    def kill(self, reason: str, step: Step) -> None:
        """SIGKILL to the whole tree."""
        self.advance(State.KILLING, reason, step)
        self.signal(SIGKILL, "tree", step)

    def signal(self, number: int, scope: Scope, step: Step) -> None:
        """Ask the kernel to send it, so that a stopped process hears it too."""
        assert self.pid is not None, f"{self.id}: a signal without a pid"
        step.actions.append(Signal(self.id, self.pid, number, scope, wakes=number != SIGKILL))


def is_up(worker: Worker) -> bool:
    """Whether it runs, or is about to, and nobody has asked it to end."""
    return worker.state in (State.STARTING, State.RUNNING) and worker.error is None
