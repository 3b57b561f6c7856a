"""How a run has ended, and what must become of its slot."""

from __future__ import annotations

from procman.policy.events import Exited, StartFailed, State, WorkerId
from tests.simulation.books import Run, Verdict
from tests.simulation.site import SiteBook


def run_of(site: SiteBook, worker: WorkerId) -> Run:
    """The run of whom the kernel speaks."""
    run = site.find(worker)[1].run
    assert run is not None, f"the kernel speaks of {worker}, which nobody has started"
    assert run.worker == worker, f"the kernel speaks of {worker}, but {run.worker} is there"
    return run


def failed_to_start(site: SiteBook, fact: StartFailed) -> None:
    """It could not be forked, and that was all of it; or exec failed, and its process has still to end."""
    run = run_of(site, fact.worker)
    run.error = fact
    if run.pid is None:
        run.verdict = _judge(site, run, fact)
        over(site, run)


def exited(site: SiteBook, fact: Exited) -> None:
    """Its leader has ended; it is over if nothing else of it is left."""
    run = site.by_pid.get(fact.pid)
    if run is None:
        return
    run.end, run.lived = fact, site.now - run.spawned_at
    if run.asked_at is None or run.fault is not None:
        if fact.leftover and run.asked_at is None:
            run.asked_at, run.kill_at = site.now, site.now + run.stop.grace
        run.verdict = _judge(site, run, fact)
    if fact.leftover and run.drained_at is not None:
        run.drained_at, run.kill_at = None, site.now + run.stop.grace
    if not fact.leftover:
        del site.by_pid[fact.pid]
        over(site, run)


def _judge(site: SiteBook, run: Run, fact: Exited | StartFailed) -> Verdict:
    group, slot = site.find(run.worker)
    if group.is_beside(run):
        return _judge_successor(site, run)
    if not site.wants(run.worker) or group.unmet or run.launch != group.plan.launch or site.successor(run):
        return Verdict(State.STOPPED)
    if group.regroup is not None:
        run.joins = True
        return Verdict(State.BACKOFF)
    verdict = group.judge(slot, run, fact, site.now)
    for_good = verdict.to is State.FAILED or (run.fault is not None and verdict.code == 12)
    if verdict.code and site.trial.failed(*run.worker[:2], for_good=for_good):
        return Verdict(State.STOPPED)
    if verdict.to is State.FAILED:
        exhausted = group.plan.restart.on_exhausted
        site.failures.setdefault(run.worker.group, verdict.code)
        group.gave_up = exhausted == "stop"
        if site.plan is not None and site.plan.exit_code_from == run.worker.group:
            site.end(status(run))
        if exhausted == "shutdown":
            site.end(verdict.code)
    return verdict


def _judge_successor(site: SiteBook, run: Run) -> Verdict:
    """It was never ready: the replacement halts, and the old one stays."""
    if not site.has_turn(run):
        return Verdict(State.STOPPED)
    site.trial.failed(*run.worker[:2], for_good=True)
    turns = site.turns[run.worker.group]
    turns.busy.discard(run.worker.task)
    turns.halted = True
    return Verdict(State.FAILED)


def over(site: SiteBook, run: Run) -> None:
    """Nothing is left of it: what must become of its slot, given what has happened since the verdict."""
    group, verdict = site.groups[run.worker.group], run.verdict
    wanted = site.wants(run.worker) and not group.unmet
    fresh = run.launch == group.plan.launch
    stopped = Verdict(State.STOPPED)
    if group.is_beside(run):
        run.final = verdict or stopped
        if group.owes is not None and group.slots[run.worker.task].state is State.EXITED:
            site.end(group.owes)
        return
    if verdict is None or verdict == Verdict(State.BACKOFF):
        joins = run.joins and wanted and fresh and group.regroup is not None
        run.final = Verdict(State.BACKOFF) if joins else stopped
    elif verdict.to is State.BACKOFF:
        run.final = verdict if wanted and fresh else stopped
    else:
        run.final = verdict
    name, held = run.worker.group, run.worker.task in group.held or run.worker.task >= group.plan.workers
    if run.final.to is State.EXITED and not held and site.plan is not None and site.plan.exit_code_from == name:
        if run.worker.task in group.beside:
            group.owes = status(run)
        else:
            site.end(status(run))


def status(run: Run) -> int:
    """What a shell would say of the run; 12 where there was none."""
    if run.error is not None or run.end is None:
        return 12
    if run.end.signal is not None:
        return 128 + run.end.signal
    assert run.end.exit_code is not None, "a process ends by a code or by a signal"
    return run.end.exit_code
