"""One group: its slots, its budget, its strategy. It moves every worker towards the group's goal.

It never looks at other groups: order between groups, shutdown and the site's end are the manager's.
"""

from __future__ import annotations

from procman import words
from procman.plan import GroupPlan, Launch
from procman.policy.events import Exit, Exited, StartFailed, State
from procman.policy.group import successor
from procman.policy.group.hand import Hand, keeps_up
from procman.policy.group.hand import start as start_anew
from procman.policy.group.order import Goal
from procman.policy.group.regroup import Regroup
from procman.policy.group.rollout import Rollout
from procman.policy.group.runs import Runs
from procman.policy.group.slot import Slot
from procman.policy.group.verdict import conclude, settle
from procman.policy.step import Step
from procman.policy.worker import pulse
from procman.policy.worker.restart import Budget, Ending, Failure, Fate, describe
from procman.policy.worker.worker import LIVE, Generations, Worker


class Supervisor:
    """The workers of one group."""

    __slots__ = (
        "blocked", "budget", "coming", "failure", "generations", "goal", "hand", "plan", "refused", "regroup",
        "rollout", "runs", "slots", "suspended", "tally", "waits_for",
    )  # fmt: skip

    def __init__(self, plan: GroupPlan, generations: Generations) -> None:
        self.plan = plan
        self.hand = Hand(plan)
        self.coming: Launch | None = None
        """New code that is being imported while the old runs; see `zygotes.py`."""
        self.refused = ""
        """Why the last new code could not be imported."""
        self.goal = Goal.WAIT
        self.waits_for = dict(plan.after)
        """What must still come true before it starts; once satisfied it stays so, but for what it requires."""
        self.suspended = False
        """Whether it was up before, and waits for what it requires."""
        self.blocked: str | None = None
        """Why what it waits for can never come; None if it may, or need not."""
        self.slots: list[Slot] = []
        self.generations = generations
        self.tally = dict.fromkeys(State, 0)
        """How many workers are in each state."""
        self.runs, self.budget = Runs(plan.name), Budget()
        self.regroup: Regroup | None = None
        self.rollout: Rollout | None = None
        self.failure: Failure | None = None
        """The first failure for good since the plan last changed."""

    # --- what the manager asks ---------------------------------------------------------------------------

    @property
    def live(self) -> bool:
        """Whether a worker has a process, or is about to."""
        return any(map(self.tally.__getitem__, LIVE))

    @property
    def active(self) -> bool:
        """Whether anything of it runs, or waits to run again."""
        return self.live or self.tally[State.BACKOFF] > 0

    @property
    def can_act(self) -> bool:
        """Whether anything of it runs, or may still start by itself."""
        return self.active or (self.goal is Goal.WAIT and not self.blocked) or keeps_up(self)

    @property
    def gave_up(self) -> bool:
        """Whether the whole group stays down because one of its workers failed for good."""
        return self.failure is not None and self.plan.restart.on_exhausted == "stop"

    # --- wishes ------------------------------------------------------------------------------------------

    def start_over(self) -> None:
        """Have a fresh budget, and no failure so far."""
        self.budget, self.regroup, self.failure = Budget(), None, None

    def fill(self) -> None:
        """Have a slot for every worker that is planned."""
        for task in range(len(self.slots), self.plan.workers):
            self.slots.append(Slot(Worker(self.plan, task, self.tally, self.generations)))

    def block(self, reason: str | None, step: Step) -> None:
        """Note that what it waits for can never come, or that it may again."""
        if reason and not self.blocked:
            step.notice("group.blocked", "error", f"blocked: {reason}", group=self.plan.name)
        if reason != self.blocked:
            self.blocked = reason
            step.moved[self.plan.name] = None

    @property
    def has_work(self) -> bool:
        """Whether a worker that is wanted has not come to its end."""
        ended = (State.EXITED, State.FAILED)
        return any(self.wants(slot.worker) and slot.worker.state not in ended for slot in self.slots)

    def suspend(self, reason: str, step: Step) -> None:
        """What it requires is down: it goes down as well, and waits."""
        self.suspended = True
        self.pursue(Goal.WAIT, reason, step)

    def resume(self, step: Step) -> None:
        """All that it waits for holds: it starts; after it was suspended anew as a whole, who had ended included."""
        again, self.suspended, self.goal = self.suspended, False, Goal.RUN
        if again:
            tasks = frozenset(range(self.plan.workers)) - self.hand.held
            start_anew(self, tasks, step, whole=True, reason="what it requires is up again")
        else:
            self.pursue(Goal.RUN, "its dependencies hold", step)

    def pursue(self, goal: Goal, reason: str, step: Step) -> None:
        """Move every worker towards the goal, for a reason that the log will give."""
        self.goal = goal
        if goal is not Goal.RUN:
            self.regroup = None
        for slot in self.slots:
            self.move(slot, reason, step)
            successor.tend(self, slot, reason, step)
        self.tidy(step)
        step.moved[self.plan.name] = None

    # --- facts -------------------------------------------------------------------------------------------

    def forked(self, worker: Worker, pid: int, step: Step) -> None:
        """The worker has a process now; if it is no longer wanted, this is the moment to say so."""
        worker.pid, worker.started_at = pid, step.now  # it may have waited for its zygote
        if self.rollout:
            step.moved[self.plan.name] = None  # perhaps it is its turn
        slot = self.slots[worker.id.task]
        self.move(slot, "no longer wanted", step)
        successor.tend(self, slot, "no longer wanted", step)

    def start_failed(self, worker: Worker, error: StartFailed, step: Step) -> None:
        """The start failed: judged at once where there was no process, else when that is reaped."""
        worker.error = error
        if worker.pid is None:
            conclude(self, worker, Ending(None, error, error.draw), False, step)

    def exited(self, worker: Worker, fact: Exited, step: Step) -> None:
        """The leader was reaped. The verdict is taken now; it comes true when nothing of the tree is left."""
        if worker.error is None:
            worker.result = fact.exit_code if fact.signal is None else 128 + fact.signal
            life = step.now - worker.started_at
            worker.exit = Exit(fact.exit_code, fact.signal, life, fact.usage, fact.said, fact.cause)
        conclude(self, worker, Ending(worker.exit, worker.error, fact.draw), fact.leftover, step)

    def tree_ended(self, worker: Worker, step: Step) -> None:
        """Nothing is left of the worker whose leader has ended before."""
        left = worker.exit  # None: its own transition has told it
        settle(self, worker, describe(Ending(left, None, 0.0)) if left else "nothing of it is left", step)

    def due(self, worker: Worker, step: Step) -> None:
        """The worker's deadline has come."""
        if worker.drains:
            worker.drained(step)
        elif worker.state is State.STOPPING:
            worker.kill(f"still there after {words.duration(worker.stop.grace)} of grace{pulse.patience(worker)}", step)
        elif worker.state is State.STARTING:
            pulse.overdue(worker, step)
        elif step.halts(worker.id.group):
            pass  # it is started by the plan that comes back
        elif self.regroup:
            self._start_all(step)
        else:
            assert worker.state is State.BACKOFF, f"{worker.id}: a deadline in {worker.state}"
            worker.start(self.plan, "restart", step)

    # --- towards the goal --------------------------------------------------------------------------------

    def wants(self, worker: Worker) -> bool:
        """Whether it is to run, or to start as soon as it may."""
        task, called = worker.id.task, (self.runs.on or not self.plan.rests) and not self.runs.expired
        may = self.goal is Goal.RUN and called and not self.gave_up
        return may and task < self.plan.workers and task not in self.hand.held

    def _why_stop(self, worker: Worker, reason: str) -> str | None:
        """Why a worker that runs is to stop; None if it may stay."""
        if self.goal in (Goal.WAIT, Goal.DOWN, Goal.KILL) or self.runs.expired:
            return reason
        if worker.id.task >= self.plan.workers:
            return "scaled down" if self.plan.workers else reason
        if worker.id.task in self.hand.held:
            return "stopped by hand"
        if self.gave_up:
            return "its group has given up"
        return self.regroup.cause if self.regroup else None

    def move(self, slot: Slot, reason: str, step: Step) -> None:
        """Move who has the place towards the goal; asking twice changes nothing."""
        worker = slot.worker
        match worker.state:
            case State.STOPPED if successor.comes(self, slot):
                successor.promote(slot, step)
            case State.STOPPED if self.wants(worker) and not self.regroup and not step.halts(worker.id.group):
                worker.start(self.plan, reason if worker.id.generation or self.plan.rests else "first start", step)
            case State.BACKOFF if not self.wants(worker):
                worker.advance(State.STOPPED, reason, step)
            case State.STARTING | State.RUNNING if worker.pid is not None:  # else the kernel's next fact gives it
                if why := self._why_stop(worker, reason):
                    waits = self.regroup and self.wants(worker) and worker.launch == self.plan.launch
                    to = State.BACKOFF if waits else State.FAILED if self.runs.expired else State.STOPPED
                    end = worker.end if self.goal is Goal.KILL else worker.ask
                    end(Fate(to, why if to is State.FAILED else ""), why, step)
            case _:
                pass
        if worker.state is State.STOPPING and self.goal is Goal.KILL:
            worker.kill(reason, step)

    def tidy(self, step: Step) -> None:
        """Drop the slots that are no longer planned for, and let one-for-all come to its end."""
        while len(self.slots) > self.plan.workers and not self.slots[-1].is_live:
            self.tally[self.slots.pop().worker.state] -= 1
        if self.regroup and not self.live and self.regroup.is_over([slot.worker for slot in self.slots], step):
            self._start_all(step)
        self.runs.look(self, step)

    def _start_all(self, step: Step) -> None:
        """One-for-all: start again what was down together, normal exits included."""
        if step.halts(self.plan.name):
            return
        self.regroup = None
        for worker in [slot.worker for slot in self.slots]:
            if worker.state in (State.BACKOFF, State.EXITED, State.STOPPED) and self.wants(worker):
                worker.start(self.plan, "restart of the whole group", step)
