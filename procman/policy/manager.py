"""The site: one function from events to actions. It orders groups, applies plans, ends the site.

`handle` is the only way in. It never touches a process, a clock or the log; it hands values to those who do.
"""

from __future__ import annotations

from collections.abc import Mapping

from procman.lean import assert_never, least
from procman.plan import Plan
from procman.policy import events
from procman.policy.events.requests import Accepted, Asked, Departed
from procman.policy.group import hand
from procman.policy.group.follow import follow
from procman.policy.group.order import Order
from procman.policy.group.rollout import roll
from procman.policy.group.runs import called
from procman.policy.group.supervisor import Supervisor
from procman.policy.helpers.helpers import Helpers
from procman.policy.helpers.zygotes import Zygotes
from procman.policy.site.adopt import Effects, adopt, identity, say
from procman.policy.site.census import Census
from procman.policy.site.closing import Closing
from procman.policy.site.configuration import Configuration
from procman.policy.site.deadlines import Deadlines, tell_due
from procman.policy.site.ending import Phase, Stock, end_with
from procman.policy.site.leaders import Leaders
from procman.policy.site.operator import Operator
from procman.policy.site.probation import Version
from procman.policy.site.sockets import Sockets
from procman.policy.site.upward import Upward
from procman.policy.site.waits import Wait
from procman.policy.step import Step
from procman.policy.worker.worker import Generations

