"""What `check` foresees that this machine would refuse."""

from __future__ import annotations

import os

import pytest

from procman.config.preview.advice import warnings
from procman.config.preview.foresight import Machine, foresee, foresee_cgroup, this_machine
from procman.plan import Cgroup, GroupPlan, Launch, Limit, Plan, Privileges

NONE: frozenset[str] = frozenset()
PLAIN = Machine(
    uid=1000, gid=1000, groups=frozenset({1000}), capabilities=NONE, cpus=frozenset({0, 1}), limits={"nofile": 1024}
)
"""Somebody without any capability."""
CONTAINER = PLAIN._replace(uid=0, gid=0, capabilities=Machine().capabilities - {"SYS_RESOURCE"})
"""Root in a container, as it is normally."""

FORESEEN: dict[str, tuple[Privileges, Machine, list[str]]] = {
    "another user": (
        Privileges(uid=5, gid=5, groups=(5,)),
        PLAIN,
        ["user: cannot become uid 5 without CAP_SETUID and CAP_SETGID (here, as uid 1000)"],
    ),
    "another group": (
        Privileges(gid=5),
        PLAIN,
        ["group: cannot become gid 5 without CAP_SETGID (here, as uid 1000)"],
    ),
    "further groups": (
        Privileges(uid=1000, gid=1000, groups=(7, 1000)),
        PLAIN,
        ["supplementary_groups: cannot be set without CAP_SETGID (here, as uid 1000)"],
    ),
    "a soft limit above the hard one": (
        Privileges(limits=(Limit("nofile", 2000),)),
        CONTAINER,
        ["limits.nofile: cannot raise the hard limit above 1024 without CAP_SYS_RESOURCE"],
    ),
    "a hard limit": (
        Privileges(limits=(Limit("nofile", 20, 2000),)),
        PLAIN,
        ["limits.nofile: cannot raise the hard limit above 1024 without CAP_SYS_RESOURCE"],
    ),
    "descriptors without end": (
        Privileges(limits=(Limit("nofile", -1),)),
        Machine(),
        ["limits.nofile: the kernel allows no more than 1048576 (fs.nr_open)"],
    ),
    "a capability": (
        Privileges(capabilities=(24, 10)),
        CONTAINER,
        ["capabilities: procman itself has no CAP_SYS_RESOURCE"],
    ),
    "no capabilities": (
        Privileges(capabilities=()),
        PLAIN,
        ["capabilities: cannot drop others without CAP_SETPCAP; no_new_privileges = true needs it not"],
    ),
    "nice": (
        Privileges(nice=-5),
        PLAIN._replace(limits={"nice": 20}),
        ["nice: cannot go from 0 to -5 without CAP_SYS_NICE"],
    ),
    "the oom score": (
        Privileges(oom_score_adj=-1),
        CONTAINER,
        ["oom_score_adj: cannot go from 0 to -1 without CAP_SYS_RESOURCE"],
    ),
    "CPUs": (Privileges(cpu_affinity=(1, 2, 3)), CONTAINER, ["cpu_affinity: procman may not use CPU 2, 3"]),
}


@pytest.mark.parametrize("case", FORESEEN)
def test_what_the_machine_would_refuse_is_foreseen(case: str) -> None:
    wanted, machine, expected = FORESEEN[case]
    assert list(foresee(wanted, machine)) == expected


FINE: dict[str, tuple[Privileges, Machine]] = {
    "another user, as root": (Privileges(uid=5, gid=5, groups=(5,)), CONTAINER),
    "oneself": (Privileges(uid=1000, gid=1000, groups=(1000,)), PLAIN),
    "lower limits": (Privileges(limits=(Limit("nofile", 20, 20), Limit("core", -1))), PLAIN),
    "higher limits, as real root": (Privileges(limits=(Limit("nofile", 2000),)), Machine(limits={"nofile": 1024})),
    "no capabilities, and none to gain": (Privileges(capabilities=(), no_new_privileges=True), PLAIN),
    "some capabilities": (Privileges(capabilities=(10,)), CONTAINER),
    "nice, where the limit permits it": (Privileges(nice=-5), PLAIN._replace(limits={"nice": 25})),
    "nicer": (Privileges(nice=5, oom_score_adj=5, cpu_affinity=(0,), parent_death_signal=15), PLAIN),
}


@pytest.mark.parametrize("case", FINE)
def test_what_the_machine_permits_is_not_warned_of(case: str) -> None:
    assert list(foresee(*FINE[case])) == []


NO_CGROUP = "no cgroup can be made here: it cannot be written to"
CGROUPS: dict[str, tuple[Cgroup, Machine, list[str]]] = {
    "all there is": (Cgroup(1 << 20, 0.5, 10), Machine(), []),
    "none at all": (Cgroup(), Machine(no_cgroup="it cannot be written to"), [f"cgroup: {NO_CGROUP}"]),
    "no limit": (Cgroup(pids_max=9), Machine(no_cgroup="it cannot be written to"), [f"pids_max: {NO_CGROUP}"]),
    "a cgroup alone": (Cgroup(), Machine(controllers=NONE, shared_cgroup=True), []),
    "no controllers": (
        Cgroup(memory_max=1 << 20, cpu_max=0.5),
        Machine(controllers=frozenset({"cpu", "pids"})),
        ["memory_max: the cgroup that procman would be in has no memory controller"],
    ),
    "company": (
        Cgroup(cpu_max=0.5),
        Machine(shared_cgroup=True),
        ["cpu_max: other processes are in the cgroup that procman would be in: it hands on no limits"],
    ),
}


@pytest.mark.parametrize("case", CGROUPS)
def test_a_cgroup_that_cannot_be_had_is_foreseen(case: str) -> None:
    wanted, machine, expected = CGROUPS[case]
    assert list(foresee_cgroup(wanted, machine)) == expected


def test_a_warning_names_the_group() -> None:
    limited = GroupPlan("db", Launch(("db",), "/", cgroup=Cgroup()))
    assert warnings(Plan("shop", (limited,)), Machine(no_cgroup="why")) == [
        "db: cgroup: no cgroup can be made here: why"
    ]
    group = GroupPlan("web", Launch(("web",), "/", privileges=Privileges(oom_score_adj=-1)))
    expected = ["web: oom_score_adj: cannot go from 0 to -1 without CAP_SYS_RESOURCE"]
    assert expected == warnings(Plan("shop", (group,)), PLAIN)


def test_this_machine_is_looked_at() -> None:
    machine = this_machine()
    assert (machine.uid, machine.cpus) == (os.geteuid(), frozenset(os.sched_getaffinity(0)))
    assert machine.capabilities <= machine.bounding
