"""The site's cgroup (v2), and one for each worker of a group that wants one: its limits, its end, why it was killed.

Where one can be made, procman moves itself once, at the start, into `procman-NAME/tree` below the cgroup that it is in:
so all that it starts is inside for good, wherever it goes. It moves back once the site stops, if it can while others
are inside, and at the end removes what it has made. The leaves of workers are the siblings of `tree`, since a cgroup
that hands on controllers holds no process, and are joined before exec. Nothing here waits. A site can do without its
cgroup; that a worker cannot have a leaf, or a limit, is a `SpawnError` that names the option.
"""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH102, PTH123

from __future__ import annotations

import os
from errno import EBUSY, ENOENT, EPERM, errorcode

from procman.kernel.proc import hierarchy, processes
from procman.kernel.spawn.given import NOTHING, Given
from procman.kernel.spawn.program import SpawnError
from procman.lean import suppress
from procman.plan import Cgroup
from procman.policy.events import Notice, Spawn, WorkerId

PERIOD_US = 100_000
"""Of `cpu.max`: the kernel's own default."""


class Leaf:
    """The cgroup of one run of a worker."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """Unique within the site."""
        return self.path.rpartition("/")[2]

    def watch(self) -> int | None:
        """See `hierarchy.watch`."""
        return hierarchy.watch(self.path)

    def oom_kills(self) -> int:
        """How many of it the kernel has killed for want of memory."""
        return numbers(f"{self.path}/memory.events").get("oom_kill", 0)

    def members(self) -> list[int]:
        """The pids of those in it."""
        return hierarchy.members(self.path)

    def kill(self) -> None:
        """See `hierarchy.kill`."""
        with suppress(OSError):  # no descriptor is left: who is known otherwise is signalled all the same
            hierarchy.kill(self.path)

    def remove(self) -> None:
        """Remove it, and what a worker has made in it, if nobody is in there any more."""
        if not hierarchy.populated(self.path):
            hierarchy.remove_all(self.path)


class Cgroups:
    """The site's cgroups. A provider: it gives each worker that wants one its leaf to join."""

    __slots__ = ("_born_elsewhere", "_controllers", "_is_home", "_leaves", "_why_not", "home", "site")

    def __init__(self) -> None:
        self.home = ""
        """The cgroup that procman was started in; "" until it was looked for."""
        self.site = ""
        """The site's own; "" while there is none."""
        self._is_home = False
        self._why_not: tuple[int, str] = (0, "")
        self._controllers: set[str] = set()
        self._born_elsewhere: set[WorkerId] = set()
        self._leaves: dict[WorkerId, Leaf] = {}

    def serve(self, site: str) -> list[Notice]:
        """Go into the site's own cgroup, once, whatever the site is called later: what is to be told."""
        if self.home or self._why_not[1]:
            return []
        try:
            self.home = hierarchy.home()
            path = f"{self.home}/procman-{site}"
            self.site = hierarchy.enter(path)
        except OSError as error:
            self._why_not = error.errno or EPERM, f"no cgroup can be made here: {error.strerror or error}"
            return [Notice("cgroup.unavailable", "debug", self._why_not[1])]
        return [notice for folder in hierarchy.sites(path) if folder != self.site and (notice := _abandoned(folder))]

    def members(self) -> list[int]:
        """The pids of all who are in the site's cgroup, the core and its helpers included."""
        return hierarchy.members(self.site) if self.site else []

    def give(self, spawn: Spawn) -> Given:
        """A leaf of its own, with its limits, for a worker that wants one."""
        worker, launch = spawn.worker, spawn.launch
        if launch.cgroup is None:
            return NOTHING
        if not self.site:
            raise _refused(self._why_not[0], f"cgroup: {self._why_not[1]}")
        leaf = Leaf(f"{self.site}/{worker.group}.{worker.task}.{worker.generation}")
        try:
            os.mkdir(leaf.path)
        except OSError as error:
            raise _refused(error.errno, f"cgroup: cannot make {leaf.path}: {error.strerror}") from None
        self._leaves[worker] = leaf
        for key, controller, value in _limits(launch.cgroup):
            self._limit(leaf, key, controller, value)
        if launch.python:
            self._born_elsewhere.add(worker)
        return Given(cgroup=f"{leaf.path}/cgroup.procs")

    def started(self, worker: WorkerId, pid: int) -> None:
        """A zygote's child has not joined by itself."""
        if worker in self._born_elsewhere:
            self._born_elsewhere.remove(worker)
            with suppress(OSError):  # it has ended already
                hierarchy.write(f"{self._leaves[worker].path}/cgroup.procs", str(pid))

    def ended(self, worker: WorkerId) -> None:
        """Its leader is gone; if nothing else is in the leaf, that goes too, else when the tree is over."""
        leaf = self._leaves.pop(worker, None)
        if leaf is not None:
            leaf.remove()

    def leaf(self, worker: WorkerId) -> Leaf | None:
        """The leaf of a worker that has just been started."""
        return self._leaves.get(worker)

    def go_home(self) -> None:
        """Go back to where procman came from, if that can be while others are in the site's cgroup.

        The kernel takes some ten milliseconds for it (a grace period of RCU), in which workers that are to end do so.
        """
        if self.site and not self._is_home:
            with suppress(OSError):  # EBUSY: `home` hands on controllers, which limit workers as long as they are there
                hierarchy.write(f"{self.home}/cgroup.procs", "0")
                self._is_home = True

    def close(self) -> None:
        """Go back to where procman came from, and remove what it has made."""
        if self.site:
            with suppress(OSError):  # then the next one removes it
                hierarchy.leave(self.site, None if self._is_home else self.home)
            self.site = ""

    def _limit(self, leaf: Leaf, key: str, controller: str, value: str) -> None:
        try:
            self._enable(controller)
            hierarchy.write(f"{leaf.path}/{controller}.max", value)
        except OSError as error:
            leaf.remove()
            reason = f"{self.home} hands on no {controller} controller ({error.strerror})"
            raise _refused(error.errno, f"{key}: {reason}") from None

    def _enable(self, controller: str) -> None:
        if controller in self._controllers:
            return
        with open(f"{self.home}/cgroup.controllers", encoding="ascii") as file:
            if controller not in file.read().split():
                raise OSError(ENOENT, "it has none itself")
        for folder in (self.home, self.site):
            try:
                hierarchy.write(f"{folder}/cgroup.subtree_control", f"+{controller}")
            except OSError as error:
                if error.errno == EBUSY:
                    raise OSError(EBUSY, "other processes are in that cgroup") from None
                raise
        self._controllers.add(controller)