EXIT_INVALID_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h."""


class Manager:
    """Decides for a whole site."""

    def __init__(self, stop_timeout: float | None = None) -> None:
        """`stop_timeout` (seconds) bounds the shutdown where the plan does not; None is no bound."""
        self.phase = Phase.LOADING
        self.exit_code: int | None = None
        """Set once everything is over: the loop returns it."""
        self.last_word: events.Notice | None = None
        """Why, as the log's last line says it."""
        self.plan: Plan | None = None
        self.digest = ""
        self.identity: Mapping[str, object] = {}
        """What tells the configuration in force from others, as the log has it."""
        self.groups: dict[str, Supervisor] = {}
        self.census = Census()
        self._leaders = Leaders(self.census)
        self._generations: Generations = {}
        self._order = Order(self.groups)
        self._stock, self._upward = Stock(), Upward()
        self._helpers = Helpers()
        self.losses = self._helpers.losses
        self.zygotes = Zygotes(self._helpers)
        self._sockets = Sockets()
        self._operator = Operator()
        self._deadlines = Deadlines()
        self._configuration = Configuration()
        self._closing = Closing(self._order, self._configuration, self._helpers, stop_timeout)

    def deadline(self) -> float | None:
        """The instant at which the manager wants to hear `TimePassed`; None if only events matter."""
        mine = (*self._closing.deadlines, self._helpers.deadline, self._configuration.deadline)
        return least((self._deadlines.least(), *mine))

    def handle(self, event: events.Event, now: float) -> events.Outcome:
        """Record what happened or is wanted, move everything towards what is wanted, say what to do."""
        step = Step(now, self._configuration.trial)
        self._configuration.judge(self, step)
        match event:
            case events.Exited() | events.TreeEnded() | events.Strays() | events.MainPid():
                self._leaders.ended(event, self.groups, step)
            case events.Forked() | events.Execed() | events.StartFailed():
                self._leaders.started(event, self.groups, step)
            case (
                events.Ready()
                | events.Unready()
                | events.Checked()
                | events.Said()
                | events.Extended()
                | events.Outgrown()
            ):
                self._leaders.felt(event, self.groups, step)
            case events.Left() | events.TimePassed() | events.ReopenLog():
                self._elsewhere(event, step)
            case (
                events.HelperEnded()
                | events.HelperReady()
                | events.HelperFailed()
                | events.OutputLost()
                | events.Touched()
            ):
                self._told_of_helper(event, step)
            case events.Load():
                self._configuration.want(self.phase, step)
            case events.Loaded() | events.LoadFailed():
                self._loaded(event, step)
            case events.Due() | events.Demanded():
                called(event, self.groups if self.phase is Phase.RUNNING else {}, step)
            case events.ShutDown():
                self._closing.asked(event, self, step)
            case Asked() | Departed():
                self._heard(event, step)
            case _:
                assert_never(event)
        self._configuration.conclude(self, step)
        self._configuration.keep(step)
        self._follow(step)
        self.zygotes.start(step)
        self._upward.look(self.phase, self._configuration.loads.busy, step)
        self._operator.tell(event, self, step)
        for deadline, worker in step.deadlines:
            self._deadlines.push(deadline, worker)
        return step.outcome(self.identity)

    def _elsewhere(self, fact: events.Left | events.TimePassed | events.ReopenLog, step: Step) -> None:
        """What is about no worker in particular."""
        match fact:
            case events.Left():
                self._closing.hear(fact, self, step)
            case events.TimePassed():
                self._time_passed(step)
            case events.ReopenLog():
                step.actions.append(fact)

    def _time_passed(self, step: Step) -> None:
        self._closing.overdue(self, step)
        tell_due(self._deadlines, self.groups, step)
        self._helpers.due(step)
        self._closing.due(self, step)

    def _told_of_helper(self, fact: events.FactOfHelper, step: Step) -> None:
        match fact:
            case events.Touched():
                for plan in self.plan.groups if self.plan and self.phase is Phase.RUNNING else ():
                    group = self.groups[plan.name]
                    if plan.name == fact.group and not self.zygotes.renew(plan, group, step):
                        hand.refresh(group, step)
            case events.HelperReady("watch") | events.HelperFailed("watch"):
                if self._helpers.told(fact, step):  # what has changed while there was none, nobody has seen
                    self._configuration.look(self.phase, step)
            case events.HelperEnded() | events.OutputLost():
                self._helpers.hear(fact, step)
            case events.HelperReady():
                self.zygotes.ready(fact, self.groups, step)
                self._open_sockets(step)
            case events.HelperFailed():
                self.zygotes.failed(fact, self.groups, step)
                self._configuration.refused(self.groups)

    def _heard(self, event: Asked | Departed, step: Step) -> None:
        if isinstance(event, Departed):
            self._configuration.loads.forget(event.client)
        self._closing.asked(self._operator.hear(event, self, step), self, step)
        self._open_sockets(step)

    # --- configuration -----------------------------------------------------------------------------------

    def reload(self, asked: Asked, step: Step) -> None:
        """A client wants the configuration read again. Raises RefusedError if the site is ending."""
        self._configuration.want(self.phase, step, asked)

    def roll_back(self, wait: Wait, step: Step) -> Accepted:
        """A client wants the last good plan back. Raises RefusedError where there is none."""
        return self._configuration.roll_back(wait, self, step)

    def _loaded(self, result: events.Loaded | events.LoadFailed, step: Step) -> None:
        goes_on = self._configuration.loaded(result, self, self._operator, step)
        if not isinstance(result, events.LoadFailed):
            return
        if self.phase is Phase.RUNNING:
            step.notice("config.rejected", "error", result.reason, digest=self.digest, diagnostics=result.diagnostics)
        elif not goes_on:
            step.notice("config.rejected", "error", result.reason)
            step.actions.append(events.Print(result.diagnostics))
            self._closing.drain(self, EXIT_INVALID_CONFIGURATION, result.reason, step)

    def apply(self, version: Version, step: Step, back: str = "", fresh: frozenset[str] = frozenset()) -> Effects:
        """Run this plan from now on; `back` is why, if it is one of before. What that does to the groups, of which
        those in `fresh` get a fresh budget.
        """
        plan, digest, _ = version
        old, self.plan, self.digest, self.identity = self.plan, plan, digest, identity(plan, digest)
        adopt(old, plan, digest, self._helpers, step)
        effects = say(old, version, back, step)
        if old is None:
            self.phase = Phase.RUNNING
        fresh = fresh.union(name for name in self.groups if not self._order.knows(name))  # gone, and perhaps back
        self._order.follow(plan)
        for name, supervisor in self.groups.items():
            if not self._order.knows(name):
                supervisor.hand.forget()
                follow(supervisor, supervisor.plan._replace(workers=0), step)
        for group in [self.zygotes.admit(group, self.groups.get(group.name), step) for group in plan.groups]:
            self.groups.setdefault(group.name, Supervisor(group, self._generations))
            follow(self.groups[group.name], group, step, fresh=group.name in fresh)
            roll(self.groups[group.name], step)  # before others look whether they may start after it
        for group in plan.groups:
            self._order.release(self.groups[group.name], step)
        self._open_sockets(step)
        return effects

    def _open_sockets(self, step: Step) -> None:
        if self.plan is not None and self.phase is Phase.RUNNING:
            followed = [self.groups[group.name].plan for group in self.plan.groups]
            self._sockets.follow(self.plan, followed, step)

    def _follow(self, step: Step) -> None:
        """Carry what changed in one group to those that depend on it, and to the site."""
        while step.moved:
            name, _ = step.moved.popitem()
            group, planned = self.groups[name], self._order.knows(name)
            roll(group, step)
            self._stock.take(group, planned)
            self.zygotes.look(group, step)
            if not planned and not group.slots:
                del self.groups[name]
            if self.phase is Phase.RUNNING and planned and (ending := end_with(group, self.plan, self._stock)):
                self._closing.begin(self, *ending, step)
            if self.phase is Phase.RUNNING:
                self._upward.take(group, planned)
                for one in (name, *self._order.dependents(name)) if planned else ():
                    self._order.release(self.groups[one], step)
            elif self.phase is Phase.STOPPING and not group.live:
                self._order.lower(group, step)
        if self._stock.busy:
            return
        if self.phase is Phase.STOPPING:
            self._closing.goes_on(self, step)
        elif self.phase is Phase.RUNNING and not self._configuration.loads.busy:
            self._closing.drain(self, *self._stock.outcome, step)
