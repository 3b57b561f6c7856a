"""The same protocol as `loop.Kernel` over a made-up world and a virtual clock: the simulator's half of the loop.

What happens is told beforehand, in the words of `script.py`. The world is jealous: an action that would be a mistake
on a real machine (a signal to a pid that is free again, a generation spawned twice) raises `MisuseError`. Freed pids
are given away again at once, lowest first, so that whoever mixes up two processes is seen to do so.
This module never starts a process, never sleeps and never asks the real clock.
"""

from __future__ import annotations

from collections import deque
from signal import SIGCONT, SIGKILL
from typing import TYPE_CHECKING

from procman.kernel.world.beside import Beside, need
from procman.kernel.world.escaped import Escaped, Farewell
from procman.kernel.world.nursery import Import, Nursery
from procman.kernel.world.population import Population
from procman.kernel.world.script import (
    Blow,
    End,
    Escape,
    Failure,
    HelperFall,
    Incident,
    Instant,
    Knock,
    Orphan,
    Rest,
    Script,
)
from procman.kernel.world.timetable import Clearance, Death, Due, News, Process, Timetable, Word
from procman.policy.events import (
    Action,
    Check,
    Drain,
    EndHelper,
    Event,
    Execed,
    Exited,
    Forked,
    Left,
    Loaded,
    LoadFailed,
    MainPid,
    RunHelper,
    RunLoader,
    Signal,
    Spawn,
    StartFailed,
    Strays,
    TimePassed,
    TreeEnded,
    Usage,
    Weigh,
    WorkerId,
)

if TYPE_CHECKING:
    from random import Random