def _abandoned(folder: str) -> Notice | None:
    """Tell of a site's cgroup in which others are, but no procman, and no guard that would end them."""
    with suppress(OSError):  # no descriptor is left to look with
        left = [process for pid in hierarchy.members(folder) if (process := processes.read(pid))]
        if left and not any(process.name in ("procman", "procman-guard") for process in left):
            by = f"by a procman that was killed, with no guard to end them: {processes.shown(left)}"
            reason = f"left in {folder} {by} (hint: `echo 1 > {folder}/cgroup.kill` ends them)"
            return Notice("cgroup.abandoned", "warning", reason, {"processes": len(left)})
    return None


def _limits(wanted: Cgroup) -> list[tuple[str, str, str]]:
    """Each limit: the option, the controller, and what its file is told."""
    found = []
    if wanted.memory_max is not None:
        found.append(("memory_max", "memory", str(wanted.memory_max)))
    if wanted.cpu_max is not None:
        found.append(("cpu_max", "cpu", f"{round(wanted.cpu_max * PERIOD_US)} {PERIOD_US}"))
    if wanted.pids_max is not None:
        found.append(("pids_max", "pids", str(wanted.pids_max)))
    return found


def numbers(path: str) -> dict[str, int]:
    """A file of lines, each a name and a number; empty where there is none."""
    try:
        with open(path, encoding="ascii") as file:
            pairs = [line.split() for line in file]
    except OSError:
        return {}
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _refused(code: int | None, reason: str) -> SpawnError:
    return SpawnError("setup", code or EPERM, f"{reason} [{errorcode.get(code or EPERM, code)}]")
