"""What tells one plan from another: their differences, what these do to the groups, and a plan's identity."""

from __future__ import annotations

import json

from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan.codec import plain
from procman.plan.site import Origin, Plan

if TYPE_CHECKING:
    from typing import Any


class Change(NamedTuple):
    """One difference between two plans."""

    group: str | None
    """None: the site itself."""
    field: str
    """Dotted, as the user knows it: `launch.command`, `restart.max_restarts`; "" is the group as a whole."""
    old: Any
    """None where the group is new."""
    new: Any
    """None where the group is gone."""


def digest(plan: Plan) -> str:
    """The identity of a configuration: twelve hex digits over what the user wrote, not over this machine.

    Machines with different CPU counts agree on it; checkouts in different directories do not, since the
    directories in which workers run are part of what is configured.
    """
    from hashlib import sha256  # loads OpenSSL, 4 MB, which the core need not carry: the loader calls this

    groups = tuple(group._replace(workers=-1) if group.auto else group for group in plan.groups)
    stable = json.dumps(plain(plan._replace(groups=groups, sources=(), origin=Origin())), sort_keys=True)
    return sha256(stable.encode()).hexdigest()[:12]


def diff(old: Plan, new: Plan) -> list[Change]:
    """What differs, site fields first, then group by group in the new plan's order, those gone last."""
    changes = [
        Change(None, field, before, after)
        for field, before, after in _fields(old, new, prefix="")
        if field not in ("groups", "sources") and not field.startswith("origin.")
    ]
    before_by_name = {group.name: group for group in old.groups}
    for group in new.groups:
        before_group = before_by_name.pop(group.name, None)
        if before_group is None:
            changes.append(Change(group.name, "", None, group))
        else:
            changes += [Change(group.name, *fields) for fields in _fields(before_group, group, prefix="")]
    changes += [Change(gone.name, "", gone, None) for gone in before_by_name.values()]
    return changes


def moves(old: Plan, new: Plan) -> dict[str, list[str]]:
    """What applying `new` to a site that runs `old` does to its groups, by name."""
    before, after = ({group.name: group for group in plan.groups} for plan in (old, new))
    both = [(before[name], after[name]) for name in after if name in before]
    return {
        "started": [name for name in after if name not in before],
        "stopped": [name for name in before if name not in after],
        "restarted": [b.name for a, b in both if a.launch != b.launch],
        "scaled": [b.name for a, b in both if a.workers != b.workers],
        "changed": [b.name for a, b in both if a._replace(launch=b.launch, workers=b.workers, auto=b.auto) != b],
    }


def _fields(old: Any, new: Any, prefix: str) -> list[tuple[str, Any, Any]]:
    """The differing leaves of two values of one NamedTuple type, as (dotted name, old, new); a tuple is one leaf."""
    found: list[tuple[str, Any, Any]] = []
    for name in old._fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if hasattr(before, "_fields") and type(before) is type(after):
            found += _fields(before, after, f"{prefix}{name}.")
        else:
            found.append((prefix + name, before, after))
    return found
