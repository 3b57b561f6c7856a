"""The plan as a value: there and back as JSON, with all that is nested in it, and what tells two apart."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import pytest

from procman import choices
from procman.plan import Change, GroupPlan, Launch, Limit, Plan, Privileges, diff, from_json, to_json
from procman.plan.codec import NESTED

LIMITS = (Limit("nofile", 20, 30), Limit("core", 0))
FULL = Plan("shop", (GroupPlan("web", Launch(("true",), "/", privileges=Privileges(uid=5, limits=LIMITS))),))


def nested_in(hint: Any) -> set[type]:
    """The NamedTuples that an annotation names, however deep."""
    found = {hint} if hasattr(hint, "_fields") else set()
    return found.union(*map(nested_in, get_args(hint)))


def test_every_value_that_is_nested_in_a_plan_is_read_back_as_what_it_was() -> None:
    seen: set[type] = set()
    kinds: set[type] = {Plan}
    while kinds:
        kind = kinds.pop()
        seen.add(kind)
        inner = {name: nested_in(hint) for name, hint in get_type_hints(kind, localns=vars(choices)).items()}
        assert {name for name, found in inner.items() if found} == set(NESTED.get(kind, {})), kind
        kinds |= set().union(*inner.values()) - seen
    assert set(NESTED) <= seen


def test_limits_come_back_as_limits() -> None:
    back = from_json(to_json(FULL))
    assert back == FULL
    privileges = back.groups[0].launch.privileges
    assert privileges is not None
    assert [limit.hard for limit in privileges.limits] == [30, None]


PATHS = [(), ("log",), ("groups",), ("groups", 0), ("groups", 0, "launch"), ("groups", 0, "launch", "privileges"),
         ("groups", 0, "launch", "privileges", "limits"), ("groups", 0, "launch", "privileges", "limits", 0),
         ("groups", 0, "restart"), ("groups", 0, "restart", "backoff"), ("groups", 0, "stop")]  # fmt: skip


@pytest.mark.parametrize("wrong", [5, "text", [5], {"unknown": 5}])
@pytest.mark.parametrize("path", PATHS)
def test_what_is_no_plan_is_refused(path: tuple[str | int, ...], wrong: Any) -> None:
    data = [json.loads(to_json(FULL))]
    place: Any = data
    key: str | int = 0
    for step in path:
        place, key = place[key], step
    place[key] = wrong
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_json(json.dumps(data[0]))


def test_a_tuple_of_values_is_one_difference() -> None:
    group = FULL.groups[0]
    fewer = Privileges(uid=5, limits=LIMITS[:1])
    new = FULL._replace(groups=(group._replace(launch=group.launch._replace(privileges=fewer)),))
    assert diff(FULL, new) == [Change("web", "launch.privileges.limits", LIMITS, LIMITS[:1])]
