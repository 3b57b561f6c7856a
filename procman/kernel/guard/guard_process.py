"""The guard: waits until the core is gone, ends what it has left behind, and ends itself. A program of its own.

It knows the leaders and their stop rules from the core's account (see `guard.py`), which it reads once the core is
dead. A worker is its leader, whoever is in the leader's session or group, and whoever descends from these. An orphan of
a worker that has left all that is known by the site's cgroup, which the guard itself has left, or by the site's name in
its environment; with no cgroup, and that overwritten, it lives on. Nobody is taken for one of the site who was there
before the core, if not by the cgroup, nor who has got the number of a leader since. Nobody is signalled but through a
pidfd.

As at an orderly end workers come first, then whoever else is left, and then the helpers, who have workers' last words
to write and end by themselves. Who would not end, or forks faster than he is found, the kernel ends by the cgroup.

It has no descriptor of the core's but the account, blocks all signals, never wakes while the core lives, and imports
the least that can be.
"""

# ruff: noqa: PTH123 - no pathlib: it costs half a megabyte

from __future__ import annotations

import os
import select
from time import monotonic

from procman.kernel.guard import account
from procman.kernel.guard.account import Entry
from procman.kernel.guard.guarded import HELPERS, LAST_WAIT_S, Member, Tree
from procman.kernel.proc import hierarchy, processes
from procman.kernel.proc.processes import Process

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the enums of `signal`, which cost a megabyte and milliseconds

_ACCOUNT = 1
"""The descriptor of the account."""


