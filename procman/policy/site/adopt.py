"""A plan comes into force: what it changes for the site as a whole, and what is said of it. The groups are not its."""

from __future__ import annotations

from procman.plan import Plan, diff, moves
from procman.policy.events import ConfigureLog, Identify
from procman.policy.helpers.helpers import Helpers, calendar_of, guard_of, pump_of, watch_list_of
from procman.policy.site.probation import Version
from procman.policy.step import Step

Effects = dict[str, list[str]]
"""What a change of plan does to groups, as `plan.moves` says it."""


def adopt(old: Plan | None, plan: Plan, digest: str, helpers: Helpers, step: Step) -> None:
    """Have log and helpers as the plan says; before any worker is started."""
    if old is None or (old.name, old.log) != (plan.name, plan.log):
        step.actions.append(ConfigureLog(plan.name, plan.log))
    if plan != old:
        step.actions.append(Identify(digest, plan.origin.version))
    helpers.want("guard", guard_of(plan), step)
    helpers.want("scheduler", calendar_of(plan), step)
    helpers.want("watch", watch_list_of(plan), step)
    if pump := pump_of(plan):  # kept when it is not wanted any more: workers of the old plan may still be there
        helpers.want("pump", pump, step)


def identity(plan: Plan, digest: str) -> dict[str, object]:
    """What tells a configuration from others, as the log has it."""
    commit, dirty = plan.origin.commit, plan.origin.dirty
    return {"digest": digest} | ({"commit": commit, "dirty": dirty} if commit else {})


def say(old: Plan | None, version: Version, back: str, step: Step) -> Effects:
    """The line of the log: a site has started, or what moves, which is the answer; `back` is why, if it goes back."""
    plan, digest, _ = version
    if old is None:
        numbers = {"groups": len(plan.groups), "workers": sum(group.workers for group in plan.groups)}
        step.notice("site.started", "info", "", digest=digest, files=plan.sources, **numbers)
        return {}
    effects = moves(old, plan)
    if back:
        step.notice("config.rolled_back", "warning", back, digest=digest, **effects)
    else:
        reason = "" if any(effects.values()) else "no group changed" if diff(old, plan) else "nothing changed"
        step.notice("config.applied", "info", reason, digest=digest, **effects)
    return effects
