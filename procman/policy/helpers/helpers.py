"""procman's own helpers as the policy sees them: which are wanted, by which order, and when each is started again.

A helper that has ended is started again: at once after a stable run, else after a growing delay, for ever, since a site
without it is better than none. What an order says is between whoever wants the helper and the helper.
"""

from __future__ import annotations

from procman import words
from procman.lean import least
from procman.plan import Plan, Restart
from procman.policy.events import (
    Calendar,
    CronEntry,
    EndHelper,
    GuardRules,
    HelperEnded,
    HelperFailed,
    HelperOrder,
    HelperReady,
    OutputLost,
    PumpRules,
    RunHelper,
    WatchList,
)
from procman.policy.helpers.losses import Losses
from procman.policy.step import Step
from procman.policy.worker.restart import Ladder

_POLICY = Restart()
"""Its delays are a group's by default; there is no budget."""


class _Helper:
    """One that is wanted."""

    __slots__ = ("deadline", "ladder", "order", "retired", "started_at", "worked")

    def __init__(self, order: HelperOrder) -> None:
        self.order = order
        self.ladder = Ladder()
        self.started_at = 0.0
        self.retired = False
        self.worked = False
        """Whether it has been at work before, as those say that need time to begin."""
        self.deadline: float | None = None
        """When to start it again; None while it runs."""


class Helpers:
    """Those that are wanted, by name."""

    __slots__ = ("_closed", "_wanted", "losses")

    def __init__(self) -> None:
        self._wanted: dict[str, _Helper] = {}
        self._closed = False
        self.losses = Losses()
        """Workers' lines that the pump could not write."""

    @property
    def deadline(self) -> float | None:
        """When the next one is due to be started again; None if none is."""
        return least([helper.deadline for helper in self._wanted.values()])

    def want(self, name: str, order: HelperOrder | None, step: Step) -> None:
        """Have it run by this order; `None` is the same as `drop`. The order that it has already is not given twice."""
        helper = self._wanted.get(name)
        if order is None:
            self.drop(name, step)
        elif helper is None:
            self._wanted[name] = helper = _Helper(order)
            self._start(name, helper, step)
        elif order != helper.order:
            helper.order = order
            self._start(name, helper, step)

    def drop(self, name: str, step: Step) -> None:
        """Have it run no more."""
        if self._wanted.pop(name, None):
            step.actions.append(EndHelper(name))

    def retire(self, name: str) -> None:
        """Let one run as long as it does, until it is dropped, and not start it again."""
        if (helper := self._wanted.get(name)) is not None:
            helper.retired, helper.deadline = True, None

    def hear(self, fact: HelperEnded | OutputLost, step: Step) -> None:
        """One has ended or could not start, or says that lines are lost."""
        if isinstance(fact, OutputLost):
            self.losses.hear(fact, step)
        else:
            self._ended(fact, step)

    def _ended(self, fact: HelperEnded, step: Step) -> None:
        helper = self._wanted.get(fact.name)
        if helper is None or helper.retired or self._closed:
            return
        delay = helper.ladder.climb(_POLICY, step.now - helper.started_at, fact.draw)
        when = f"in {words.duration(delay)}" if delay else "at once"
        reason = f"{fact.reason}; it is started again {when}"
        step.notice("helper.ended", "warning", reason, helper=fact.name, delay_s=delay)
        helper.deadline = step.now + delay
        self.due(step)

    def told(self, fact: HelperReady | HelperFailed, step: Step) -> bool:
        """It is at work, or cannot be and will end; no group waits for it. True if it is at work again, after a gap."""
        if isinstance(fact, HelperFailed):
            step.notice("helper.failed", "error", f"the {fact.name} failed: {fact.reason}", helper=fact.name)
            return False
        step.notice("helper.ready", "info", fact.warning or f"the {fact.name} is at work", helper=fact.name)
        helper = self._wanted.get(fact.name)
        again = helper is not None and helper.worked
        if helper is not None:
            helper.worked = True
        return again

    def due(self, step: Step) -> None:
        """Start those whose time has come."""
        for name, helper in self._wanted.items():
            if helper.deadline is not None and helper.deadline <= step.now:
                self._start(name, helper, step)

    def close(self) -> None:
        """The site is as good as over: those that run go on until it is, and none is started any more."""
        self._closed = True
        for helper in self._wanted.values():
            helper.deadline = None

    def _start(self, name: str, helper: _Helper, step: Step) -> None:
        helper.deadline, helper.started_at = None, step.now
        step.actions.append(RunHelper(name, helper.order))


def guard_of(plan: Plan) -> GuardRules | None:
    """The order of the guard, which ends the workers if the core is gone; None where they are to be kept."""
    if plan.orphans == "keep":
        return None
    adopting = tuple(group.name for group in plan.groups if group.launch.adopt)
    return GuardRules(plan.name, tuple((group.name, group.stop) for group in plan.groups), adopting)


def calendar_of(plan: Plan) -> Calendar | None:
    """The order of the scheduler, which knows the calendar; None where no job runs by it."""
    entries = [
        CronEntry(group.name, group.schedule.cron, group.schedule.timezone)
        for group in plan.groups
        if group.schedule and group.schedule.cron and group.workers
    ]
    return Calendar(tuple(entries)) if entries else None


def pump_of(plan: Plan) -> PumpRules | None:
    """The order of the pump, which reads what workers say; None where all write for themselves, and nobody looks."""
    kinds = [{group.launch.output.stdout.kind, group.launch.output.stderr.kind} for group in plan.groups]
    looks = any(group.ready and group.ready.by == "log" for group in plan.groups)
    if not looks and not set().union(*kinds) - {"inherit", "null"}:
        return None
    named = [group for group, its in zip(plan.groups, kinds, strict=True) if "prefix" in its]
    widest = max((len(f"{group.name}.{max(group.workers, 1) - 1}") for group in named), default=0)
    return PumpRules(plan.name, plan.output_ring, widest)


def watch_list_of(plan: Plan) -> WatchList | None:
    """The order of the watcher; None where nothing is to be watched."""
    files = plan.sources if plan.reload.watch else ()
    groups = tuple([(group.name, group.watch) for group in plan.groups if group.watch and group.workers])
    includes = plan.origin.includes if plan.reload.watch else ()
    return WatchList(files, groups, includes) if files or groups else None
