"""Random histories: a site, what becomes of every spawn, what an operator and bad luck do, and when faults stop.

A history is a function of its seed (and of what the manager does). It knows nothing of the policy's insides.
Times are small multiples of a quarter of a second, so that many things fall on one instant.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Callable
from errno import EACCES, EADDRINUSE, EAGAIN, ENOENT, ENOMEM, ETXTBSY
from functools import cache
from random import Random

from procman.choices import Doing
from procman.kernel.world.script import Blow, Conduct, End, Escape, Failure, HelperFall, Incident, Orphan, Rest, Wish
from procman.plan import (
    Plan,
    to_json,
)
from procman.policy.events import GoodPlan, Load, Loaded, LoadFailed, ReopenLog, ShutDown, Spawn, ZygoteOrder
from procman.policy.events.requests import (
    Asked,
    Departed,
    Down,
    Operate,
    Reload,
    Request,
    Rollback,
    Scale,
    Selector,
    SendSignal,
    ShowPlan,
    ShowStatus,
)
from procman.policy.helpers.helpers import pump_of
from tests.simulation import random_plans
from tests.simulation.random_plans import GROUPS

ENDS = (End(0), End(0), End(1), End(1), End(3), End(None, 9), End(None, 11), End(None, 15))
FAILURES = (
    Failure("listen", EADDRINUSE, forked=False),
    Failure("fork", EAGAIN, forked=False),
    Failure("fork", ENOMEM, forked=False),
    Failure("cwd", ENOENT, forked=True),
    Failure("exec", ENOENT, forked=True),
    Failure("exec", EACCES, forked=True),
    Failure("exec", ETXTBSY, forked=True),
    Failure("exec", ETXTBSY, forked=False),
)
RESTS = (Rest(), Rest(heeds_stop=True), Rest(0.5), Rest(0.0), Rest(30.0, heeds_stop=True))
ESCAPES = (Escape(), Escape(0.5), Escape(None), Escape(3.0), Escape(0.25, heirs=2), Escape(None, mortal=False))
MOODS = ((), (), ((0.5, False),), ((0.25, False), (0.5, True)), ((0.0, True), (1.0, False), (2.0, True)))
WORDS: tuple[tuple[tuple[float, Doing | float], ...], ...] = (
    *((), (), ((0.25, 2.0),), ((0.0, 4.0), (0.5, 0.25)), ((0.75, "reloading"), (1.0, ""))),
    *(((0.25, "stopping"),), ((0.25, "stopping"), (1.0, "")), ((1.0, 3.0), (2.0, 3.0), (3.0, 3.0))),
)
SPAWNS = 30
"""After so many, and two a worker, faults stop although their time is not over: some restart for ever and at once."""


class History:
    """One history; the script of its world (`kernel.script.Script`)."""

    def __init__(self, seed: int, plan: Plan | None = None) -> None:
        """A random site, or the one given."""
        self.random = random = Random(seed)
        self.plan = plan or random_plans.site(random)
        self.stop_timeout = random.choice((None, None, None, 3.0))
        """The core's own bound, as at process 1."""
        self.calm_from = random.choice((2.0, 10.0, 20.0, 60.0))
        """From this moment on every spawn succeeds, lives and obeys."""
        self.trouble = random.choice((0.1, 0.4, 0.8))
        self._clients = 0
        self.agenda = self._agenda()
        self.lag = random.choice((0.0, 0.0, 0.0, 0.125))
        """Seconds by which the world hears of a deadline too late."""
        self.on_settled: Callable[[float], None] = lambda _now: None
        """Called once nothing is due any more; raises if the world is not as wanted."""
        self._spawns = 0
        self._limit = SPAWNS + 2 * sum(group.workers for group in self.plan.groups)
        self._failed_at = -1.0
        self._loads = 0

    def conduct(self, spawn: Spawn, now: float) -> Conduct:
        """Whatever can go wrong with a process, until faults stop."""
        self._spawns += 1
        random = self.random
        exec_after = random.choice((0.0, 0.0, 0.25))
        if now >= self.calm_from or self._spawns > self._limit:
            return Conduct(exec_after=exec_after, lives=0.5 if self._is_job(spawn) else None)
        if random.random() < self.trouble * 0.25 or (self._failed_at == now and random.random() < 0.5):
            self._failed_at = now  # what fails one start often fails the next as well
            return Conduct(random.choice(FAILURES), exec_after)
        return Conduct(
            exec_after=exec_after,
            lives=random.choice((0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 8.0)) if random.random() < self.trouble else None,
            end=random.choice(ENDS),
            obeys_after=random.choice((0.0, 0.0, 0.25, 1.0, 3.0, None)),
            stopped=random.choice((End(None, 15), End(0), End(1), End(None, 11))),
            rest=random.choice(RESTS) if random.random() < 0.2 else None,
            ready_after=random.choice((0.0, 0.0, 0.25, 1.0, None)),
            gives_up=random.random() < 0.3,
            moods=random.choice(MOODS),
            words=random.choice(WORDS),
            hands_over=random.choice(((), (), (), (0.25,), (0.0, 1.0), (1.5,))),
            outgrows=random.choice((0, 0, 1, 3)),
            checks=tuple(random.random() < 0.5 for _ in range(random.choice((0, 0, 3, 6)))),
        )

    def _is_job(self, spawn: Spawn) -> bool:
        named = (group for group in self.plan.groups if group.name == spawn.worker.group)
        return any(group.kind == "job" and group.restart.when != "always" for group in named)

    def imports(self, _order: ZygoteOrder, now: float) -> tuple[float, bool]:
        """An import takes its time, and may fail until faults stop."""
        self._spawns += 1
        random = self.random
        calm = now >= self.calm_from or self._spawns > self._limit
        return random.choice((0.0, 0.25, 1.0)), calm or random.random() >= self.trouble * 0.4

    def load(self) -> tuple[float, Loaded | LoadFailed]:
        """The first load gives the site, a later one some change of it, or an error."""
        random = self.random
        self._loads += 1
        if random.random() < (0.03 if self._loads == 1 else 0.15):
            return random.choice((0.0, 0.5)), LoadFailed("site.toml: 1 error", "site.toml:1:1: no")
        good = self._good() if self._loads == 1 else ()
        if self._loads > 1:
            self.plan = random_plans.changed(random, self.plan)
        return random.choice((0.0, 0.25, 1.0)), Loaded(self.plan, digest_of(self.plan), written(self.plan), good)

    def _good(self) -> tuple[GoodPlan, ...]:
        """What a procman of before has kept: perhaps what is run now, perhaps something that means nothing any more."""
        random, plans = self.random, [self.plan]
        for _ in range(random.choice((0, 0, 0, 1, 3, 5))):
            plans.append(random_plans.changed(random, plans[-1]))
        same = [GoodPlan(digest_of(self.plan), written(self.plan))] if random.random() < 0.5 else []
        others = [GoodPlan(digest_of(plan), written(plan) if random.random() < 0.8 else "{}") for plan in plans[1:]]
        return (*same, *others)[:5]

    def quiet(self, now: float) -> Wish:
        """Nothing is due: the world must be as wanted; then the end."""
        self.on_settled(now)
        return ShutDown("the history ends")

    def _agenda(self) -> list[tuple[float, Incident]]:
        random = self.random
        agenda = [(self._instant(), self._incident()) for _ in range(random.choice((0, 2, 4, 8)))]
        agenda += [(self._instant(), random.choice(ESCAPES)) for _ in range(random.choice((0, 0, 1, 3)))]
        agenda += [(self._instant(), HelperFall()) for _ in range(random.choice((0, 0, 1, 4)))]
        agenda += [(self._instant(), HelperFall("zygote")) for _ in range(random.choice((0, 1, 4)))]
        if random.random() < 0.4:
            first = self._instant()
            agenda.append((first, ShutDown("SIGTERM", now=random.random() < 0.2)))
            again = [first + random.choice((0.0, 0.25, 0.5, 2.0)) for _ in range(random.randrange(3))]
            agenda += [(moment, ShutDown("SIGTERM")) for moment in again]
        for _ in range(random.choice((0, 0, 2, 6))):
            agenda += self._visit(self._instant())
        if pump_of(self.plan):
            agenda += [(self._instant(), HelperFall("pump")) for _ in range(random.choice((0, 0, 1, 4)))]
        return agenda

    def _visit(self, moment: float) -> list[tuple[float, Incident]]:
        """An operator comes, and may not stay for the answer."""
        self._clients += 1
        random, visit = self.random, Asked(self._clients, _request(self.random), self.random.random() < 0.7)
        leaves = moment + random.choice((0.25, 1.0, 5.0))
        return [(moment, visit), *([(leaves, Departed(self._clients))] if random.random() < 0.2 else [])]

    def _instant(self) -> float:
        return self.random.randrange(int(self.calm_from * 4)) / 4

    def _incident(self) -> Incident:
        random = self.random
        match random.randrange(8):
            case 0 | 1 | 2 | 3:
                return Load()
            case 4:
                return Orphan()
            case 5:
                return ReopenLog()
            case _:
                return Blow(random.choice((0.5, 1.0)), random.choice(ENDS))


@cache
def digest_of(plan: Plan) -> str:
    """What tells it from others."""
    return f"{crc32(written(plan).encode()):012x}"


@cache
def written(plan: Plan) -> str:
    """A plan as the loader writes it."""
    return f'{{"plan":{to_json(plan)}}}'


def _request(random: Random) -> Request:
    """What an operator may want, and now and then cannot have."""
    targets = tuple(
        Selector(random.choice(GROUPS), random.choice((None, None, 0, 1, 2))) for _ in range(random.choice((1, 1, 2)))
    )
    match random.randrange(14):
        case 0 | 1:
            return Operate("stop", targets)
        case 2 | 3:
            return Operate("start", targets)
        case 4 | 5:
            return Operate("restart", targets)
        case 6 | 7:
            return Scale(random.choice(GROUPS), random.randrange(-1, 5))
        case 8 | 9:
            return SendSignal(random.choice((1, 9, 15)), targets, random.choice(("leader", "tree")))
        case 10 | 11:
            return Reload(reset=random.random() < 0.3)
        case 12:
            return Rollback()
        case _:
            return random.choice((ShowStatus(), ShowPlan(), Down(), Down(now=True)))
