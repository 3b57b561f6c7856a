"""A history in readable lines: one for each event, its actions and its records below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from signal import Signals

from procman.plan import Plan
from procman.policy.events import (
    Action,
    Event,
    Execed,
    Exited,
    Forked,
    Loaded,
    Notice,
    Record,
    Signal,
    Spawn,
    StartFailed,
    WorkerId,
)


def lines(now: float, event: Event, actions: Sequence[Action], records: Sequence[Record]) -> Iterator[str]:
    """One turn of the loop."""
    yield f"{now:9.3f}  {_event(event)}"
    for action in actions:
        yield f"{'':13}! {_action(action)}"
    for record in records:
        yield f"{'':13}  {_record(record)}"


def plan_lines(plan: Plan) -> Iterator[str]:
    """A plan, a line a group; only what differs from the defaults."""
    yield f"site: stop_timeout={plan.stop_timeout} exit_code_from={plan.exit_code_from}"
    for group in plan.groups:
        parts = [" ".join(group.launch.command), f"workers={group.workers}", f"after={dict(group.after)}"]
        yield f"  {group.name}: {' '.join(parts)}\n      {group.restart}\n      {group.stop}"


def _who(worker: WorkerId) -> str:
    return f"{worker}#{worker.generation}"


def _event(event: Event) -> str:
    match event:
        case Forked(worker, pid):
            return f"Forked {_who(worker)} pid {pid}"
        case Execed(worker):
            return f"Execed {_who(worker)}"
        case StartFailed(worker, stage, number):
            return f"StartFailed {_who(worker)} at {stage}, errno {number}"
        case Exited(pid, code, number, _, leftover):
            how = f"exit {code}" if number is None else Signals(number).name
            return f"Exited pid {pid}: {how}{', with leftover' if leftover else ''}"
        case Loaded(plan, digest):
            return "\n".join([f"Loaded {digest}", *(f"{'':11}{line}" for line in plan_lines(plan))])
        case _:
            return str(event)


def _action(action: Action) -> str:
    match action:
        case Spawn(worker, launch):
            return f"Spawn {_who(worker)}: {' '.join(launch.command)}"
        case Signal(worker, pid, number, scope):
            return f"{Signals(number).name} to {_who(worker)} pid {pid} ({scope})"
        case _:
            return str(action)


def _record(record: Record) -> str:
    if isinstance(record, Notice):
        return f"{record.event}: {record.reason} {record.fields}"
    retry = "" if record.retry is None else f" {tuple(record.retry)}"
    return f"{_who(record.worker)} {record.from_} → {record.to}: {record.reason}{retry}"
