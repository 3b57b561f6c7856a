"""A small world enumerated whole: one group, two workers, every interleaving of a handful of events to a depth.

A path is a list of choices; it is played from the start through the shipped loop, with the checkers reading along.
Where it ends, the state is named: if it was seen before, that is all; else its choices are queued, and from there on
nothing goes wrong any more: the world must settle as wanted, then shut down and leave nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from errno import EAGAIN, ETXTBSY
from signal import SIGKILL, SIGTERM
from typing import Any, NamedTuple

from procman.kernel import loop
from procman.plan import Plan
from procman.policy.events import (
    Action,
    Check,
    Checked,
    Drain,
    Event,
    Execed,
    Exited,
    Forked,
    Left,
    Load,
    Loaded,
    Ready,
    Record,
    RunLoader,
    ShutDown,
    Signal,
    Spawn,
    StartFailed,
    State,
    TimePassed,
    TreeEnded,
    Unready,
    Usage,
)
from procman.policy.manager import Manager
from procman.policy.worker.worker import EDGES
from tests.simulation.checker import Checker
from tests.simulation.history import digest_of, written
from tests.simulation.invariants import check_settled, check_step
from tests.simulation.site import SiteBook
from tests.simulation.snapshot import START, snapshot
from tests.simulation.violation import need

LATE = 10.0
"""Seconds: a run this long is stable."""

RARE = (
    *("fork fails", "exec fails", "leaves something", "crashes late", "somebody is left"),
    *("reload", "shut down", "kill", "never will", "is sick"),
)
"""Each of these may happen once on a path."""

CALM = (
    "nobody is left",
    "forked",
    "loaded",
    "dies",
    "tree ends",
    "gives up",
    "execs",
    "shows itself",
    "obeys",
    "time passes",
)
"""What happens once nothing goes wrong any more, the first that can."""


class Choice(NamedTuple):
    """One thing that may happen now."""

    name: str
    pid: int = 0


class SeenError(BaseException):
    """The path has led to a state that is known. No defect, so that the loop does not take it for one."""


class Leader:
    """A process of the small world."""

    __slots__ = ("checked", "execed", "failed", "killed", "mute", "reaped", "told", "worker")

    def __init__(self, spawn: Spawn) -> None:
        self.worker = spawn.worker
        self.mute = spawn.ready is not None
        """Whether it has still to show that it is ready."""
        self.checked = False
        """Whether it is asked how it is."""
        self.execed = self.failed = self.told = self.killed = self.reaped = False


class SmallWorld:
    """The kernel and the log of one path."""

    def __init__(self, plans: tuple[Plan, Plan], path: Sequence[Choice], known: set[Any], make: Any) -> None:
        self.manager = make()
        self.site = SiteBook(None)
        self.checker = Checker(EDGES, self.site)
        self.choices: list[Choice] = []
        """What may happen where the path ends."""
        self._plans = list(plans)
        self._path = deque(path)
        self._known = known
        self._calm = False
        self._settled = False
        self._now = START
        self._live: dict[int, Leader] = {}
        self._spawning: list[Spawn] = []
        self._loading = False
        self._drains = self._looked = False
        """The drain has begun, and its first look was told."""
        self._left = dict.fromkeys(RARE, 1)
        self._performed: list[Action] = []
        self._event: Event = Load()

    def now(self) -> float:
        return self._now

    def perform(self, action: Action) -> None:
        """Note it; it takes effect when it is chosen."""
        self._performed.append(action)
        if isinstance(action, Spawn):
            self._spawning.append(action)
        elif isinstance(action, Check):
            next(one for one in self._live.values() if one.worker == action.worker).checked = True
        elif isinstance(action, Drain):
            self._drains, self._looked = True, False
        elif isinstance(action, RunLoader):
            self._loading = True
        elif isinstance(action, Signal) and action.signal == SIGKILL:
            self._live[action.pid].killed = True
        elif isinstance(action, Signal):
            self._live[action.pid].told = True

    def write(self, records: Sequence[Record]) -> None:
        """One turn is over."""
        self.checker.step(self._event, self._now, self._performed, records)
        check_step(self.site, self.manager, self._event, self._live)
        self._performed = []

    def wait(self, deadline: float | None) -> Event:
        """What the path says; after its end, what calm says."""
        choices = self._possible(deadline)
        if not self._path and not self._calm:
            name = snapshot((self.manager, self.site, self._live, self._spawning, self._left, self._looked), self._now)
            if name in self._known:
                raise SeenError
            self._known.add(name)
            self._calm, self.choices = True, choices
        if self._calm:
            calm = [choice for name in CALM for choice in choices if choice.name == name]
            self._event = self._happen(calm[0], deadline) if calm else self._quiet()
        else:
            choice = self._path.popleft()
            need(choice in choices, f"the path says {choice}, but there are only {choices}")
            self._event = self._happen(choice, deadline)
        return self._event

    def _quiet(self) -> Event:
        need(not self._settled, "the site was told to end, and sleeps for ever")
        self._settled = True
        if self.site.ending.down_at is None:
            check_settled(self.site, self.manager)
        return ShutDown("calm")

    def _possible(self, deadline: float | None) -> list[Choice]:
        """What may happen now; a spawn is answered before anything else is heard."""
        if self._spawning:
            return self._allowed([Choice("forked"), Choice("fork fails")])
        if self._drains and not self._looked:
            return self._allowed([Choice("nobody is left"), Choice("somebody is left")])
        if self._loading and self.manager.plan is None:
            return [Choice("loaded")]
        choices = [Choice("loaded")] if self._loading else [Choice("reload")]
        choices += [Choice("nobody is left")] if self._drains else []
        for pid, leader in self._live.items():
            choices += [Choice(name, pid) for name in _ways(leader)]
            if deadline is None and "crashes" in _ways(leader):  # else the deadline would come before
                choices.append(Choice("crashes late", pid))
        if deadline is not None:
            choices.append(Choice("time passes"))
        return self._allowed([*choices, Choice("shut down"), Choice("kill")])

    def _allowed(self, choices: list[Choice]) -> list[Choice]:
        return [choice for choice in choices if self._left.get(choice.name, 1)]

    def _happen(self, choice: Choice, deadline: float | None) -> Event:
        name, pid = choice
        if name in self._left:
            self._left[name] -= 1
        match name:
            case "forked":
                pid = next(number for number in range(2, 9) if number not in self._live)
                self._live[pid] = Leader(self._spawning.pop(0))
                return Forked(self._live[pid].worker, pid)
            case "fork fails":
                return StartFailed(self._spawning.pop(0).worker, "fork", EAGAIN, "fork fails", 0.5)
            case "execs" | "exec fails" | "shows itself" | "never will" | "is sick":
                return self._feel(name, self._live[pid])
            case "time passes":
                self._now = max(self._now, deadline or 0.0)
                return TimePassed()
            case "nobody is left" | "somebody is left":
                self._looked = True
                return Left(int(name == "somebody is left"))
            case "reload":
                return Load()
            case "loaded":
                self._loading = False
                return Loaded(plan := self._plans.pop(0), digest_of(plan), written(plan))
            case "shut down" | "kill":
                return ShutDown(name, now=name == "kill")
            case "tree ends":
                del self._live[pid]
                return TreeEnded(pid)
            case _:
                return self._end(name, pid)

    def _feel(self, name: str, leader: Leader) -> Event:
        if name == "execs":
            leader.execed = True
            return Execed(leader.worker)
        if name == "exec fails":
            leader.failed = True
            return StartFailed(leader.worker, "exec", ETXTBSY, "text file busy", 0.5)
        leader.mute = False
        if name == "is sick":
            leader.checked = False
            return Checked(leader.worker, False, "no answer")
        return (Ready if name == "shows itself" else Unready)(leader.worker, "it says so")

    def _end(self, name: str, pid: int) -> Event:
        leftover = name == "leaves something"
        self._live[pid].reaped = True
        if not leftover:
            del self._live[pid]
        if name == "crashes late":
            self._now += LATE
        code = {"exits": 0, "crashes": 1, "crashes late": 1, "leaves something": 1, "gives up": 127}.get(name)
        number = {"obeys": int(SIGTERM), "dies": int(SIGKILL)}.get(name)
        return Exited(pid, code, number, Usage(), leftover, 0.5)


def _ways(leader: Leader) -> list[str]:
    """What may become of a process."""
    if leader.reaped:
        return ["tree ends"]
    if leader.killed:
        return ["dies"]
    if leader.failed:
        return ["gives up"]
    ways = ["obeys"] if leader.told else ["exits", "crashes"]
    ways += ["shows itself", "never will"] if leader.execed and leader.mute else []
    ways += ["is sick"] if leader.checked else []
    return [*ways, "leaves something"] if leader.execed else [*ways, "execs", "exec fails"]


class Explored(NamedTuple):
    """What was seen of a small world."""

    states: int
    paths: int
    edges: Counter[tuple[State, State]]
    notices: Counter[str]


def explore(plans: tuple[Plan, Plan], depth: int, make: Any = Manager) -> Explored:
    """Every path of this many choices, breadth first. A violation is raised with the path that leads to it."""
    known: set[Any] = set()
    edges: Counter[tuple[State, State]] = Counter()
    notices: Counter[str] = Counter()
    paths, queue = 0, deque([list[Choice]()])
    while queue:
        path = queue.popleft()
        paths += 1
        world = SmallWorld(plans, path, known, make)
        try:
            loop.run(world.manager, world, world, Load())
        except SeenError:
            continue
        except AssertionError as finding:
            raise AssertionError(f"{finding}\nafter {[tuple(choice) for choice in path]}") from finding
        edges.update(world.checker.moves.seen)
        notices.update(world.checker.moves.notices)
        if len(path) < depth:
            queue.extend([*path, choice] for choice in world.choices)
    return Explored(len(known), paths, edges, notices)
