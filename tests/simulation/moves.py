"""What is said: every transition and notice, held against the edges and the recount."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from procman.policy.events import Exit, Notice, State, Transition
from tests.simulation.books import GroupBook, Run, SlotBook
from tests.simulation.site import SLACK, SiteBook
from tests.simulation.stops import Stops
from tests.simulation.violation import Violation, need


class Moves:
    """Reads every record."""

    def __init__(self, edges: Mapping[State, frozenset[State]], site: SiteBook, stops: Stops) -> None:
        self.edges = edges
        self.site = site
        self.stops = stops
        self.seen: Counter[tuple[State, State]] = Counter()
        """How often each edge was taken."""
        self.notices: Counter[str] = Counter()

    def noticed(self, notice: Notice) -> None:
        """Something is said that is no worker's transition."""
        self.notices[notice.event] += 1
        need(notice.event != "site.internal_error", f"an exception: {notice.reason}")
        if notice.event == "site.stopped":
            self.site.ending.said = notice.fields["exit_code"]
        elif notice.event in ("config.proved", "config.failed"):
            verdict, self.site.trial.verdict = self.site.trial.verdict, ""
            need(notice.event == f"config.{verdict}", f"the plan on trial has {verdict or 'its time still'}: {notice}")

    def moved(self, move: Transition) -> None:
        """A worker goes from one state to the next."""
        worker = move.worker
        group, slot = self.site.find(worker)
        where = f"{worker} (generation {worker.generation}) {move.from_} → {move.to}"
        need(move.from_ is slot.state, f"{where}: it was {slot.state}")
        need(move.to in self.edges[move.from_], f"{where}: no such edge")
        self.seen[move.from_, move.to] += 1
        if move.to is State.STARTING:
            self._starting(group, slot, where)
        run = slot.run
        if run is not None:
            need(worker == run.worker, f"{where}: but {run.worker} is there")
            self._check_exit(move, run, where)
        need(move.pid == (run and run.pid), f"{where}: its pid is not {move.pid}")
        if move.to is State.RUNNING:
            need(
                run and self.site.may_run(run),
                f"{where}: nothing makes it ready: {self.site.event}",
            )
            need(run and (run.checked or not run.health), f"{where}: nobody asks whether it is well")
            if run is not None and group.is_beside(run) and run.asked_at is None:
                self._takes_over(group, worker.task, where)
        elif move.to is State.STOPPING:
            if run is not None and self.site.ending.kill_now and run.asked_at is None:
                self.stops.asked(run)
            need(run and run.asked_at == self.site.now, f"{where}: nobody told it to")
        elif move.to is State.KILLING:
            need(run and run.killed, f"{where}: no SIGKILL")
        elif move.to is not State.STARTING:
            self._ended(move, group, slot, where)
        slot.state = move.to

    def _takes_over(self, group: GroupBook, task: int, where: str) -> None:
        """A successor is ready: it has the slot, and the old one is on its way out."""
        group.swap(task)
        old = group.beside[task].run
        need(old is None or old.asked_at is not None, f"{where}: and nobody tells the old one to stop")

    def _check_exit(self, move: Transition, run: Run, where: str) -> None:
        """The first record after a leader's end says how it ended, and no other; the kill of the rest is not it."""
        expected = None
        if run.end is not None and run.error is None and not run.said and move.to is not State.KILLING:
            expected = Exit(run.end.exit_code, run.end.signal, run.lived, run.end.usage)
            run.said = True
        need(move.exit == expected, f"{where}: says {move.exit} instead of {expected}")

    def _starting(self, group: GroupBook, slot: SlotBook, where: str) -> None:
        run, now = slot.next, self.site.now
        need(run, f"{where}: nothing was spawned")
        if group.regroup is not None:
            self._regrouped(group, where)
        fresh = run is not None and run.worker.group in self.site.changed
        fresh = fresh or (run is not None and run.worker[:2] in self.site.operator.started)
        fresh = fresh or group.suspended
        if slot.state is State.BACKOFF:
            due = slot.due is not None and now >= slot.due - SLACK
            need(due or fresh or group.regrouped, f"{where}: too early, due at {slot.due}")
        elif slot.state is State.EXITED:
            need(fresh or group.regrouped, f"{where}: it had ended normally")
        elif slot.state is State.FAILED:
            need(fresh, f"{where}: it had failed for good")
        slot.run, slot.next, slot.due, slot.unready = run, None, None, False
        slot.last = run.worker.generation if run is not None else 0

    def _regrouped(self, group: GroupBook, where: str) -> None:
        """One-for-all comes to its end: all are down, and the delay is over."""
        assert group.regroup is not None, "asked only if there is one"
        due = group.regroup.due
        need(not group.runs(), f"{where}: its siblings are not all down")
        waits = any(slot.state is State.BACKOFF for slot in group.slots.values())
        if waits and group.regroup.delay > 0:
            need(due is not None and self.site.now >= due - SLACK, f"{where}: too early for one-for-all, due at {due}")
        group.regroup, group.regrouped = None, True

    def _ended(self, move: Transition, group: GroupBook, slot: SlotBook, where: str) -> None:
        """To stopped, backoff, exited or failed."""
        run = slot.run
        if run is None:
            unwanted = not self.site.wants(move.worker) or not self.site.stands(group)
            need(move.to is State.STOPPED and unwanted, f"{where}: it was waiting")
            slot.due = None
            return
        verdict = run.final
        if verdict is None:
            raise Violation(f"{where}: something of it is left")
        need(move.to is verdict.to, f"{where}: the verdict is {verdict}")
        got = None if move.retry is None else (move.retry.restarts, move.retry.budget_left)
        need(got == (verdict.retry and verdict.retry[:2]), f"{where}: says {move.retry}, but the recount {verdict}")
        new = self.site.successor(run)
        slot.run, slot.due = None, None
        if group.beside.get(move.worker.task) is slot:
            group.drop(move.worker.task)
        elif new is not None:
            group.swap(move.worker.task)
        if move.retry is not None and verdict.retry is not None:
            delay = verdict.retry[2]
            need(abs(move.retry.delay_s - delay) < SLACK, f"{where}: waits {move.retry.delay_s} instead of {delay}")
            if group.regroup is None:
                slot.due = self.site.now + delay
