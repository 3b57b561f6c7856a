"""A cgroup (v2) for each worker of a group that wants one: its limits, who is in it, its end, and why it was killed.

The site's directory, `procman-NAME`, is made when the first worker wants a leaf, below the cgroup that procman is in
and nowhere else. procman moves itself into `tree` below it, since a cgroup that hands on controllers holds no process;
at the end it moves back and removes all of it. The leaves are the siblings of `tree`, and joined before exec.
Nothing here waits, and nothing is left out silently: what cannot be had is a `SpawnError` that names the option.
"""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH102, PTH106, PTH123

from __future__ import annotations

import os
from contextlib import suppress
from errno import EBUSY, ENOENT, EPERM, errorcode

from procman.kernel.given import NOTHING, Given
from procman.kernel.program import SpawnError
from procman.plan import Cgroup
from procman.policy.events import Spawn, WorkerId

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

    def populated(self) -> bool:
        """Whether anybody in it lives."""
        return numbers(f"{self.path}/cgroup.events").get("populated") == 1

    def oom_kills(self) -> int:
        """How many of it the kernel has killed for want of memory."""
        return numbers(f"{self.path}/memory.events").get("oom_kill", 0)

    def members(self) -> list[int]:
        """The pids of those in it."""
        try:
            with open(f"{self.path}/cgroup.procs", "rb") as file:
                return [int(pid) for pid in file.read().split()]
        except OSError:
            return []

    def kill(self) -> None:
        """SIGKILL to all of it at once, who is just being forked included; before Linux 5.14 there is no such file."""
        with suppress(OSError):
            _write(f"{self.path}/cgroup.kill", "1")

    def remove(self) -> None:
        """Nobody is in it any more."""
        with suppress(OSError):
            os.rmdir(self.path)


class Cgroups:
    """The site's cgroups. A provider: it gives each worker that wants one its leaf to join."""

    __slots__ = ("_born_elsewhere", "_controllers", "_home", "_leaves", "_name", "_site", "_why_not")

    def __init__(self) -> None:
        self._name = ""
        self._home = ""
        """The cgroup that procman was started in; "" until it was looked for."""
        self._site = ""
        """The site's own; "" while there is none."""
        self._why_not: tuple[int, str] = (0, "")
        self._controllers: set[str] = set()
        self._born_elsewhere: set[WorkerId] = set()
        self._leaves: dict[WorkerId, Leaf] = {}

    def serve(self, site: str) -> None:
        """Name the site's directory so, if it is to be made."""
        self._name = site

    def give(self, spawn: Spawn) -> Given:
        """A leaf of its own, with its limits, for a worker that wants one."""
        worker, launch = spawn.worker, spawn.launch
        if launch.cgroup is None:
            return NOTHING
        if not self._site:
            self._enter()
        leaf = Leaf(f"{self._site}/{worker.group}.{worker.task}.{worker.generation}")
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
                _write(f"{self._leaves[worker].path}/cgroup.procs", str(pid))

    def ended(self, worker: WorkerId) -> None:
        """Its leader is gone; if nothing else is in the leaf, that goes too, else when the tree is over."""
        leaf = self._leaves.pop(worker, None)
        if leaf is not None:
            leaf.remove()

    def leaf(self, worker: WorkerId) -> Leaf | None:
        """The leaf of a worker that has just been started."""
        return self._leaves.get(worker)

    def close(self) -> None:
        """Go back to where procman came from, and remove what it has made."""
        if self._site:
            with suppress(OSError):
                _write(f"{self._home}/cgroup.procs", "0")
            _remove(self._site)
            self._site = ""

    def _enter(self) -> None:
        if not self._why_not[1]:
            try:
                self._home = self._home or home()
                self._site = _make(f"{self._home}/procman-{self._name}")
                os.mkdir(f"{self._site}/tree")
                _write(f"{self._site}/tree/cgroup.procs", "0")
                return
            except OSError as error:
                self._why_not = error.errno or EPERM, f"no cgroup can be made here: {error.strerror or error}"
                if self._site:
                    _remove(self._site)
                    self._site = ""
        raise _refused(self._why_not[0], f"cgroup: {self._why_not[1]}")

    def _limit(self, leaf: Leaf, key: str, controller: str, value: str) -> None:
        try:
            self._enable(controller)
            _write(f"{leaf.path}/{controller}.max", value)
        except OSError as error:
            leaf.remove()
            reason = f"{self._home} hands on no {controller} controller ({error.strerror})"
            raise _refused(error.errno, f"{key}: {reason}") from None

    def _enable(self, controller: str) -> None:
        if controller in self._controllers:
            return
        with open(f"{self._home}/cgroup.controllers", encoding="ascii") as file:
            if controller not in file.read().split():
                raise OSError(ENOENT, "it has none itself")
        for folder in (self._home, self._site):
            try:
                _write(f"{folder}/cgroup.subtree_control", f"+{controller}")
            except OSError as error:
                if error.errno == EBUSY:
                    raise OSError(EBUSY, "other processes are in that cgroup") from None
                raise
        self._controllers.add(controller)


def home(controller: str = "") -> str:
    """The directory of the cgroup that this process is in, of v2, or of v1 for a controller. Raises OSError if none."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        entries = [line.rstrip("\n").split(":", 2) for line in file]
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split() for line in file if f" - cgroup{'' if controller else '2'} " in line]
    if controller:
        mounts = [mount for mount in mounts if controller in mount[-1].split(",")]
    for path in [path for _, names, path in entries if names.split(",") == [controller]]:
        for _, _, _, root, place, *_ in reversed(mounts):  # the last one covers those before
            above = root.rstrip("/") + "/"
            if f"{path}/".startswith(above) and ".." not in path.split("/"):
                return f"{place}/{path[len(above) :]}".rstrip("/")
    raise OSError(ENOENT, "no cgroup v2 is mounted")


def leaf_of(pid: int) -> str:
    """The name of the cgroup (v2) that a process is in; "" where that is not known."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            return next((line.rstrip("\n").rpartition("/")[2] for line in file if line.startswith("0::")), "")
    except OSError:
        return ""


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


def _make(path: str) -> str:
    """Make the site's directory. What another run left there goes; if somebody is in it, ours has another name."""
    for name in (path, *(f"{path}.{number}" for number in range(2, 100))):
        _remove(name)
        with suppress(FileExistsError):
            os.mkdir(name)
            return name
    raise OSError(EBUSY, f"{path} is in use")


def _remove(path: str) -> None:
    """Remove a directory of cgroups and those below, as far as nobody is in them."""
    with suppress(OSError):
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                _remove(entry.path)
        os.rmdir(path)


def numbers(path: str) -> dict[str, int]:
    """A file of lines, each a name and a number; empty where there is none."""
    try:
        with open(path, encoding="ascii") as file:
            pairs = [line.split() for line in file]
    except OSError:
        return {}
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _refused(code: int | None, reason: str) -> SpawnError:
    return SpawnError("setup", code or EPERM, f"{reason} [{errorcode.get(code or EPERM, code)}]")
