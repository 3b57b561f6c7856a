"""Random plans, and what a reload may change of one. Times are small multiples of a quarter of a second."""

from __future__ import annotations

from random import Random

from procman.choices import Condition, Orphans, When
from procman.plan import (
    Backoff,
    GroupPlan,
    Health,
    Launch,
    Listen,
    Plan,
    Python,
    Ready,
    Recycle,
    ReloadPlan,
    Restart,
    Stop,
    Update,
)

GROUPS = ("db", "api", "web")
WHEN: tuple[When, ...] = ("always", "on-failure", "on-failure", "on-failure", "never")
CONDITIONS: tuple[Condition, ...] = ("started", "ready", "completed", "ended")
SOCKETS = ((), (), (Listen("web", "tcp", "::1", 80),), (Listen("web", "tcp", "::1", 80), Listen("in", "unix", "/in")))
UPDATES = (
    *(Update(), Update(), Update(parallel=2), Update(pause=1.0), Update(parallel=9)),
    *(Update("start-first"), Update("start-first", pause=1.0), Update("start-first", parallel=2)),
)
RECYCLE = (
    *(Recycle(), Recycle(), Recycle(), Recycle()),
    *(Recycle(2.0, None, 0.0), Recycle(3.0, 1 << 20, 0.5), Recycle(None, 1 << 20)),
)
READY = (
    *(None, None, None, Ready("notify", timeout=1.0), Ready("http", timeout=2.0), Ready("fd", timeout=30.0)),
    *(Ready("delay", delay=0.5), Ready("delay", delay=2.0)),
)
HEALTH = (
    *(None, None, None, Health("http", interval=0.5, failures=2), Health("watchdog", interval=1.0, failures=1)),
    *(Health("tcp", interval=0.25, failures=2, dump=6), Health("exec", interval=0.5, failures=2, on_failure="ignore")),
)


def site(random: Random) -> Plan:
    """Up to three groups, each of which may wait for those before it."""
    names = GROUPS[: random.choice((1, 2, 2, 3))]
    groups = tuple(_group(random, name) for name in names)
    exit_code_from = None
    if random.random() < 0.15:
        exit_code_from = groups[0].name
        groups = (groups[0]._replace(workers=1), *groups[1:])
    stop_timeout = random.choice((None, None, None, 2.0, 6.0))
    orphans: Orphans = random.choice(("end", "end", "keep"))
    plan = Plan("site", groups, stop_timeout=stop_timeout, exit_code_from=exit_code_from, orphans=orphans)
    return plan._replace(reload=_reload(random))


def _reload(random: Random) -> ReloadPlan:
    probation = random.choice((None, 0.5, 2.0, 5.0))
    return ReloadPlan(probation, rollback=random.random() < 0.8, probation_failures=random.choice((1, 2, 3)))


def _group(random: Random, name: str) -> GroupPlan:
    after = tuple((one, random.choice(CONDITIONS)) for one in GROUPS[: GROUPS.index(name)] if random.random() < 0.5)
    restart = _restart(random)
    job = restart.when != "always" and random.random() < 0.25
    return GroupPlan(
        name,
        random.choice(
            (
                Launch(("serve",), "/", listen=random.choice(SOCKETS), adopt=name == GROUPS[0]),
                Launch((), "/", listen=random.choice(SOCKETS), python=Python("app:serve")),
            )
        ),
        kind="job" if job else "service",
        workers=random.choice((1, 1, 2, 2, 3)),
        restart=restart,
        stop=_stop(random),
        after=after,
        requires=tuple(one for one, condition in after if condition == "ready" and random.random() < 0.5),
        update=random.choice(UPDATES),
        ready=None if job else random.choice(READY),
        health=None if job else random.choice(HEALTH),
        recycle=Recycle() if job else random.choice(RECYCLE),
    )


def _restart(random: Random) -> Restart:
    return Restart(
        when=random.choice(WHEN),
        success_codes=random.choice(((0,), (0,), (0, 3))),
        success_signals=random.choice(((), (), (15,))),
        max_restarts=random.choice((0, 1, 2, 3, 100)),
        window=random.choice((None, None, 2.0, 10.0)),
        backoff=random.choice((None, Backoff(0.5, 2.0, 1.5, 0.0), Backoff(0.25, 2.0, 30.0, 0.5))),
        reset_after=random.choice((1.0, 5.0, 60.0)),
        strategy=random.choice(("one-for-one", "one-for-one", "one-for-all")),
        on_exhausted=random.choice(("shutdown", "stop", "ignore", "ignore")),
    )


def _stop(random: Random) -> Stop:
    return Stop(
        random.choice((15, 15, 2)),
        random.choice((0.5, 2.0, 8.0)),
        random.choice(("tree", "tree", "leader")),
        random.choice((0.0, 0.0, 0.25, 2.0)),
    )


def changed(random: Random, plan: Plan) -> Plan:
    """The plan with one thing changed, or none."""
    groups = list(plan.groups)
    index = random.randrange(len(groups))
    group = groups[index]
    match random.randrange(8):
        case 0:
            return plan
        case 7:
            ready, health = random.choice(READY), random.choice(HEALTH)
            groups[index] = group._replace(ready=ready, health=health) if group.kind == "service" else group
        case 1 | 2:
            launched = random.choice(
                ({"env": (("RELEASE", str(random.randrange(9))),)}, {"listen": random.choice(SOCKETS)})
            )
            launch = group.launch._replace(**launched)
            groups[index] = group._replace(launch=launch)
        case 3:
            workers = 1 if plan.exit_code_from == group.name else random.randrange(4)
            groups[index] = group._replace(workers=workers)
        case 4:
            when = group.restart.when if group.kind == "job" else random.choice(WHEN)
            groups[index] = group._replace(restart=_restart(random)._replace(when=when))
        case 5:
            rule = random.choice(
                ({"stop": _stop(random)}, {"update": random.choice(UPDATES)}, {"recycle": random.choice(RECYCLE)})
            )
            groups[index] = group._replace(**rule)
        case _:
            return _regrouped(random, plan)
    return plan._replace(groups=tuple(groups))


def _needed(plan: Plan, name: str) -> bool:
    return any(name in dict(group.after) for group in plan.groups)


def _regrouped(random: Random, plan: Plan) -> Plan:
    """The plan without its last group, or with one more."""
    if len(plan.groups) > 1 and random.random() < 0.5 and not _needed(plan, plan.groups[-1].name):
        kept = plan.groups[:-1]
        named = plan.exit_code_from if plan.exit_code_from in {group.name for group in kept} else None
        return plan._replace(groups=kept, exit_code_from=named)
    names = {group.name for group in plan.groups}
    if not names < set(GROUPS):
        return plan
    added = tuple(_group(random, name) for name in GROUPS if name not in names)[:1]
    return plan._replace(groups=plan.groups + added)
