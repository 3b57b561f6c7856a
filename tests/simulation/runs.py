"""Histories of what comes and goes: scheduled jobs, jobs by hand, services on demand; and a checker of their runs.

The shipped loop, manager and simulated kernel, as in `play`. The checker keeps its own account of who runs, from the
kernel's facts alone, and holds each turn against the rules of `overlap`, `deadline` and the calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from procman.choices import Overlap
from procman.kernel import loop
from procman.kernel.world.script import Blow, Conduct, End, HelperFall, Incident, Instant, Knock, Wish
from procman.kernel.world.simulated import SimulatedKernel
from procman.plan import GroupPlan, Launch, Listen, Plan, Restart, Schedule, Stop
from procman.policy.events import (
    Demanded,
    Due,
    Event,
    Load,
    Loaded,
    LoadFailed,
    Notice,
    Record,
    ShutDown,
    Signal,
    Spawn,
    TimePassed,
    Transition,
    ZygoteOrder,
)
from procman.policy.events.requests import Accepted, Answer, Asked, Done, Operate, RunJob, Selector
from procman.policy.group.order import Goal
from procman.policy.manager import Manager
from tests.simulation.play import MakeManager
from tests.simulation.violation import Violation, need

SLACK = 1e-9
LENGTH_S = 40.0
"""Then the site is told to end."""
STEPS = 3000
OVERLAPS: tuple[Overlap, ...] = ("skip", "queue", "kill")
RUN = str(Goal.RUN)
"""By value: a policy under test may have a `Goal` of its own."""
DOOR = Listen("door", "tcp", "::1", 80, on_demand=True)


class RunsHistory:
    """A script of the world; see `kernel.script.Script`."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.lag = random.choice((0.0, 0.0, 0.125))
        self.plan = Plan("site", tuple(self._group(name) for name in ("a", "b", "c")[: random.randrange(1, 4)]))
        self.agenda: list[tuple[float, Incident]] = [(LENGTH_S, ShutDown("the history ends"))]
        for _ in range(random.choice((3, 8, 16))):
            self.agenda.append((random.randrange(int(LENGTH_S) * 4) / 4, self._incident()))
        self._clients = 0

    def _group(self, name: str) -> GroupPlan:
        random = self.random
        overlap: Overlap = random.choice(OVERLAPS)
        kind = random.choice(("cron", "cron", "every", "job", "door" if name == "a" else "cron"))
        every = random.choice((0.5, 2.0, 7.0))
        schedule = {"cron": Schedule("* * * * *", overlap=overlap), "every": Schedule(None, None, every, overlap)}
        return GroupPlan(
            name,
            Launch(("work",), "/", listen=(DOOR,) if kind == "door" else ()),
            kind="service" if kind == "door" else "job",
            workers=random.choice((1, 1, 2)),
            restart=Restart(
                max_restarts=random.choice((0, 1, 3)), on_exhausted=random.choice(("stop", "ignore", "ignore"))
            ),
            stop=Stop(grace=random.choice((0.5, 2.0))),
            schedule=schedule.get(kind),
            deadline=random.choice((None, 1.0, 3.0)) if kind != "door" else None,
        )

    def _incident(self) -> Incident:
        random, name = self.random, self.random.choice("abc")
        self._clients = getattr(self, "_clients", 0) + 1
        match random.randrange(12):
            case 0 | 1 | 2 | 3:
                return Instant(name, random.choice((0, 0, 2)), random.random() < 0.9)
            case 4 | 5:
                return Knock("a")
            case 6 | 7:
                return Asked(self._clients, RunJob(name), random.random() < 0.8)
            case 8:
                return Asked(self._clients, Operate(random.choice(("start", "stop", "restart")), (Selector(name),)))
            case 9:
                return Load()
            case 10:
                return HelperFall("scheduler")
            case _:
                return Blow(0.5, random.choice((End(1), End(0))))

    def conduct(self, spawn: Spawn, now: float) -> Conduct:  # noqa: ARG002 - it is the protocol's
        """Runs that end by themselves, well or not, and some that would never."""
        random = self.random
        return Conduct(
            exec_after=random.choice((0.0, 0.25)),
            lives=random.choice((0.25, 0.5, 1.5, 4.0, None)),
            end=random.choice((End(0), End(0), End(1))),
            obeys_after=random.choice((0.0, 0.5, None)),
        )

    def imports(self, order: ZygoteOrder, now: float) -> tuple[float, bool]:
        """There is no Python group."""
        raise Violation(f"{order.name} is started at {now}")

    def load(self) -> tuple[float, Loaded | LoadFailed]:
        """The site, and now and then a change of one group."""
        groups = list(self.plan.groups)
        at = self.random.randrange(len(groups))
        change = self._group(groups[at].name)
        if self.agenda and self.random.random() < 0.5:
            groups[at] = groups[at]._replace(schedule=change.schedule, kind=change.kind, deadline=change.deadline,
                                             launch=change.launch)  # fmt: skip
            self.plan = self.plan._replace(groups=tuple(groups))
        return 0.25, Loaded(self.plan, "0123456789ab")

    def quiet(self, now: float) -> Wish:
        """Nothing is due any more: only at the end."""
        raise Violation(f"nothing is due at {now}, and the site is not told to end")


