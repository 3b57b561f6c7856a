"""Who is told to end: whether there is a cause, how it is asked, and whether it is killed no sooner than it may be."""

from __future__ import annotations

from collections.abc import Sequence
from signal import SIGKILL, SIGTERM

from procman.policy.events import Record, Signal, State, Transition
from tests.simulation.books import Run
from tests.simulation.pulse_book import UNHEALTHY
from tests.simulation.site import SLACK, SiteBook
from tests.simulation.violation import Violation, need


class Stops:
    """Holds every signal against the recount."""

    def __init__(self, site: SiteBook) -> None:
        self.site = site

    def signalled(self, action: Signal) -> None:
        """A signal goes to a worker, or to what is left of one."""
        now = self.site.now
        run = self.site.by_pid.get(action.pid)
        if run is None or run.worker != action.worker:
            raise Violation(f"signal {action.signal} to {action.pid}, which is not {action.worker}")
        if self.site.operator.sends(action):
            need(run.end is None and run.error is None, f"{action} by hand to a leader that has ended")
            need(not action.wakes, f"{action} by hand is more than was asked for")
            return
        need(action.wakes == (action.signal != SIGKILL), f"no SIGCONT follows {action}")
        if self._dumps(run, action):
            return
        if action.signal == SIGKILL:
            late = run.kill_at is not None and now >= run.kill_at - SLACK
            need(
                late or self.site.ending.kill_now, f"{action.worker} is killed before its grace is over ({run.kill_at})"
            )
            need(action.scope == "tree", f"{action.worker} is killed and its tree is not")
            need(not run.killed, f"{action.worker} is killed twice")
            run.killed = True
            return
        if run.end is not None:
            need((action.signal, action.scope) == (SIGTERM, "tree"), f"what {action.worker} left gets {action}")
        else:
            need((action.signal, action.scope) == (run.stop.signal, run.stop.scope), f"{action.worker} gets {action}")
            self._told(run)
        run.hears = run.hears or (action.signal, action.scope) == (SIGTERM, "tree")

    def _told(self, run: Run) -> None:
        """It hears the signal that asks it to end: at the end of its drain, or at once if it has none."""
        if run.drained_at is not None:
            need(self.site.now >= run.drained_at - SLACK, f"{run.worker} is told to stop before it has drained")
            run.drained_at, run.kill_at = None, self.site.now + run.stop.grace
            return
        need(run.asked_at is None, f"{run.worker} is told to stop twice")
        serves = _drains(run, self.site.find(run.worker)[1].state)
        need(not serves, f"{run.worker} is told to stop, and has not drained")
        self.has_cause(run)
        self.asked(run)

    def begin_to_drain(self, records: Sequence[Record]) -> list[Run]:
        """Those that are wanted to end, and hear of it later: a record is all there is of it yet."""
        moves = [record for record in records if isinstance(record, Transition) and record.to is State.STOPPING]
        runs = [(self.site.find(move.worker)[1].run, move.from_) for move in moves]
        draining = [run for run, state in runs if run and run.asked_at is None and _drains(run, state)]
        for run in draining:
            self.asked(run)
            run.drained_at = self.site.now + run.stop.drain
        return draining

    def has_cause(self, run: Run) -> None:
        """It is wanted to end; without another cause it must be its turn to be replaced."""
        if self.site.keeps(run) and run not in self.site.dismissed:
            self._takes_its_turn(run)

    def _takes_its_turn(self, run: Run) -> None:
        """Nothing but a replacement can be the cause."""
        turns = self.site.turns[run.worker.group]
        need(turns.is_due(run), f"{run.worker} is told to stop without a cause")
        new = self.site.successor(run)
        if new is not None:
            need(
                self.site.may_run(new),
                f"{run.worker} is told to stop before {new.worker} is ready",
            )
            return
        need(self.site.groups[run.worker.group].plan.update.order == "stop-first", f"{run.worker} has no successor")
        turns.taken.append(run)

    def _dumps(self, run: Run, action: Signal) -> bool:
        """Whether this signal is the one for a trace, before an unhealthy worker is told to stop."""
        dump = run.health.dump if run.health and run.fault == UNHEALTHY else None
        if dump is None or run.asked_at is not None or run.dumped:
            return False
        need((action.signal, action.scope) == (dump, "leader"), f"{action} to {run.worker}, which is to leave a trace")
        run.dumped = True
        return True

    def asked(self, run: Run) -> None:
        """From now on it is wanted to end."""
        group = self.site.groups[run.worker.group]
        run.asked_at, run.kill_at = self.site.now, self.site.now + run.stop.grace
        fresh = self.site.wants(run.worker) and run.launch == group.plan.launch
        run.joins = fresh and group.regroup is not None
        self.site.told.append(run)


def _drains(run: Run, state: State) -> bool:
    """Whether one in this state serves on before it hears the signal: it was ready, and has not failed."""
    return run.stop.drain > 0 and state is State.RUNNING and run.fault is None
