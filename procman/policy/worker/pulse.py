"""How one run of a worker is: whether it has begun, is ready, is well; and what is to become of it if it is not.

Readiness and health are two questions. Not ready in time is a failure of the start; not ready later is only a mark.
Not well, so many times in a row, is a failure: the worker is stopped, and judged like any that has failed. Of one that
says that it is stopping it is none. A worker that reloads is ready all the while, as systemd has it.
"""

from __future__ import annotations

from procman import words
from procman.lean import TYPE_CHECKING
from procman.plan import GroupPlan, Health
from procman.policy.events import Check, Checked, Extended, Ready, Said, State, Unready
from procman.policy.step import Step
from procman.policy.worker import recycle
from procman.policy.worker.restart import Failure

if TYPE_CHECKING:
    from procman.choices import Doing
    from procman.policy.worker.worker import Worker


Felt = Ready | Unready | Checked | Said | Extended
"""All that is heard of one that runs."""


class Pulse:
    """What is known of one generation."""

    __slots__ = ("begun", "doing", "failures", "fault", "health", "ready", "recycle", "status", "unready", "until")

    def __init__(self, plan: GroupPlan) -> None:
        self.ready, self.health = plan.ready, plan.health
        """The rules that it was started with."""
        self.recycle = plan.recycle
        self.begun = False
        """Its program runs."""
        self.unready = ""
        """Why it is marked as not ready, although it was; empty if it is not."""
        self.status = ""
        """What it says of itself, for people."""
        self.doing: Doing = ""
        self.until = 0.0
        """Up to when it has asked for time, at the last."""
        self.failures = 0
        """Of its health check, in a row."""
        self.fault: Failure | None = None
        """Why it is being ended as one that has failed; judged when its leader is gone."""


def begin(worker: Worker, step: Step) -> None:
    """Its program has begun: it is ready, unless it is to show that first."""
    pulse, rule = worker.pulse, worker.pulse.ready
    pulse.begun = True
    step.moved[worker.id.group] = None  # some wait for no more than that
    if worker.state is not State.STARTING:
        return
    if rule is None:
        run(worker, "started", step)
    else:
        due = worker.started_at + (rule.delay if rule.by == "delay" else rule.timeout)
        worker.wait_until(due if rule.by == "delay" else max(due, pulse.until), step)


def run(worker: Worker, reason: str, step: Step) -> None:
    """It is ready."""
    worker.advance(State.RUNNING, reason, step)
    if worker.pulse.health:
        step.actions.append(Check(worker.id, worker.pulse.health))
    recycle.begin(worker, step)


def hear(worker: Worker, fact: Felt, step: Step) -> None:
    """What it says of itself, or a check has found; of one that is on its way out nothing is of interest."""
    match worker.state, fact:
        case State.STARTING, Ready():
            worker.pulse.begun = True
            run(worker, fact.reason, step)
        case State.STARTING, Unready():
            give_up(worker, Failure("start", f"not ready: {fact.reason}"), step)
        case State.RUNNING, Ready():
            mark(worker, "", step)
        case State.RUNNING, Unready():
            mark(worker, fact.reason, step)
        case State.RUNNING, Checked() if worker.pulse.doing != "stopping":
            _checked(worker, fact, step)
        case State.STARTING | State.RUNNING | State.STOPPING, Said():
            worker.pulse.status, worker.pulse.doing = fact.status, fact.doing
        case State.STARTING | State.STOPPING, Extended():
            _extend(worker, fact.by, step)


def overdue(worker: Worker, step: Step) -> None:
    """Starting, and its deadline has come: ready by delay, or not ready in time."""
    rule = worker.pulse.ready
    assert rule is not None, f"{worker.id} has a deadline to be ready, and need not be"
    if rule.by == "delay":
        run(worker, f"has run for {words.duration(rule.delay)}", step)
    else:
        give_up(worker, Failure("start", f"not ready within {words.duration(rule.timeout)}{patience(worker)}"), step)


def patience(worker: Worker) -> str:
    """Its deadline has come: the rest of the sentence that says so, where it was the worker that had moved it."""
    return ", and the time that it asked for" if worker.deadline == worker.pulse.until else ""


def give_up(worker: Worker, failure: Failure, step: Step) -> None:
    """End it as one that has failed. The verdict is taken when its leader is gone, as for any other."""
    worker.pulse.fault = failure
    worker.ask(None, failure.text, step)


def mark(worker: Worker, why: str, step: Step) -> None:
    """It is not ready any more, for this reason, or (without one) ready again; it runs on."""
    if bool(why) != bool(worker.pulse.unready):
        fields = worker.id._asdict() | {"pid": worker.pid}
        if why:
            step.notice("worker.unready", "warning", why, **fields)
        else:
            step.notice("worker.ready", "info", "ready again", **fields)
        step.moved[worker.id.group] = None  # for those that wait for it
    worker.pulse.unready = why


def _extend(worker: Worker, by: float, step: Step) -> None:
    """It wants more time; it never gets less than it had. No deadline is moved before its program has begun, nor while
    it drains: it has not been told to end yet, and has its grace after that.
    """
    rule = worker.pulse.ready
    if worker.drains or (worker.state is State.STARTING and (rule is None or rule.by == "delay")):
        return
    worker.pulse.until = step.now + by
    if worker.deadline is not None:
        worker.wait_until(max(worker.deadline, worker.pulse.until), step)


def _checked(worker: Worker, fact: Checked, step: Step) -> None:
    pulse, rule = worker.pulse, worker.pulse.health
    assert rule is not None, f"{worker.id} was checked, and nobody asked for it"
    pulse.failures = 0 if fact.well else pulse.failures + 1
    if rule.on_failure == "ignore":
        if fact.well or pulse.failures >= rule.failures:
            mark(worker, "" if fact.well else _unhealthy(rule, fact), step)
    elif pulse.failures >= rule.failures:
        if rule.dump is not None:
            worker.signal(rule.dump, "leader", step)
        give_up(worker, Failure("health", _unhealthy(rule, fact)), step)


def _unhealthy(rule: Health, fact: Checked) -> str:
    times = f", {rule.failures} times in a row" if rule.failures > 1 else ""
    return f"not healthy: {fact.reason}{times}"
