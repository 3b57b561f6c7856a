"""A plan by the keys under which a user writes its values: `restart.window`, `env.LOG_LEVEL`. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from procman.plan.changes import moves
from procman.plan.checks import Health, Ready
from procman.plan.launch import Cgroup, Launch, Limit, Privileges
from procman.plan.listen import Listen
from procman.plan.restart import Restart
from procman.plan.site import GroupPlan, Plan

_WRITTEN = {"uid": "user", "gid": "group", "groups": "supplementary_groups"}
"""Fields of `Privileges` that are written under other names."""
_UNWRITTEN = ("name", "groups", "sources", "origin")

Keys = dict[str, Any]


class Difference(NamedTuple):
    """A key that two versions of a table say differently; None is what is not there."""

    key: str
    old: Any
    new: Any


class GroupChange(NamedTuple):
    """What becomes of a group."""

    name: str
    effects: tuple[str, ...]
    """`started`, `stopped`, `restarted`, `scaled`, `changed`; several may hold."""
    workers: tuple[int, int]
    """Before and after."""
    differences: tuple[Difference, ...]


def group_changes(old: Plan, new: Plan) -> list[GroupChange]:
    """All groups that change, in the order of the new plan, those gone last."""
    before, after = ({group.name: group for group in plan.groups} for plan in (old, new))
    effects: dict[str, list[str]] = {}
    for effect, names in moves(old, new).items():
        for name in names:
            effects.setdefault(name, []).append(effect)
    found = []
    for name in [*after, *(name for name in before if name not in after)]:
        a, b = before.get(name), after.get(name)
        differing = differences(keys_of(a), keys_of(b)) if a and b and a != b else ()
        if name in effects or differing:
            counts = (a.workers if a else 0, b.workers if b else 0)
            found.append(GroupChange(name, tuple(effects.get(name, ["changed"])), counts, differing))
    return found


def site_differences(old: Plan, new: Plan) -> tuple[Difference, ...]:
    """The keys of `[site]` and `[log]` that differ."""
    return differences(_site_keys(old), _site_keys(new))


def differences(old: Keys, new: Keys) -> tuple[Difference, ...]:
    """The keys with different values, in the new one's order."""
    return tuple(Difference(key, old.get(key), new.get(key)) for key in {**new, **old} if old.get(key) != new.get(key))


def keys_of(group: GroupPlan) -> Keys:
    """All values of a group."""
    keys: Keys = {"workers": f"auto ({group.workers})" if group.auto else group.workers}
    keys["cgroup"] = group.launch.cgroup is not None
    _gather(group, "", keys)
    return keys


def worst_case(old: Plan, new: Plan) -> float:
    """How long applying `new` may take at worst, in seconds.

    Groups move side by side; workers of one group are replaced in turns, by its rule, each with its whole drain and
    grace and its whole time to become ready. What starts waits, besides, for those that it depends on and that move
    as well.
    """
    before, after = ({group.name: group for group in plan.groups} for plan in (old, new))
    effects = moves(old, new)
    own = {name: before[name].stop.longest for name in effects["stopped"] if before[name].workers}
    own |= {name: _ready(after[name]) for name in effects["started"]}
    for name in effects["scaled"]:
        down = after[name].workers < before[name].workers
        own[name] = before[name].stop.longest if down else _ready(after[name])
    for name in effects["restarted"]:
        own[name] = max(own.get(name, 0.0), _replacement(before[name], after[name]))
    until: dict[str, float] = {}
    return max([_until(name, after, own, until) for name in own], default=0.0)


def _ready(group: GroupPlan) -> float:
    return group.ready.timeout if group.ready is not None and group.workers else 0.0


def _replacement(old: GroupPlan, new: GroupPlan) -> float:
    """How long replacing all workers of a group may take."""
    replaced = min(old.workers, new.workers)
    if not replaced:
        return old.stop.longest if old.workers else _ready(new)
    turns = -(-replaced // max(1, new.update.parallel))
    return turns * (old.stop.longest + _ready(new)) + (turns - 1) * new.update.pause


def _until(name: str, groups: dict[str, GroupPlan], own: dict[str, float], until: dict[str, float]) -> float:
    if name not in until:
        needs = [need for need, _ in groups[name].after if need in own] if name in groups else []
        until[name] = own[name] + max([_until(need, groups, own, until) for need in needs], default=0.0)
    return until[name]


def _site_keys(plan: Plan) -> Keys:
    keys: Keys = {}
    for name in plan._fields:
        if name not in _UNWRITTEN:
            prefix = "" if name == "log" else "site."
            _put(prefix + name, getattr(plan, name), keys)
    return {"site.name": plan.name, **keys}


def _gather(value: Any, prefix: str, keys: Keys) -> None:
    """The fields of one NamedTuple."""
    for name in value._fields:
        inner = getattr(value, name)
        match value, name:
            case GroupPlan(), "name" | "auto" | "workers":
                pass
            case (GroupPlan(), "launch") | (Launch(), "privileges" | "cgroup"):
                _gather(inner or (Cgroup() if name == "cgroup" else Privileges()), prefix, keys)
            case (Launch(), "env" | "secrets") | (GroupPlan(), "after"):
                told = (("env", f"secret in {item}") if name == "secrets" else (name, item) for _, item in inner)
                keys.update({f"{table}.{key}": item for (key, _), (table, item) in zip(inner, told, strict=True)})
            case Privileges(), "limits":
                keys.update({f"limits.{limit.name}": _limit(limit) for limit in inner})
            case Launch(), "listen":
                keys.update({f"listen.{listen.name}": _socket(listen) for listen in inner})
            case Privileges(), _:
                keys[prefix + _WRITTEN.get(name, name)] = inner
            case Ready() | Health(), "target" | "command" | "fd" | "delay":
                pass
            case Ready() | Health(), "by":
                keys[f"{prefix}{inner}"] = _condition(value)
            case Restart(), "success_signals":
                pass
            case Restart(), "success_codes":
                keys[f"{prefix}success"] = (*inner, *(Signal(number) for number in value.success_signals))
            case _:
                _put(prefix + name, inner, keys)


class Signal(NamedTuple):
    """A signal among exit codes."""

    number: int


def _condition(check: Ready | Health) -> Any:
    """What a check asks, as it is written after its kind."""
    if isinstance(check, Ready) and check.by in ("fd", "delay"):
        return check.fd if check.by == "fd" else check.delay
    return check.command or check.target or True


def _put(key: str, value: Any, keys: Keys) -> None:
    if hasattr(value, "_fields"):
        _gather(value, f"{key}.", keys)
    else:
        keys[key] = value


def _socket(listen: Listen) -> str:
    """Its address, and what of it is not as usual."""
    usual = Listen(listen.name, listen.kind, listen.host, listen.port)
    unusual = [
        f"{name} {value:04o}" if name == "mode" else f"{name} {value}".lower()
        for name, value in listen._asdict().items()
        if value != getattr(usual, name)
    ]
    return ", ".join([listen.url, *unusual])


def _limit(limit: Limit) -> str:
    parts = [limit.soft] if limit.hard is None else [limit.soft, limit.hard]
    return ":".join("unlimited" if part < 0 else str(part) for part in parts)
