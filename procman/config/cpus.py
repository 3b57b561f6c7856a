"""How many CPUs this process may really use: the affinity mask, bounded by the quotas of its cgroups.

Not the host's core count: in a container that number is somebody else's. Changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

Reader = Callable[[str], str | None]
"""A file's text; None if it cannot be read."""

_ROOT = "/sys/fs/cgroup"


def usable_cpus() -> int:
    """The number of workers that "auto" stands for, on this machine and now."""
    return count(len(os.sched_getaffinity(0)), _read)


def count(affinity: int, read: Reader) -> int:
    """The least of the affinity and of all quotas on the way up the cgroups, rounded up, at least 1."""
    return max(1, min([affinity, *_quotas(read)]))


def _quotas(read: Reader) -> Iterator[int]:
    for line in (read("/proc/self/cgroup") or "").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            for mount in (_ROOT, f"{_ROOT}/unified"):
                for folder in _upwards(path):
                    quota, _, period = (read(f"{mount}{folder}/cpu.max") or "").strip().partition(" ")
                    yield from _cpus(quota, period)
        elif "cpu" in controllers.split(","):
            for mount in (f"{_ROOT}/cpu", f"{_ROOT}/{controllers}"):
                for folder in _upwards(path):
                    quota = read(f"{mount}{folder}/cpu.cfs_quota_us") or ""
                    yield from _cpus(quota.strip(), (read(f"{mount}{folder}/cpu.cfs_period_us") or "").strip())


def _upwards(path: str) -> Iterator[str]:
    """`/a/b`, `/a` and the root itself, which in a container is all that can be seen."""
    path = path.rstrip("/")
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


def _cpus(quota: str, period: str) -> Iterator[int]:
    """The CPUs that a quota of microseconds a period amounts to; none for `max`, -1 and what is no number."""
    with suppress(ValueError):
        if int(quota) > 0 and int(period) > 0:
            yield -(-int(quota) // int(period))


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib for one open
            return file.read(4096)
    except OSError:
        return None
