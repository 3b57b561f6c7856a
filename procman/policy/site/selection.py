"""Whom an operator means by a selector, and the refusal where that is nobody, or none who can be moved."""

from __future__ import annotations

from collections.abc import Mapping

from procman.policy.events.requests import Refused, Selector
from procman.policy.group.supervisor import Supervisor

Meant = dict[str, tuple[frozenset[int], bool]]
"""By group: which tasks, and whether it was the group as a whole that was named."""


class RefusedError(Exception):
    """What is asked for cannot be done; the argument is the answer."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.refused = Refused(reason, hint)


def group_named(groups: Mapping[str, Supervisor], name: str) -> Supervisor:
    """The one of this name. Raises RefusedError where there is none."""
    if name not in groups:
        some = [*groups][:10] + ["…"] * (len(groups) > 10)
        raise RefusedError(f"there is no group `{name}`", f"the groups are {', '.join(some)}")
    return groups[name]


def meant_by(groups: Mapping[str, Supervisor], targets: tuple[Selector, ...], verb: str) -> Meant:
    """Whom the selectors name. Raises RefusedError where one names nobody, or a task that cannot be moved alone."""
    meant: Meant = {}
    for target in targets:
        group = group_named(groups, target.group)
        workers = group.plan.workers
        tasks, whole = meant.get(target.group, (frozenset[int](), False))
        if target.task is None:
            meant[target.group] = frozenset(range(workers)), True
            continue
        if not 0 <= target.task < workers:
            last = f"its workers are 0 to {workers - 1}" if workers > 1 else f"it has {counted(workers)}"
            raise RefusedError(f"there is no worker {target}", last)
        if verb in ("start", "restart") and (group.gave_up or group.regroup):
            why = "has given up" if group.gave_up else "is restarting as a whole"
            raise RefusedError(f"{target.group} {why}", f"{verb} all of it: procman {verb} {target.group}")
        meant[target.group] = tasks | {target.task}, whole
    return meant


def counted(workers: int) -> str:
    """`1 worker`, `2 workers`."""
    return f"{workers} worker{'' if workers == 1 else 's'}"