class SimulatedKernel:
    """A machine with nothing on it but what the manager starts. `live` is the truth about it."""

    def __init__(self, script: Script, agenda: list[tuple[float, Incident]], random: Random) -> None:
        self.script = script
        self._population = Population()
        self.live = self._population.live
        self.escaped = Escaped(lambda delay, farewell: self._due.schedule(self._now + delay, farewell))
        self._beside = Beside()
        self.helpers, self.sockets = self._beside.helpers, self._beside.sockets
        self.calendar, self.awaited = self._beside.calendar, self._beside.awaited
        self.performed: list[Action] = []
        """What was asked for since the last `wait`."""
        self._random = random
        self._now = 0.0
        self._loading = False
        self._answers: deque[Event] = deque()
        self._due = Timetable(random)
        self.nursery = Nursery(
            lambda order: script.imports(order, self._now),
            random,
            lambda delay, end: self._due.schedule(self._now + delay, end),
            self._answers,
            self._bear,
        )
        for time, incident in agenda:
            self._due.schedule(time, incident)

    def now(self) -> float:
        """Seconds on the virtual clock."""
        return self._now

    def wait(self, deadline: float | None) -> Event:
        """The next event; the clock jumps to it. Whatever is due at one instant comes in random order."""
        self.performed = []
        if self._answers:
            return self._answers.popleft()
        while True:
            moment = self._due.next
            if deadline is not None and (moment is None or (deadline, self._random.random()) <= moment):
                self._now = max(self._now, deadline + self.script.lag)
                return TimePassed()
            if moment is None:
                return self.script.quiet(self._now)
            time, due = self._due.pop()
            self._now = max(self._now, time)
            event = self._happen(due)
            if event is not None:
                return event

    def perform(self, action: Action) -> None:
        """Do it in the made-up world. Raises `MisuseError`."""
        self.performed.append(action)
        if isinstance(action, Spawn):
            (self._bear if action.launch.python is None else self.nursery.spawn)(action)
        elif isinstance(action, Check | Weigh):
            self._watch(action)
        elif isinstance(action, Signal):
            self._signal(action)
        elif isinstance(action, Drain):
            need(not self.live, f"the drain begins while {sorted(self.live)} are there")
            self._answers.append(self.escaped.drain(action.signal))
        elif isinstance(action, RunHelper | EndHelper) and action.name.startswith("zygote:"):
            self.nursery.perform(action)
        elif isinstance(action, RunLoader):
            need(not self._loading, "the loader is started while it runs")
            self._loading = True
            delay, answer = self.script.load()
            self._due.schedule(self._now + delay, answer)
        else:
            self._beside.perform(action)

    def _bear(self, spawn: Spawn) -> None:
        need(self.sockets.issuperset(spawn.launch.listen), f"{spawn.worker} is to be given what is not open")
        self._population.expect(spawn)
        conduct = self.script.conduct(spawn, self._now)
        failure = conduct.failure
        if failure is not None and not failure.forked:
            self._answers.append(self._start_failed(spawn.worker, failure))
            return
        process = self._population.add(spawn.worker, conduct)
        self._answers.append(Forked(spawn.worker, process.pid))
        heard = self._now + conduct.exec_after
        if failure is not None:
            self._due.schedule(heard, Word(process, self._start_failed(spawn.worker, failure)))
            return
        self._due.schedule(heard, Word(process, Execed(spawn.worker)))
        for after, fact in process.words(spawn.ready):
            self._due.schedule(heard + after, Word(process, fact))
        if conduct.lives is not None:
            self._due.schedule(self._now + conduct.lives, Death(process, conduct.end))

    def _watch(self, action: Check | Weigh) -> None:
        process = self._population.runs(action.worker)
        told = process.weighed(action) if isinstance(action, Weigh) else process.checked(action.health)
        for after, fact in told:
            self._due.schedule(self._now + after, Word(process, fact))

    def _signal(self, action: Signal) -> None:
        process = self._population.meant_by(action)
        tree, conduct = action.scope == "tree", process.conduct
        if action.signal == SIGKILL:
            if tree and process.rest is not None:
                process.rest = Rest(ends_after=0.0) if self._random.random() < 0.5 else None
            self._end(process, self._now, End(None, int(SIGKILL)))
        elif action.signal != SIGCONT:
            if tree and process.rest is not None and process.rest.heeds_stop:
                process.rest = Rest(ends_after=0.0) if process.reaped else None
            if conduct.obeys_after is not None or process.reaped:
                self._end(process, self._now + (conduct.obeys_after or 0.0), conduct.stopped)

    def _end(self, process: Process, time: float, end: End) -> None:
        """Whoever was signalled ends at this time; a later death of the same process is then no news."""
        if not process.reaped:
            self._due.schedule(time, Death(process, end))
        elif process.rest is None or process.rest.ends_after == 0.0:
            self._due.schedule(time, Clearance(process))

    def _happen(self, due: Due) -> Event | None:
        match due:
            case Death(process, end):
                return None if process.reaped else self._reap(process, end)
            case Clearance(process):
                return self._clear(process)
            case Word(process, fact):
                return self._hear(process, fact)
            case Orphan():
                return Exited(self._population.stranger(self._random), 0, None, Usage(), False, self._random.random())
            case Blow(share, end):
                self._strike(share, end)
            case Escape():
                if self.live:
                    self.escaped.add(due)
                    return Strays(len(self.escaped.there), "somebody")
            case Farewell(pid):
                return self._part(pid)
            case Import() | HelperFall("zygote"):
                self.nursery.happen(due)
                return self._answers.popleft() if self._answers else None
            case HelperFall() | Instant() | Knock():
                return self._beside.happen(due, self._random.random())
            case Loaded() | LoadFailed():
                self._loading = False
                return due
            case _:
                return due
        return None

    def _strike(self, share: float, end: End) -> None:
        leaders = [one for one in self.live.values() if not one.reaped]
        for process in self._random.sample(leaders, round(share * len(leaders))):
            self._due.schedule(self._now, Death(process, end))

    def _part(self, pid: int) -> Event | None:
        over = self.escaped.part(pid)
        if over:
            self._answers.append(Left(0))
        return None if over is None else Exited(pid, 0, None, Usage(), False, self._random.random())

    def _hear(self, process: Process, fact: News) -> Event | None:
        """News from a process that was reaped meanwhile is no news; a failed start ends it."""
        if process.reaped:
            return None
        if isinstance(fact, MainPid):
            self._population.rename(process)
            return MainPid(process.worker, process.pid)
        if isinstance(fact, StartFailed):
            self._due.schedule(self._now, Death(process, End(127)))
        return fact

    def _reap(self, process: Process, end: End) -> Event:
        process.reaped = True
        rest = process.rest
        if rest is None:
            self._population.remove(process.pid)
        elif rest.ends_after is not None:
            self._due.schedule(self._now + rest.ends_after, Clearance(process))
        usage = Usage(0.25, 1 << 20)
        return Exited(process.pid, end.exit_code, end.signal, usage, rest is not None, self._random.random())

    def _clear(self, process: Process) -> Event | None:
        if self.live.get(process.pid) is not process:
            return None
        self._population.remove(process.pid)
        return TreeEnded(process.pid)

    def _start_failed(self, worker: WorkerId, failure: Failure) -> StartFailed:
        reason = f"{failure.stage} fails with errno {failure.errno}"
        return StartFailed(worker, failure.stage, failure.errno, reason, self._random.random())
