"""The real machine: waits for what happens, starts, signals and reaps processes.

It decides nothing: what it sees becomes facts and wishes, and it does what the actions say. It never polls: with
nothing to do it sleeps until a signal, a descriptor or a deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from time import monotonic

from procman.kernel.guard.guard import Guard as Guarding
from procman.kernel.health.checks import Checks
from procman.kernel.health.scales import Scales
from procman.kernel.helpers.helpers import Helpers
from procman.kernel.helpers.kinds import helper_kinds
from procman.kernel.helpers.loaders import Loaders
from procman.kernel.output.capture import Capture
from procman.kernel.output.pump import Pump
from procman.kernel.proc.descriptors import raise_limit, seal_descriptors
from procman.kernel.spawn.couriers import Couriers
from procman.kernel.spawn.given import Provider
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.spawn.starter import Starter, draw
from procman.kernel.tree.cgroup import Cgroups
from procman.kernel.tree.drain import Drain as Draining
from procman.kernel.tree.lookout import Lookout
from procman.kernel.tree.main_pid import MainPids
from procman.kernel.tree.reaper import Reaper
from procman.kernel.tree.trees import Trees
from procman.kernel.wait.alarms import Alarms
from procman.kernel.wait.poller import Poller
from procman.kernel.wait.signals import SignalPipe
from procman.kernel.wait.timers import Timers
from procman.lean import Protocol, assert_never
from procman.plan import LogPlan
from procman.policy.events import (
    Action,
    AwaitDemand,
    Check,
    ConfigureLog,
    Drain,
    EndHelper,
    Event,
    HelperEnded,
    Identify,
    KeepPlans,
    OpenSockets,
    Print,
    Record,
    ReopenLog,
    Report,
    RunHelper,
    RunLoader,
    Signal,
    Spawn,
    Strays,
    TimePassed,
    TreeEnded,
    Weigh,
    Wish,
    WorkerId,
)
from procman.policy.events.requests import Answer

LOAD_TIMEOUT_S = 30.0
FACTS_IN_A_ROW = 256
"""So many queued facts at most before deadlines and signals have their turn: facts can make facts."""
_LONGEST_SLEEP_S = 86400.0  # epoll counts milliseconds in an int


class Log(Protocol):
    """What the kernel does to the log when it is told to."""

    def configure(self, site: str, log: LogPlan) -> None: ...
    def reopen(self) -> None: ...
    def write(self, records: Sequence[Record]) -> None: ...
    def say(self, text: str) -> None: ...


class LinuxKernel:
    """`loop.Kernel` over Linux. One in a process: signals and children belong to the process as a whole."""

    __slots__ = (
        "_alarms", "_cgroups", "_checks", "_couriers", "_drain", "_facts", "_facts_in_a_row", "_guard", "_helpers",
        "_loaders", "_log", "_lookout", "_poller", "_reaper", "_scales", "_signals", "_spawner", "_starter", "_trees",
        "ask", "pump", "tell", "timers",
    )  # fmt: skip

    def __init__(
        self,
        poller: Poller,
        log: Log,
        loader_argv: Sequence[str],
        providers: Sequence[Provider] = (),
        library: str = "[]",
        *,
        load_timeout_s: float = LOAD_TIMEOUT_S,
    ) -> None:
        seal_descriptors()
        self._poller, self._log = poller, log
        self._facts: deque[Event] = deque()
        self.tell = self._facts.append  # has `wait` give an event, in its turn
        self._facts_in_a_row = 0
        self._lookout = Lookout(poller)
        self._cgroups = Cgroups()
        self._trees = Trees(self._lookout, self._tell_of_trees, self._children_of_its_own, self._cgroups.members)
        self._drain = Draining(poller, self._facts.append, self._children_of_its_own, self._cgroups.members)
        self._signals = SignalPipe(poller, self._signalled)  # before the first child: CHLD may be ignored still
        self._spawner = Spawner(nofile=raise_limit())
        self._guard = Guarding(self._spawner, lambda reason: self.tell(HelperEnded("guard", reason, draw())))
        self._alarms = Alarms()
        self._checks = Checks(poller, self._spawner, self._alarms, self._facts.append, self._guard.told)
        self._scales = Scales(self._alarms, self._facts.append)
        self.pump = Pump(
            poller, self._spawner, lambda reason: self.tell(HelperEnded("pump", reason, draw())), self.tell
        )
        self.pump.ready = self._checks.shown
        self._couriers = Couriers(self._guard.told)
        given_by: tuple[Provider, ...] = (self._cgroups, Capture(self.pump), *providers, self._checks, self._scales)
        self._starter = Starter(poller, self._spawner, given_by, self._couriers, self._facts.append, self._begun)
        self._checks.named = MainPids(poller, self._trees, self._starter, self._guard, self._facts.append).named
        kinds = helper_kinds(poller, self._spawner, self._guard, self.pump, library, self.tell, log.write)
        kinds["zygote"] = lambda name, _tell: self._starter.zygote(name)
        self._helpers = Helpers(kinds, self.tell)
        self._loaders = Loaders(poller, self._spawner, loader_argv, load_timeout_s, self._facts.append)
        self.ask = self._loaders.ask  # has the loader answer a question
        owners = self._loaders, self._checks, self._helpers, self._couriers
        self._reaper = Reaper(
            self._facts, self._trees, self._starter, self._guard, self._drain, owners, self._checks.hear_out
        )
        self.timers = Timers(self._loaders, self.pump, self._alarms)

    def now(self) -> float:
        """See `loop.Kernel`."""
        return monotonic()

    def wait(self, deadline: float | None) -> Event:
        """See `loop.Kernel`. So many facts in a row, deaths included, before deadlines and signals have a turn."""
        self._trees.turn_over()
        while True:
            if self._facts and self._facts_in_a_row < FACTS_IN_A_ROW:
                self._facts_in_a_row += 1
                return self._facts.popleft()
            self._facts_in_a_row = 0
            now = monotonic()
            if deadline is not None and now >= deadline:
                return TimePassed()
            self.timers.due(now)
            if self._facts:
                self._poller.poll(0)
            elif self._reaper.due:
                self._reaper.tell()
            elif self._lookout.due:
                self._trees.settle()
            elif self._drain.due:
                if self._drain.look():
                    self._reaper.look_again()
            else:
                self._poller.poll(self._timeout(deadline, now))

    def perform(self, action: Action) -> None:
        """See `loop.Kernel`."""
        match action:
            case Spawn():
                self._trees.expect(action)
                self._starter.start(action)
            case Signal():
                self._trees.signal(action)
            case Drain() | Report("stopping"):
                self._end(action)
            case RunHelper():
                self._helpers.run(action.name, action.order)
                self._guard.spare(self._helpers.pids())
            case EndHelper():
                self._helpers.end(action.name)
            case RunLoader():
                self._guard.told(self._loaders.load())
            case Print():
                self._log.say(action.text)
            case ConfigureLog() | Identify():
                self._adopt(action)
            case ReopenLog():
                self._log.reopen()
                self.pump.reopen()
            case Check() | Weigh():
                self._watch(action)
            case Answer() | KeepPlans() | OpenSockets() | AwaitDemand() | Report():
                pass  # for those who stand before it: whoever serves the clients, and who has the sockets
            case _:
                assert_never(action)

    def _end(self, action: Drain | Report) -> None:
        if isinstance(action, Drain):
            self._drain.signal(action.signal)
        else:  # but first what is said of this turn is written
            self._alarms.set(self.now(), self._cgroups.go_home)

    def _watch(self, action: Check | Weigh) -> None:
        if isinstance(action, Check):
            self._checks.begin(action)
        else:
            self._scales.weigh(action)

    def _adopt(self, plan: ConfigureLog | Identify) -> None:
        """What a plan says of the site, for those who tell it to workers and to the log."""
        if isinstance(plan, Identify):
            self._spawner.identify(plan.digest, plan.commit)
            return
        for one in (self._spawner, self._trees):
            one.serve(plan.site)
        self._log.configure(plan.site, plan.log)
        if notices := self._cgroups.serve(plan.site):
            self._log.write(notices)
        self._guard.cgroup = self._cgroups.site, self._cgroups.home

    def close(self) -> None:
        """End the helpers and release the descriptors. Workers are the manager's; handlers stay till the end."""
        self._helpers.close()
        self._loaders.close()
        self._drain.close()
        self._starter.close()
        self._trees.close()
        self._cgroups.close()
        self._checks.close()
        self._signals.close()
        self._spawner.close()

    # --- waiting ---------------------------------------------------------------------------------------

    def _signalled(self, wishes: list[Wish]) -> None:
        self._reaper.look_again()  # after any signal: the pipe may have been full when CHLD came
        self._facts.extend(wishes)

    def _timeout(self, deadline: float | None, now: float) -> float | None:
        deadline = self.timers.least(deadline)
        return None if deadline is None else min(max(deadline - now, 0.0), _LONGEST_SLEEP_S)

    def _begun(self, worker: WorkerId, pid: int) -> None:
        self._reaper.is_given_away(pid)
        self._trees.begun(pid, worker, self._cgroups.leaf(worker))
        self._guard.told(pid, worker.group)

    def _tell_of_trees(self, fact: TreeEnded | Strays) -> None:
        if isinstance(fact, TreeEnded):
            self._guard.forget(fact.pid)
        self._facts.append(fact)

    def _children_of_its_own(self) -> set[int]:
        """The pids of children that are no workers."""
        return self._helpers.pids() | self._loaders.pids() | {*self._checks.pids(), *self._couriers.pids()}
