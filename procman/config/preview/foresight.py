"""What this machine, and the user who asks, would not permit of a plan. `this_machine` looks; the rest is pure.

A forecast for people: what is permitted in the end is learnt at each start, by the worker itself.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from procman import plan
from procman.kernel.proc import hierarchy
from procman.words import CAPABILITIES

_CONTROLLERS = frozenset({"memory", "cpu", "pids"})


class Machine(NamedTuple):
    """What procman could do here. The defaults are a machine that permits everything."""

    uid: int = 0
    gid: int = 0
    groups: frozenset[int] = frozenset()
    capabilities: frozenset[str] = frozenset(CAPABILITIES)
    bounding: frozenset[str] = frozenset(CAPABILITIES)
    """What programs that it executes could gain."""
    nice: int = 0
    oom_score_adj: int = 0
    cpus: frozenset[int] = frozenset(range(1 << 16))
    limits: dict[str, int] = {}  # noqa: RUF012 - a shared empty default that nobody writes to
    """The hard ones; those not listed are unlimited."""
    most_descriptors: int = 1 << 20
    no_cgroup: str = ""
    """Why it could make none; "": it could."""
    controllers: frozenset[str] = _CONTROLLERS
    """Those that procman's own cgroup has, and could hand on."""
    shared_cgroup: bool = False
    """Whether others are in procman's own cgroup, which then hands on nothing."""


def this_machine() -> Machine:
    """As this process finds it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    limits = {
        name[7:].lower(): resource.getrlimit(number)[1]
        for name, number in vars(resource).items()
        if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"
    }
    no_cgroup, controllers, shared = _cgroup()
    return Machine(
        uid=os.geteuid(),
        gid=os.getegid(),
        groups=frozenset(os.getgroups()),
        capabilities=_names(int(status["CapEff"], 16)),
        bounding=_names(int(status["CapBnd"], 16)),
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        oom_score_adj=int(Path("/proc/self/oom_score_adj").read_text(encoding="utf-8")),
        cpus=frozenset(os.sched_getaffinity(0)),
        limits={name: hard for name, hard in limits.items() if hard != resource.RLIM_INFINITY},
        most_descriptors=int(Path("/proc/sys/fs/nr_open").read_text(encoding="utf-8")),
        no_cgroup=no_cgroup,
        controllers=controllers,
        shared_cgroup=shared,
    )


def _cgroup() -> tuple[str, frozenset[str], bool]:
    try:
        home = Path(hierarchy.home())
        controllers = frozenset((home / "cgroup.controllers").read_text(encoding="ascii").split())
        members = (home / "cgroup.procs").read_text(encoding="ascii").split()
    except OSError as error:
        return error.strerror or str(error), frozenset(), False
    if not (os.access(home, os.W_OK) and os.access(home / "cgroup.procs", os.W_OK)):
        return f"{home} cannot be written to", controllers, False
    is_root = not (home / "cgroup.type").exists()
    return "", controllers, len(members) > 1 and not is_root


def _names(mask: int) -> frozenset[str]:
    return frozenset(name for number, name in enumerate(CAPABILITIES) if mask >> number & 1)


def foresee(wanted: plan.Privileges, machine: Machine) -> Iterator[str]:
    """What would be refused, each with the option's name."""
    yield from _identity(wanted, machine)
    for limit in wanted.limits:
        yield from _limit(limit, machine)
    yield from _capabilities(wanted, machine)
    if wanted.nice is not None and wanted.nice < machine.nice and "SYS_NICE" not in machine.capabilities:
        lowest = 20 - machine.limits.get("nice", 40)
        if wanted.nice < lowest:
            yield f"nice: cannot go from {machine.nice} to {wanted.nice} without CAP_SYS_NICE"
    score = wanted.oom_score_adj
    if score is not None and score < machine.oom_score_adj and "SYS_RESOURCE" not in machine.capabilities:
        yield f"oom_score_adj: cannot go from {machine.oom_score_adj} to {score} without CAP_SYS_RESOURCE"
    if missing := sorted(set(wanted.cpu_affinity or ()) - machine.cpus):
        yield f"cpu_affinity: procman may not use CPU {', '.join(map(str, missing))}"


def foresee_cgroup(wanted: plan.Cgroup, machine: Machine) -> Iterator[str]:
    """What would be refused of a worker's cgroup, each with the option's name."""
    limited = [name for name in sorted(_CONTROLLERS) if getattr(wanted, f"{name}_max") is not None]
    if machine.no_cgroup:
        yield f"{f'{limited[0]}_max' if limited else 'cgroup'}: no cgroup can be made here: {machine.no_cgroup}"
        return
    for name in limited:
        if name not in machine.controllers:
            yield f"{name}_max: the cgroup that procman would be in has no {name} controller"
        elif machine.shared_cgroup:
            yield f"{name}_max: other processes are in the cgroup that procman would be in: it hands on no limits"


def _identity(wanted: plan.Privileges, machine: Machine) -> Iterator[str]:
    denied = f"here, as uid {machine.uid}"
    if wanted.uid not in (None, machine.uid) and not {"SETUID", "SETGID"} <= machine.capabilities:
        missing = " and ".join(f"CAP_{name}" for name in ("SETUID", "SETGID") if name not in machine.capabilities)
        yield f"user: cannot become uid {wanted.uid} without {missing} ({denied})"
    elif "SETGID" not in machine.capabilities:
        if wanted.gid not in (None, machine.gid):
            yield f"group: cannot become gid {wanted.gid} without CAP_SETGID ({denied})"
        own = machine.gid if wanted.gid is None else wanted.gid
        if wanted.groups is not None and {*wanted.groups, own} != {*machine.groups, own}:
            yield f"supplementary_groups: cannot be set without CAP_SETGID ({denied})"


def _limit(limit: plan.Limit, machine: Machine) -> Iterator[str]:
    ceiling = machine.limits.get(limit.name)
    highest = limit.soft if limit.hard is None else limit.hard
    if limit.name == "nofile" and not 0 <= highest <= machine.most_descriptors:
        yield f"limits.nofile: the kernel allows no more than {machine.most_descriptors} (fs.nr_open)"
    elif ceiling is not None and not 0 <= highest <= ceiling and "SYS_RESOURCE" not in machine.capabilities:
        yield f"limits.{limit.name}: cannot raise the hard limit above {ceiling} without CAP_SYS_RESOURCE"


def _capabilities(wanted: plan.Privileges, machine: Machine) -> Iterator[str]:
    if wanted.capabilities is None:
        return
    kept = [CAPABILITIES[number] for number in wanted.capabilities]
    if missing := [f"CAP_{name}" for name in kept if name not in machine.capabilities]:
        yield f"capabilities: procman itself has no {', '.join(missing)}"
    if "SETPCAP" not in machine.capabilities and machine.bounding - set(kept) and not wanted.no_new_privileges:
        yield "capabilities: cannot drop others without CAP_SETPCAP; no_new_privileges = true needs it not"
