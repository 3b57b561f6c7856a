"""How many CPUs "auto" stands for, from the texts that Linux gives."""

from __future__ import annotations

import pytest

from procman.config.cpus import count, usable_cpus

V2 = "0::/system.slice/docker-1.scope\n"
V1 = "12:cpuset:/\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n"
ROOT = "/sys/fs/cgroup"
CASES: dict[str, tuple[int, dict[str, str], int]] = {
    "no cgroups": (4, {}, 4),
    "no quota": (4, {"/proc/self/cgroup": V2, f"{ROOT}/cpu.max": "max 100000\n"}, 4),
    "the affinity is less": (2, {"/proc/self/cgroup": V2, f"{ROOT}/cpu.max": "800000 100000\n"}, 2),
    "rounded up": (8, {"/proc/self/cgroup": V2, f"{ROOT}/system.slice/docker-1.scope/cpu.max": "150000 100000\n"}, 2),
    "at least one": (8, {"/proc/self/cgroup": V2, f"{ROOT}/cpu.max": "5000 100000\n"}, 1),
    "a parent's quota": (8, {"/proc/self/cgroup": V2, f"{ROOT}/system.slice/cpu.max": "300000 100000\n"}, 3),
    "only the container's root is seen": (8, {"/proc/self/cgroup": V2, f"{ROOT}/cpu.max": "200000 100000"}, 2),
    "hybrid": (8, {"/proc/self/cgroup": V2, f"{ROOT}/unified/cpu.max": "200000 100000"}, 2),
    "version 1": (
        8,
        {
            "/proc/self/cgroup": V1,
            f"{ROOT}/cpu/docker/1/cpu.cfs_quota_us": "250000\n",
            f"{ROOT}/cpu/docker/1/cpu.cfs_period_us": "100000\n",
        },
        3,
    ),
    "version 1 in a container": (
        8,
        {
            "/proc/self/cgroup": V1,
            f"{ROOT}/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
            f"{ROOT}/cpu,cpuacct/cpu.cfs_period_us": "50000\n",
        },
        1,
    ),
    "version 1 without a quota": (
        8,
        {
            "/proc/self/cgroup": V1,
            f"{ROOT}/cpu/cpu.cfs_quota_us": "-1\n",
            f"{ROOT}/cpu/cpu.cfs_period_us": "100000\n",
        },
        8,
    ),
    "garbage": (8, {"/proc/self/cgroup": "what\n::\n0::\n", f"{ROOT}/cpu.max": "much 0\n"}, 8),
    "a period of nothing": (8, {"/proc/self/cgroup": V2, f"{ROOT}/cpu.max": "100 0\n"}, 8),
}


@pytest.mark.parametrize("case", CASES)
def test_the_usable_cpus_are_the_least_of_affinity_and_quotas(case: str) -> None:
    affinity, files, expected = CASES[case]
    assert count(affinity, files.get) == expected


def test_this_machine_has_at_least_one() -> None:
    assert usable_cpus() >= 1
