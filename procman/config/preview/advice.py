"""What a valid plan may do otherwise than its author thinks, and how long it takes to stop. Pure: plan in, text out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import TopologicalSorter

from procman import plan, words
from procman.config.preview.daemons import leaving
from procman.config.preview.foresight import Machine, foresee, foresee_cgroup

INIT_STOP_TIMEOUT = 9.0
"""What bounds a shutdown as process 1 unless the site says otherwise: engines kill after 10 s."""

_OPERATORS = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1", "&>"})
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_VARIABLE = re.compile(r"\$\$([A-Za-z_][A-Za-z0-9_]*)")
"""In a template: what was `$NAME` in the file."""


def warnings(site: plan.Plan, machine: Machine | None = None) -> list[str]:
    """One line each, beginning with the group that it concerns; without a machine it permits everything."""
    groups = {group.name: group for group in site.groups}
    found: list[str] = []
    for group in site.groups:
        told = [*_command(group), *_budget(group), *_waits(group, groups)]
        if machine is not None and group.launch.privileges is not None:
            told += foresee(group.launch.privileges, machine)
        if machine is not None and group.launch.cgroup is not None:
            told += foresee_cgroup(group.launch.cgroup, machine)
        found += [f"{group.name}: {text}" for text in told]
    bound = stop_bound(site)
    if site.stop_timeout is not None and site.stop_timeout < bound:
        found.append(
            f"stopping may take {words.duration(bound)}, but stop_timeout kills all after "
            f"{words.duration(site.stop_timeout)}"
        )
    return found


def stop_bound(site: plan.Plan) -> float:
    """The worst case of an orderly shutdown in seconds, `stop_timeout` apart.

    Groups stop in reverse order of their dependencies, so it is the dearest chain of them.
    """
    needs = {group.name: [need for need, _ in group.after] for group in site.groups}
    worst = {group.name: group.stop.longest if group.workers else 0.0 for group in site.groups}
    until: dict[str, float] = {}
    for name in TopologicalSorter(needs).static_order():
        until[name] = worst[name] + max((until[need] for need in needs[name]), default=0.0)
    return max(until.values(), default=0.0)


def _command(group: plan.GroupPlan) -> Iterator[str]:
    command = group.launch.command
    if group.launch.python is not None or command[0].rpartition("/")[2] in _SHELLS:
        return
    quoted = 'no shell runs the command; for one write ["sh", "-c", "…"]'
    if operator := next((word for word in command if word in _OPERATORS), None):
        yield f"`{operator}` is passed to the program as it stands: {quoted}"
    if _ASSIGNMENT.match(command[0]):
        yield f"`{command[0]}` is taken for the program: set variables in `env`"
    if variable := next((match[1] for word in command if (match := _VARIABLE.search(word))), None):
        yield f"`${variable}` stands for itself: write ${{{variable}}}"
    if any(word.startswith("~/") for word in command):
        yield "`~` stands for itself: write ${HOME}"
    if group.launch.cgroup is None and (told := leaving(command)):
        yield told


def _budget(group: plan.GroupPlan) -> Iterator[str]:
    restart = group.restart
    if restart.window is None or restart.when == "never" or not group.workers:
        return
    most = most_failures(restart, group.workers)
    if most is not None and most <= restart.max_restarts:
        yield (
            f"max_restarts = {restart.max_restarts} cannot be reached: with this backoff "
            f"at most {most} failures fit into {words.duration(restart.window)}"
        )


def most_failures(restart: plan.Restart, workers: int) -> int | None:
    """How many failures fit into the window if every start fails at once; None: no bound but the machine.

    The first restart in a row is immediate, the next wait initial, initial times factor, … up to max, jitter apart.
    Under one-for-all the failures of siblings count as one.
    """
    backoff, window = restart.backoff, restart.window
    if backoff is None or window is None or backoff.max <= 0:
        return None
    slots = 1 if restart.strategy == "one-for-all" else workers
    failures, passed, delay = 1, 0.0, 0.0
    # Beyond the budget the exact number says nothing.
    while passed <= window and failures * slots <= restart.max_restarts + slots:
        failures += 1
        delay = min(backoff.initial, backoff.max) if failures == 2 else min(delay * backoff.factor, backoff.max)
        passed += delay
    return failures * slots


def _waits(group: plan.GroupPlan, groups: dict[str, plan.GroupPlan]) -> Iterator[str]:
    for name, condition in group.after:
        need = groups[name]
        if need.kind == "job" and condition in ("started", "ready"):
            yield f'waits only until the job {name} is {condition}; for its end write {{ {name} = "completed" }}'
        elif need.restart.when == "always" and condition in ("completed", "ended"):
            yield f"waits until {name} is {condition}, but that is restarted always"
