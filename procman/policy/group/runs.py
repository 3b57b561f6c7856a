"""The runs of a group that comes and goes: a scheduled job, a group that waits for its first connection, any job.

A run begins with a call and is over when nothing of the group runs, or will by itself. Between two runs such a group
rests: its workers are not wanted. Of a plain job or service the first call is the site's own start. Whether a call is
let through, is left out, waits or replaces what runs is decided here; how workers start and stop is the supervisor's.
"""

from __future__ import annotations

from collections.abc import Mapping

from procman import words
from procman.lean import TYPE_CHECKING, least
from procman.policy.events import AwaitDemand, Demanded, Due, State
from procman.policy.group import hand
from procman.policy.group.order import Goal
from procman.policy.step import Step
from procman.policy.worker.restart import Failure, Ladder, farewell

if TYPE_CHECKING:
    from procman.choices import Fared
    from procman.plan import GroupPlan, Listen
    from procman.policy.group.supervisor import Supervisor


class Runs:
    """Of one group: what goes on, what comes next, and when."""

    __slots__ = ("_awaited", "_began_at", "_every_at", "_ladder", "_over_at", "_rest_until", "_turn_at", "deadline",
                 "expired", "finished", "group", "on", "queued")  # fmt: skip

    def __init__(self, group: str) -> None:
        self.group = group
        self.on = False
        """Whether a run goes on, or is to begin as soon as the group's dependencies hold."""
        self.queued = False
        self.expired = False
        """Whether the last run took too long, and was ended."""
        self.finished = 0
        """How many runs are over."""
        self.deadline: float | None = None
        """When to be called `due`; for the manager's heap."""
        self._began_at: float | None = None
        self._over_at: float | None = None
        """When a run has taken too long."""
        self._every_at: float | None = None
        """When the next one is due by `every`."""
        self._turn_at: float | None = None
        """When one that was queued begins; after all consequences of the last one's end."""
        self._awaited: tuple[Listen, ...] = ()
        """The sockets that are watched for a first connection."""
        self._rest_until: float | None = None
        """From when on a connection counts: a group that ends without taking it must not be started without end."""
        self._ladder = Ladder()

    def follow(self, old: GroupPlan, group: Supervisor) -> None:
        """The group has another plan."""
        self.on = self.on or group.active
        if old.schedule != group.plan.schedule:
            self._every_at = None
        if old != group.plan._replace(workers=old.workers, auto=old.auto):
            self.expired, self._began_at, self._over_at, self._rest_until = False, None, None, None

    def look(self, group: Supervisor, step: Step) -> None:
        """Something of the group has moved: perhaps a run has begun, or is over, and another is to follow."""
        plan, now = group.plan, step.now
        if not (plan.comes_and_goes or self._awaited):
            return
        if group.active and self._began_at is None:
            self._began_at, self.on = now, True
        if group.active and self._over_at is None and plan.deadline is not None and not self.expired:
            self._over_at = (self._began_at or now) + plan.deadline
        if not group.active and group.goal is Goal.RUN and (self.on or self._began_at is not None):
            self._end(group, now)
        if plan.schedule and plan.schedule.every is not None and group.goal is Goal.RUN and self._every_at is None:
            self._every_at = now
        self._wait(step)
        self._await(group, step)

    def _end(self, group: Supervisor, now: float) -> None:
        uptime = now - (self._began_at if self._began_at is not None else now)
        self.finished += 1
        self.on, self._began_at, self._over_at = False, None, None
        self._turn_at = now if self.queued else None
        self._rest_until = now + self._ladder.climb(group.plan.restart, uptime, 0.0) if group.plan.on_demand else None

    # --- calls -------------------------------------------------------------------------------------------

    def call(self, group: Supervisor, reason: str, step: Step) -> Fared:
        """A run is wanted: it begins, or the overlap rule says what becomes of it."""
        overlap = group.plan.schedule.overlap if group.plan.schedule else "skip"
        if not self.on:
            self.begin(group, reason, step)
            return "begun"
        if overlap == "queue" and not self.queued:
            self.queued = True
            return "queued"
        if overlap == "kill" and group.goal is Goal.RUN:
            self._began_at = self._over_at = None
            hand.restart(group, _callable(group), step, whole=True, reason=reason)
            return "replaced"
        return "skipped"

    def begin(self, group: Supervisor, reason: str, step: Step) -> None:
        """Begin a run, with a fresh budget."""
        self.on, self.expired = True, False
        hand.start(group, _callable(group), step, whole=True, reason=reason)

    def scheduled(self, group: Supervisor, missed: int, step: Step, *, now: bool = True) -> None:
        """A run is due by the schedule (unless `now` is false), and so many before it never came to be."""
        name = group.plan.name
        if missed:
            what = f"{missed} run{'s' if missed > 1 else ''} missed"
            step.notice("group.missed", "warning", f"{what}: procman could not run then", group=name, runs=missed)
        if not (now and _may_go_on(group) and _callable(group)):
            return
        if self.call(group, "due by its schedule", step) == "skipped":
            step.notice("group.skipped", "warning", "a run is left out: the last one goes on", group=name)

    def demanded(self, group: Supervisor, step: Step) -> None:
        """Somebody knocks at one of its sockets."""
        self._awaited = ()
        if not self.on and group.goal is Goal.RUN and not group.gave_up:
            self.begin(group, "on demand", step)

    # --- deadlines ---------------------------------------------------------------------------------------

    def due(self, group: Supervisor, step: Step) -> None:
        """Its deadline has come; of a group that was taken away and came back it is another's."""
        if group.runs is not self:
            return
        self.deadline, now, schedule = None, step.now, group.plan.schedule
        if self._over_at is not None and self._over_at <= now:
            self._expire(group, step)
        if self._turn_at is not None and self._turn_at <= now:
            self._turn_at, self.queued = None, False
            if not self.on and _may_go_on(group):
                self.begin(group, "its turn has come", step)
            elif not self.on:
                self.finished += 1  # it is given up with the one before
        if self._every_at is not None and self._every_at <= now and schedule and schedule.every:
            missed = int((now - self._every_at) / schedule.every)
            self._every_at += (missed + 1) * schedule.every
            self.scheduled(group, missed, step)
        self._wait(step)
        self._await(group, step)

    def _expire(self, group: Supervisor, step: Step) -> None:
        """The run has taken too long: it has failed."""
        assert group.plan.deadline is not None, "nothing expires without a deadline"
        why = f"its run has taken longer than {words.duration(group.plan.deadline)}"
        self._over_at, self.expired = None, True
        group.failure = group.failure or Failure("exit", why)
        worker = next((slot.worker for slot in group.slots if slot.worker.state is not State.EXITED), None)
        if worker is not None:
            step.records.append(farewell(worker.id, group.plan.restart, group.budget, why))
        group.pursue(group.goal, why, step)

    def _wait(self, step: Step) -> None:
        """Set the one deadline to the next of all."""
        deadline = least((self._over_at, self._turn_at, self._every_at, self._rest_until))
        if deadline is not None and deadline != self.deadline:
            step.deadlines.append((deadline, self))
        self.deadline = deadline

    def _await(self, group: Supervisor, step: Step) -> None:
        """Have the sockets watched while a connection is to start the group."""
        if self._rest_until is not None and self._rest_until <= step.now:
            self._rest_until = None
            self._wait(step)
        rests = not (self.on or group.active) and group.goal is Goal.RUN and not group.failure
        if group.plan.on_demand and rests and self._rest_until is None and _callable(group):
            wanted = tuple([listen for listen in group.plan.launch.listen if listen.on_demand])
        else:
            wanted = ()
        if wanted != self._awaited:
            self._awaited = wanted
            step.actions.append(AwaitDemand(group.plan.name, wanted))


def called(fact: Due | Demanded, groups: Mapping[str, Supervisor], step: Step) -> None:
    """Somebody calls a group; one that is gone, or is called no more, does not hear it."""
    group = groups.get(fact.group)
    if group is not None and isinstance(fact, Demanded):
        group.runs.demanded(group, step)
    elif group is not None and isinstance(fact, Due) and group.plan.schedule:
        group.runs.scheduled(group, fact.missed, step, now=fact.now)


def _may_go_on(group: Supervisor) -> bool:
    """Whether it is still called by itself: nothing ends the site, and no failure ends the group."""
    given_up = group.failure is not None and group.plan.restart.on_exhausted != "ignore"
    return group.goal in (Goal.WAIT, Goal.RUN) and not given_up


def _callable(group: Supervisor) -> frozenset[int]:
    """The tasks that a call concerns: all but those that were stopped by hand."""
    return frozenset(range(group.plan.workers)) - group.hand.held
