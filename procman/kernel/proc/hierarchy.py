"""The directories of cgroups (v2): where a process is, who is in one, how one is entered, left and removed.

A site's directory holds `tree`, where the core is and all that it starts, `guard`, and the leaves of workers. It is a
live procman's as long as somebody is in `tree`; else it may go, and whoever comes next removes it.
The guard runs this too: it imports the least that can be.
"""

# ruff: noqa: PTH102, PTH103, PTH106, PTH123 - no pathlib: it costs half a megabyte

from __future__ import annotations

import os
import select
from errno import EBUSY, ENODEV, ENOENT

from procman.kernel.proc import processes

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from signal import SIGKILL
else:
    from _signal import SIGKILL  # see `processes.py`

_ATTEMPTS = 100
_AT_ONCE = 64
"""So many are held by a descriptor at a time, while they are killed one by one."""
_LONGEST_DEATH_MS = 1000
"""Who is gone for those who wait for its end may still be counted for a moment."""


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


def members(path: str) -> list[int]:
    """The pids of those in it and in those below; who is of another pid namespace has none here."""
    found = [pid for pid in map(int, _words(f"{path}/cgroup.procs")) if pid]
    for folder in _below(path):
        found += members(folder)
    return found


def enter(path: str) -> str:
    """Make a site's directory, and go into its `tree`: its path, which has a number too if this one is in use.

    What dead ones have left is removed. Raises OSError where that is not permitted, or there is no room.
    """
    for folder in sites(path):
        remove(folder)
    number, why = 1, OSError(EBUSY, f"{path.rpartition('/')[2]} is in use")
    for _ in range(_ATTEMPTS):
        site = path if number == 1 else f"{path}.{number}"
        try:
            os.mkdir(site)
            os.mkdir(f"{site}/tree")
            write(f"{site}/tree/cgroup.procs", "0")
            if len(_words(f"{site}/tree/cgroup.procs")) == 1:
                return site
            number += 1  # somebody has taken ours for a dead one's, and it is his now
        except FileExistsError:
            number += 1
        except OSError as error:
            why = error
            if error.errno not in (ENOENT, ENODEV):  # those: somebody has just taken it for a dead one's
                remove(site)
                break
    raise why


def sites(path: str) -> list[str]:
    """The sites' directories that `enter` has made for this path, and that are there."""
    below = _below(path.rpartition("/")[0])
    return [one for one in below if one == path or (one.startswith(f"{path}.") and one[len(path) + 1 :].isdigit())]


def leave(site: str, to: str | None) -> None:
    """Go from a site's directory into this one, None if that is done, and remove it if nobody is in it any more.

    Raises OSError.
    """
    events = os.open(f"{site}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)  # later it may be another's
    try:
        if to is not None:
            _go(site, to)
        _wait_until_empty(events)
    finally:
        os.close(events)
    remove(site)


def _go(site: str, to: str) -> None:
    try:
        write(f"{to}/cgroup.procs", "0")
    except OSError as error:
        if error.errno != EBUSY:
            raise
        # What hands on controllers holds no process. They were enabled for the leaves: procman came from there.
        controllers = " ".join(f"-{name}" for name in _words(f"{site}/cgroup.subtree_control"))
        for folder in (site, to):
            write(f"{folder}/cgroup.subtree_control", controllers)
        write(f"{to}/cgroup.procs", "0")


def guard(site: str) -> None:
    """Go out of `tree` and into the guard's own. Raises OSError."""
    os.makedirs(f"{site}/guard", exist_ok=True)
    write(f"{site}/guard/cgroup.procs", "0")


def end(site: str) -> None:
    """SIGKILL to all in it but the guard, where the kernel can do that."""
    for folder in _below(site):
        if folder != f"{site}/guard":
            try:
                kill(folder)
            except OSError:
                return


def remove(site: str) -> None:
    """Remove a site's directory, if nobody is in it; that of a live one is not touched, a leaf just made included."""
    if not populated(f"{site}/tree"):
        remove_all(site)


def populated(path: str) -> bool:
    """Whether anybody who lives is in it, or below."""
    words = _words(f"{path}/cgroup.events")
    return dict(zip(words[::2], words[1::2], strict=True)).get("populated") == "1"


def watch(path: str) -> int | None:
    """A descriptor that has EPOLLPRI when that may have changed, if anybody who lives is in it, or below; else None.

    Raises OSError where no descriptor is left to look with.
    """
    try:
        events = os.open(f"{path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _says_populated(events):
            return events
    except OSError:  # it has just been removed
        pass
    os.close(events)
    return None


def kill(path: str) -> None:
    """SIGKILL to all in it and below, who is just being forked included. Raises OSError if no descriptor is left."""
    try:
        write(f"{path}/cgroup.kill", "1")
    except OSError:  # before Linux 5.14: then nobody in it runs or forks any more, and they are killed one by one
        _freeze(path)
        told: set[tuple[int, int]] = set()
        for _ in range(_ATTEMPTS):
            if not _kill_each(path, told):
                break


def write(path: str, text: str) -> None:
    """Tell a file of a cgroup this. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _wait_until_empty(events: int) -> None:
    """Wait until nobody is in the cgroup of this `cgroup.events`; not for long."""
    poll = select.poll()
    poll.register(events, select.POLLPRI)
    try:
        while _says_populated(events) and poll.poll(_LONGEST_DEATH_MS):
            pass
    except OSError:
        return  # it is removed already


def _says_populated(events: int) -> bool:
    """What this `cgroup.events` says; a change is told against what was read last."""
    return b"populated 1" in os.pread(events, 4096, 0)


def _freeze(path: str) -> None:
    try:
        write(f"{path}/cgroup.freeze", "1")
    except OSError:
        return


def _kill_each(path: str, told: set[tuple[int, int]]) -> bool:
    """SIGKILL to those who are seen in it now and were not `told` before: whether there was anybody."""
    seen = [process for pid in members(path) if (process := processes.read(pid))]
    new = [process for process in seen if (process.pid, process.started) not in told]
    told.update((process.pid, process.started) for process in new)
    for first in range(0, len(new), _AT_ONCE):
        held = [(process, processes.hold(process)) for process in new[first : first + _AT_ONCE]]
        there = set(members(path))  # else it had ended before it was read, and that is somebody else
        for process, pidfd in held:
            if pidfd is not None:
                if process.pid in there:
                    processes.send(pidfd, process, SIGKILL)
                os.close(pidfd)
    return bool(new)


def remove_all(path: str) -> None:
    """Remove a directory and those below, as far as nobody is in them."""
    for folder in _below(path):
        remove_all(folder)
    try:
        os.rmdir(path)
    except OSError:
        return


def _below(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _words(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []
