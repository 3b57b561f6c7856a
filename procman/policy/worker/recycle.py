"""Recycling: a worker that runs well is replaced all the same, once it is old or large enough for its group's rule.

It is replaced as by a restart by hand, in its turn, and counts on no budget. Workers that started together do not reach
their limits together: each stays below by its own share of the jitter. That share is no draw but follows from its pid,
in steps of the golden ratio, which spreads any run of numbers evenly (Knuth, TAOCP 3, 6.4).
"""

from __future__ import annotations

from procman import words
from procman.lean import TYPE_CHECKING
from procman.plan import Recycle
from procman.policy.events import Outgrown, State, Weigh
from procman.policy.step import Step

if TYPE_CHECKING:
    from procman.policy.group.supervisor import Supervisor
    from procman.policy.worker.worker import Worker

GOLDEN = 0.6180339887498949


def begin(worker: Worker, step: Step) -> None:
    """It runs: have it weighed, if its rule asks for that."""
    rule = worker.pulse.recycle
    if rule.max_age is not None or rule.max_rss is not None:
        _weigh(worker, step.now - worker.started_at, step)


def follow(worker: Worker, rule: Recycle, step: Step) -> None:
    """The rule may have changed."""
    old, worker.pulse.recycle = worker.pulse.recycle, rule
    if rule != old and worker.state is State.RUNNING:
        _weigh(worker, step.now - worker.started_at, step)


def hear(group: Supervisor, worker: Worker, fact: Outgrown, step: Step) -> str:
    """It has reached a limit: why it is to be replaced. Empty if it is not: it is on its way out, or the replacement
    that goes on has it on its list, or has halted.
    """
    if worker.state is not State.RUNNING:
        return ""
    if fact.rss is None:
        _weigh(worker, 0.0, step)  # should its replacement come to nothing, it is old again after as long
    going = group.rollout
    if going is not None and (going.halted or going.awaits(worker.id.task) > worker.id.generation):
        return ""
    if fact.rss is None:
        return f"recycled: it has run for {words.duration(step.now - worker.started_at)}"
    return f"recycled: its memory has grown to {words.size(fact.rss)}"


def _weigh(worker: Worker, age: float, step: Step) -> None:
    rule = worker.pulse.recycle
    assert worker.pid is not None, f"{worker.id} runs without a pid"
    after = None if rule.max_age is None else max(0.0, _within(rule.max_age, worker) - age)
    rss = None if rule.max_rss is None else int(_within(rule.max_rss, worker))
    step.actions.append(Weigh(worker.id, worker.pid, after, rss))


def _within(limit: float, worker: Worker) -> float:
    """The limit of this very worker."""
    assert worker.pid is not None, f"{worker.id} runs without a pid"
    return limit * (1 - worker.pulse.recycle.jitter * (worker.pid * GOLDEN % 1))
