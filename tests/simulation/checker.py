"""Watches every step of a history and holds its actions and records against the recount.

It sees what the loop sees: the event, the actions, the records. Any disagreement raises `Violation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from procman.log.jsonl import JsonLines
from procman.policy.events import (
    Action,
    EndHelper,
    Event,
    Notice,
    Record,
    ReopenLog,
    RunHelper,
    Signal,
    State,
    Transition,
)
from tests.log.lines import parsed
from tests.simulation.deeds import Deeds
from tests.simulation.hearing import hear
from tests.simulation.history import digest_of
from tests.simulation.moves import Moves
from tests.simulation.site import SiteBook
from tests.simulation.stops import Stops
from tests.simulation.violation import need

_rendered: set[object] = set()
"""The shapes of records that have been held against the schema: validating each record would take all the time."""


def _hold_to_the_schema(record: Record) -> None:
    """The log's JSON line of this record is one that `event.schema.json` allows."""
    if isinstance(record, Transition):
        shape: object = (
            record.from_,
            record.to,
            record.level,
            record.pid is None,
            record.exit is None,
            record.retry is None,
        )
    else:
        shape = (record.event, record.level, *(f"{name} {type(value)}" for name, value in record.fields.items()))
    if shape not in _rendered:
        _rendered.add(shape)
        (line,) = JsonLines("site").lines(0, [record])
        parsed(line)


def _lasting(actions: Sequence[Action]) -> Iterator[Action]:
    """All but the zygotes that are started and ended in one step: two plans came in force, one after the other."""
    ended = {action.name for action in actions if isinstance(action, EndHelper)}
    brief = {action.name for action in actions if isinstance(action, RunHelper) and action.name in ended}
    for action in actions:
        if not (isinstance(action, RunHelper | EndHelper) and action.name in brief):
            yield action


class Checker:
    """Reads along."""

    def __init__(self, edges: Mapping[State, frozenset[State]], site: SiteBook) -> None:
        self.site = site
        self.stops = Stops(site)
        self.deeds = Deeds(site)
        self.moves = Moves(edges, site, self.stops)

    def step(self, event: Event, now: float, actions: Sequence[Action], records: Sequence[Record]) -> None:
        """Check one turn of the loop."""
        for group in self.site.groups.values():
            group.regrouped = False
        hear(self.site, event, now)
        draining = self.stops.begin_to_drain(records)
        for action in _lasting(actions):
            if isinstance(action, Signal):
                self.stops.signalled(action)
            else:
                self.deeds.acted(action)
        for run in draining:  # not before: what it requires may have been told to stop just now
            self.stops.has_cause(run)
        need(self.site.pump.running == self.site.pump.wanted, "there is no pump, or an old one")
        self.site.operator.check(event, actions)
        reopened = any(isinstance(action, ReopenLog) for action in actions)
        need(reopened == isinstance(event, ReopenLog), f"the log is opened anew, or not, at {event}")
        told = any(isinstance(record, Notice) and record.event == "site.strays" for record in records)
        need(told == self.site.more_strays, f"strays are told, or not, at {event}")
        for record in records:
            _hold_to_the_schema(record)
            if isinstance(record, Transition):
                self.moves.moved(record)
            else:
                self.moves.noticed(record)
        need(not self.site.trial.verdict, f"nobody says that the plan on trial has {self.site.trial.verdict}")
        plan = self.site.plan
        need(plan is None or self.deeds.identity == digest_of(plan), "workers are told of another configuration")
        for fault in (self.deeds.upward.fault(self.site), self.site.trial.fault):
            need(not fault, fault)
