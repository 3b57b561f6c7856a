"""How a site comes down: from the wish, or the cause, to the end of whoever is left after its last worker.

Which group goes down before which is said by `order.py`, what a site ends with by itself by `ending.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from procman.lean import TYPE_CHECKING, Protocol
from procman.policy.group.order import Goal
from procman.policy.site.drain import Draining
from procman.policy.site.ending import Phase, Shutdown

if TYPE_CHECKING:
    from procman.plan import Plan
    from procman.policy.events import Left, Notice, ShutDown
    from procman.policy.group.order import Order
    from procman.policy.group.supervisor import Supervisor
    from procman.policy.helpers.helpers import Helpers
    from procman.policy.site.census import Census
    from procman.policy.site.configuration import Configuration
    from procman.policy.step import Step


class Site(Protocol):
    """What comes down, and what of it is changed by that."""

    phase: Phase
    exit_code: int | None
    last_word: Notice | None
    plan: Plan | None
    digest: str
    identity: Mapping[str, object]
    groups: dict[str, Supervisor]
    census: Census


class Closing:
    """How far it is."""

    __slots__ = ("_configuration", "_draining", "_helpers", "_order", "_shutdown", "_stop_timeout")

    def __init__(
        self, order: Order, configuration: Configuration, helpers: Helpers, stop_timeout: float | None
    ) -> None:
        """`stop_timeout` (seconds) bounds the shutdown where the plan does not; None is no bound."""
        self._order, self._configuration, self._helpers = order, configuration, helpers
        self._shutdown, self._draining = Shutdown(), Draining()
        self._stop_timeout = stop_timeout

    @property
    def deadlines(self) -> tuple[float | None, float | None]:
        """When to call `due`."""
        return self._shutdown.kill_at, self._draining.deadline

    def asked(self, wish: ShutDown | None, site: Site, step: Step) -> None:
        """Somebody wants the site to end (None: nobody does)."""
        if wish is None:
            return
        goal = self._shutdown.ask(wish, step.now)
        if site.phase is Phase.LOADING:
            self.drain(site, 0, wish.reason, step)
        elif site.phase is Phase.RUNNING:
            self.begin(site, 0, wish.reason, step, goal)
        elif goal is Goal.KILL:
            self._kill_all(site, f"{wish.reason}: no grace", step)

    def begin(self, site: Site, code: int, reason: str, step: Step, goal: Goal = Goal.DOWN) -> None:
        """The site stops, to end with this code."""
        assert site.plan is not None, "a site stops only after it has started"
        site.phase = Phase.STOPPING
        self._configuration.close(step)
        own = site.plan.stop_timeout
        self._shutdown.begin(code, reason, self._stop_timeout if own is None else own, step.now)
        step.notice("site.stopping", "error" if code else "info", reason, digest=site.digest, exit_code=code)
        for name, group in site.groups.items():
            group.pursue(goal if goal is Goal.KILL else self._order.goal_at_stop(name), reason, step)

    def goes_on(self, site: Site, step: Step) -> None:
        """All workers that were to stop have."""
        self.drain(site, self._shutdown.code, self._shutdown.reason, step)

    def drain(self, site: Site, code: int, reason: str, step: Step) -> None:
        """No worker is left, and none will come: end whatever else is left, and then the site."""
        site.phase = Phase.DRAINING
        self._configuration.close(step)
        self._helpers.close()
        self._draining.begin(code, reason, step, at_once=self._shutdown.at_once)

    def overdue(self, site: Site, step: Step) -> None:
        """Time has passed: perhaps the time for stopping is over. Comes before the deadlines of workers."""
        if self._shutdown.overdue(step.now):
            self._kill_all(site, "the site's stop timeout is over", step)

    def due(self, site: Site, step: Step) -> None:
        """Time has passed: perhaps a wait for whoever is left is over."""
        self._drained(self._draining.due(step), site, step)

    def hear(self, left: Left, site: Site, step: Step) -> None:
        """The kernel has looked who is left."""
        self._drained(self._draining.hear(left, step), site, step)

    def _kill_all(self, site: Site, reason: str, step: Step) -> None:
        if site.phase is Phase.DRAINING:
            self._draining.kill(step)
            return
        for group in site.groups.values():
            group.pursue(Goal.KILL, reason, step)

    def _drained(self, over: bool, site: Site, step: Step) -> None:
        if over:
            site.phase, site.exit_code = Phase.ENDED, self._draining.code
            fields = {**site.identity, "orphans": site.census.orphans}
            site.last_word = self._draining.last_word(fields, step)