class Watcher(SimulatedKernel):
    """The simulated kernel, and the log that checks each turn."""

    def __init__(self, history: RunsHistory, manager: Any) -> None:
        super().__init__(history, history.agenda, history.random)
        self.history, self.manager = history, manager
        self.waiting: set[int] = set()
        self.asked: dict[int, str] = {}
        """Clients that wait for a run of this job."""
        self.begun: dict[str, float] = {}
        """By group: when its run began; not there while it rests."""
        self.owed: set[str] = set()
        """Groups of which a call waits for its turn."""
        self.told: set[int] = set()
        """Pids that were asked to end."""
        self.failed: set[str] = set()
        """Groups that had given up when the last turn was over."""
        self.steps = 0
        self.seen: set[str] = set()
        self._event: Event = Load()

    def wait(self, deadline: float | None) -> Event:
        """The next event, remembered for the checks."""
        self._event = super().wait(deadline)
        return self._event

    def write(self, records: Sequence[Record]) -> None:
        """One turn is over."""
        self.steps += 1
        need(self.steps < STEPS, "the history does not settle")
        self.told &= self.live.keys()
        self._answers_are_kept()
        if self.manager.plan is not None and isinstance(self._event, Loaded):
            jobs = {group.name for group in self.manager.plan.groups if group.schedule and group.schedule.cron}
            need(self.calendar == jobs or not jobs, f"the calendar has {set(self.calendar)} instead of {jobs}")
        for name, group in self.manager.groups.items():
            spawned = [action for action in self.performed if isinstance(action, Spawn) and action.worker.group == name]
            signalled = [one for one in self.performed if isinstance(one, Signal) and one.worker.group == name]
            self.told |= {action.pid for action in signalled}
            notices = [one.event for one in records if isinstance(one, Notice) and one.fields.get("group") == name]
            self._check_call(name, group, spawned, signalled, notices)
            turns = [one for one in records if isinstance(one, Transition) and one.worker.group == name]
            self._check_run(name, group, spawned, any(one.reason == "its turn has come" for one in turns))
            self._check_rest(name, group)
        groups = self.manager.groups.items()
        self.failed = {name for name, one in groups if one.failure and one.plan.restart.on_exhausted != "ignore"}

    def _answers_are_kept(self) -> None:
        for action in self.performed:
            if isinstance(action, Answer) and isinstance(action.reply, Accepted):
                self.waiting.add(action.client)
                if isinstance(self._event, Asked) and isinstance(self._event.request, RunJob):
                    self.asked[action.client] = self._event.request.group
            elif isinstance(action, Answer) and isinstance(action.reply, Done):
                self.waiting.discard(action.client)
                self.asked.pop(action.client, None)

    def _is_called(self, name: str) -> bool:
        event = self._event
        if isinstance(event, Due):
            return event.group == name and event.now
        return isinstance(event, Demanded) and event.group == name

    def _check_call(
        self, name: str, group: Any, spawned: list[Spawn], signalled: list[Signal], notices: list[str]
    ) -> None:
        """What follows a call: a run, or what `overlap` says."""
        plan, goes_on = group.plan, name in self.begun
        free = set(range(plan.workers)) - group.hand.held
        if not self._is_called(name) or not free or group.goal != RUN or plan.schedule is None:
            if self._is_called(name) and isinstance(self._event, Demanded) and group.goal == RUN and free:
                need(spawned, f"{name}: somebody knocks, and nothing starts")
            return
        if name in self.failed:
            need(not spawned, f"{name} has given up and runs")
            return
        if not goes_on:
            tasks = {action.worker.task for action in spawned}
            need(tasks == free, f"{name} is due, and {tasks} of {free} start")
            self.seen.add("begun")
        elif plan.schedule.overlap == "kill":
            need("group.skipped" not in notices, f"{name}: a run is left out, and is to replace the last")
            self.seen.add("killed")
        else:
            need(not spawned and not signalled, f"{name}: a run begins, or is ended, while the last one goes on")
            left_out = "group.skipped" in notices
            may_wait = plan.schedule.overlap == "queue" and name not in self.owed
            need(left_out != may_wait, f"{name}: the call is {'left out' if left_out else 'not left out'}")
            self.seen.add("skipped" if left_out else "queued")
            if may_wait:
                self.owed.add(name)

    def _check_run(self, name: str, group: Any, spawned: list[Spawn], its_turn: bool) -> None:
        """A run begins for a reason, and takes no longer than it may."""
        active, now = group.active, self.now()
        if its_turn:
            need(name in self.owed, f"{name}: it is nobody's turn")
            self.begun.pop(name, None)
        if spawned and name not in self.begun:
            timer = isinstance(self._event, TimePassed) and (name in self.owed or group.plan.schedule is None
                                                             or group.plan.schedule.every is not None)  # fmt: skip
            loaded = isinstance(self._event, Loaded) and not group.plan.rests
            known = loaded or isinstance(self._event, Asked) or self._is_called(name) or timer
            need(known or name in self.owed, f"{name}: a run begins without a call, at {self._event}")
            self.begun[name] = now
        if not active:
            self.begun.pop(name, None)
        limit = group.plan.deadline
        if limit is None or name not in self.begun or isinstance(self._event, Loaded):
            self.begun |= {name: now} if name in self.begun and isinstance(self._event, Loaded) else {}
            return
        if group.plan.schedule and group.plan.schedule.overlap == "kill" and signalled_by_call(self._event):
            self.begun[name] = now  # another run has replaced it
        if isinstance(self._event, Asked) and spawned:
            self.begun[name] = now
        late = now - self.begun[name] - limit
        running = [pid for pid, one in self.live.items() if one.worker.group == name and not one.reaped]
        asked = isinstance(self._event, TimePassed) or late <= self.history.lag + 0.5
        need(asked or set(running) <= self.told, f"{name}: its run is {late} s too long, and {running} are not told")

    def _check_rest(self, name: str, group: Any) -> None:
        """What rests and is on demand awaits its first connection (or will, after a pause)."""
        (self.owed.add if group.runs.queued else self.owed.discard)(name)
        free = set(range(group.plan.workers)) - group.hand.held
        if group.goal == RUN and not group.active:
            due = group.runs.deadline
            need(name not in self.owed or (due is not None and due <= self.now()), f"{name}: a call is forgotten")
            answered = name in self.owed or name not in self.asked.values()
            need(answered, f"{name}: its run is over, and nobody tells {self.asked}")
        if not group.plan.on_demand or group.active or group.goal != RUN or group.failure:
            return
        if free:
            waits = self.awaited.get(name) == (DOOR,)
            need(waits or group.runs.deadline is not None, f"{name} rests, and nobody watches its door")
            self.seen.add("rests" if waits else "pauses")


def signalled_by_call(event: Event) -> bool:
    """Whether a run may have been replaced by another in this turn."""
    return isinstance(event, (Due, Asked, TimePassed))


def play_runs(seed: int, make: MakeManager = Manager) -> set[str]:
    """Play the history of this seed: which situations it has met. Raises AssertionError."""
    history = RunsHistory(seed)
    manager = make(None)
    watcher = Watcher(history, manager)
    loop.run(manager, watcher, watcher, Load())
    ended_early = watcher.now() < LENGTH_S - SLACK
    rests = any(group.rests and group.restart.on_exhausted == "ignore" for group in history.plan.groups)
    need(not (ended_early and rests), "the site ends, and a job was still to come")
    need(not watcher.live, f"left behind: {sorted(watcher.live)}")
    need(not watcher.waiting, f"never answered: {sorted(watcher.waiting)}")
    return watcher.seen