class Site:
    """All that is to be ended."""

    __slots__ = ("_cgroup", "_last", "_marker", "_members", "_orphans", "_phase", "_poll", "_since", "_trees")

    def __init__(self, entries: list[Entry], since: int, name: str, cgroup: str) -> None:
        """`since` is when the core was started, in clock ticks; `cgroup` is "" where there is none."""
        self._trees, self._since, self._cgroup = {one.leader: Tree(one) for one in entries}, since, cgroup
        """Only the leaders' pids are keys: 0 is the session of whoever belongs to another pid namespace."""
        self._orphans = Tree(None)
        self._phase = -1
        self._last = 0.0
        self._marker = b"\0PROCMAN_SITE=%b\0" % os.fsencode(name)
        self._members: dict[tuple[int, int], Member] = {}
        """By pid and start."""
        self._poll = select.poll()

    def end(self) -> None:
        """Have all of it end, and wait until it has."""
        while self._look() and (now := monotonic()) < self._last:
            deadline = min([self._last, *(tree.deadline for tree in self._all() if tree.deadline > now)])
            while now < deadline and any(
                member.pidfd is not None and member.tree.phase <= self._phase for member in self._members.values()
            ):
                self._wait(deadline - now)
                now = monotonic()

    def _all(self) -> list[Tree]:
        return [*self._trees.values(), self._orphans]

    def _look(self) -> bool:
        """Look who is there, and send to each what is due: whether anybody is."""
        everybody = processes.everybody()
        owners = self._owners(everybody)
        for tree in self._all():
            tree.leader_lives = owners.get(tree.leader) is tree
        owners = {pid: self._heir(tree) for pid, tree in owners.items()}
        alive = set(owners.values())
        self._trees = {leader: tree for leader, tree in self._trees.items() if tree in alive}
        self._begin(min([tree.phase for tree in alive], default=HELPERS))
        present: dict[tuple[int, int], Member] = {}
        for pid, tree in owners.items():
            identity = pid, everybody[pid].started
            member = present[identity] = self._members.get(identity) or Member(everybody[pid], tree)
            member.tree = tree
        for identity, member in self._members.items():
            if identity not in present:
                self._release(member)
        self._members = present
        for member in present.values():
            self._hold(member)
            self._send_what_is_due(member)
        return bool(present)

    def _begin(self, phase: int) -> None:
        """Nobody is left of those before this phase: it begins, and with it the time of those who are in it."""
        while self._phase < phase:
            self._phase += 1
            now = monotonic()
            begun = [tree for tree in self._all() if tree.phase == self._phase]
            for tree in begun:
                tree.deadline = now + tree.grace
            self._last = max([now, *(tree.deadline for tree in begun)]) + LAST_WAIT_S

    def _heir(self, tree: Tree) -> Tree:
        """Whose they are who are of this tree: what a leader that adopts has left is nobody's."""
        return self._orphans if tree.adopts and not tree.leader_lives else tree

    def _owners(self, everybody: dict[int, Process]) -> dict[int, Tree]:
        """Who is of the site, by pid."""
        heir, me = os.getppid(), os.getpid()  # the core's children are now children of the guard's new parent
        young = {pid: one for pid, one in everybody.items() if one.started >= self._since and pid != me}
        owners = {
            pid: member.tree
            for (pid, started), member in self._members.items()
            if pid in young and young[pid].started == started
        }
        numbers = {number: tree for tree in self._trees.values() for number in tree.numbers(everybody)}
        for pid, one in young.items():
            tree = numbers.get(pid) if one.parent == heir else None
            tree = tree or numbers.get(one.session) or numbers.get(one.group)
            if tree is None and one.parent == heir and self._is_marked(pid):
                tree = self._orphans
            if tree is not None:
                owners.setdefault(pid, tree)
        roots = set(owners)
        for pid, root in processes.below(roots, young, {me}).items():
            owners[pid] = owners[root]
        for pid in hierarchy.members(self._cgroup) if self._cgroup else ():
            if pid in everybody and pid != me:
                owners.setdefault(pid, self._orphans)
        return owners

    def _is_marked(self, pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                return self._marker in b"\0" + file.read()
        except OSError:
            return False

    def _hold(self, member: Member) -> None:
        if member.pidfd is None:
            try:
                member.pidfd = processes.hold(member.process)
            except OSError:  # no descriptor is left: it is signalled by its number, and looked for again
                return
            if member.pidfd is not None:
                self._poll.register(member.pidfd, select.POLLIN)

    def _send_what_is_due(self, member: Member) -> None:
        tree, process = member.tree, member.process
        if monotonic() >= tree.deadline:
            member.send(signal.SIGKILL)
        elif tree.phase == HELPERS or tree.phase > self._phase:
            return
        elif not tree.leader_lives:
            member.send(signal.SIGTERM)
        elif process.pid == tree.leader or (tree.scope == "tree" and process.group in (tree.leader, tree.first)):
            member.send(tree.number)

    def _wait(self, timeout_s: float) -> None:
        """Wait for ends; what a leader leaves behind is told to end at once."""
        gone = {pidfd for pidfd, _ in self._poll.poll(max(0.0, timeout_s) * 1000 + 1)}
        ended = [member for member in self._members.values() if member.pidfd in gone]
        for member in ended:
            self._release(member)
            del self._members[member.process.pid, member.process.started]
            if member.process.pid == member.tree.leader:
                member.tree.leader_lives = False
        headless = {member.tree for member in ended if not member.tree.leader_lives}
        for member in self._members.values():
            if member.tree in headless:
                member.tree = self._heir(member.tree)
                self._send_what_is_due(member)

    def _release(self, member: Member) -> None:
        if member.pidfd is not None:
            self._poll.unregister(member.pidfd)
            os.close(member.pidfd)
            member.pidfd = None


def main(core: str, since: str, site: str, cgroup: str = "", home: str = "") -> None:
    """Guard the core of this pid, which was started at `since`, and the site's cgroup below this one, if it has any."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 2):
        os.dup2(null, standard)
    os.close(null)
    with open("/proc/self/comm", "w") as comm:
        comm.write("procman-guard")
    try:
        if cgroup:
            hierarchy.guard(cgroup)
    except OSError:
        cgroup = ""  # else the guard would end itself with it
    _wait_for_the_end_of(int(core))
    Site(account.read(_ACCOUNT), int(since), site, cgroup).end()
    if cgroup:
        _clear(cgroup, home)


def _clear(cgroup: str, home: str) -> None:
    """End who is left in it, and remove it."""
    hierarchy.end(cgroup)
    try:
        hierarchy.leave(cgroup, home)
    except OSError:
        return  # it may not go back: the next procman removes it


def _wait_for_the_end_of(core: int) -> None:
    try:
        pidfd = os.pidfd_open(core)
    except ProcessLookupError:
        return
    if os.getppid() == core:  # else it has ended, and what has its number now is somebody else
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll()
    os.close(pidfd)
