"""Who is alive: the workers' leaders that are not reaped, and the groups that outlived theirs.

It signals and it looks; it starts nothing, reaps no leader and decides nothing. A worker's tree is its process
group, whose number is its leader's pid. What has left the group (setsid) is not seen here.

No signal hits a stranger: an unreaped leader keeps its pid, and a group that is not empty keeps its number.

The end of a group is learnt from the orphans that the core, a subreaper, reaps. That fails where a member is the
child of somebody who has left the group: so a group that was sent SIGKILL is looked up once, for all such groups of
a pass at once, and its last members are waited for by their pidfds.
"""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from procman.kernel.poller import READ, Poller
from procman.plan import Scope
from procman.policy.events import TreeEnded


class Trees:
    """The account of all workers' trees."""

    __slots__ = ("_deliver", "_leaders", "_members", "_poller", "killed", "leftovers")

    def __init__(self, poller: Poller, deliver: Callable[[TreeEnded], None]) -> None:
        self._poller, self._deliver = poller, deliver
        self._leaders: set[int] = set()
        self.leftovers: set[int] = set()
        """Leader reaped, group not empty: a `TreeEnded` is due for each."""
        self.killed: set[int] = set()
        """Groups that were sent SIGKILL, and are to be looked up once they are leftovers."""
        self._members: dict[int, int] = {}
        """The pidfds that are watched, and the group that each belongs to."""

    def begun(self, pid: int) -> None:
        """A worker has this pid now."""
        self._leaders.add(pid)
        self.killed.discard(pid)

    def reaped(self, pid: int, group: int) -> bool:
        """A child of ours, once of this group (0: nobody asked), is gone: whether it was a leader and left others."""
        if pid in self._leaders:
            self._leaders.remove(pid)
            if _lives(pid):
                self.leftovers.add(pid)
                return True
            self.killed.discard(pid)
        elif group in self.leftovers:
            self._end_if_empty(group)
        return False

    def signal(self, pid: int, number: int, scope: Scope) -> None:
        """Signal a worker or its tree; to what has ended meanwhile, with the fact still queued, nothing is sent."""
        if number == signal.SIGKILL:
            self.killed.add(pid)
        if pid in self._leaders:
            if scope == "leader" or not _kill(-pid, number):
                _kill(pid, number)  # also: forked, and on its way to a group of its own
        elif pid in self.leftovers and (_kill(pid, 0) or not _kill(-pid, number)):
            # Nobody; or a process has the number of a group whose leader was reaped: then that group is gone.
            self._end(pid)

    def look(self) -> None:
        """Look up who is left of the groups that were killed, and have their ends told."""
        groups = self.killed & self.leftovers
        if not groups:
            return
        try:
            members = _members(groups)
        except OSError:
            return  # no descriptor is left for /proc: once more after the next event, and every death is one
        self.killed -= groups
        for group in groups - {group for _, group in members}:
            self._end(group)  # nobody, or only dead whom a parent outside does not reap
        gone = False
        for pid, group in members:
            try:
                self._wait_for(os.pidfd_open(pid), group)
            except ProcessLookupError:
                self.killed.add(group)
                gone = True
            except OSError:
                continue  # no descriptor is left for it: the orphans must tell
        if gone:
            self.look()  # now: nothing need ever wake the loop for who has gone in between

    def _wait_for(self, pidfd: int, group: int) -> None:
        def ended(_mask: int) -> None:
            self._poller.unwatch(pidfd)
            os.close(pidfd)
            del self._members[pidfd]
            if group not in self._members.values():
                self.killed.add(group)  # all who were seen are gone: look once more

        try:
            self._poller.watch(pidfd, READ, ended)
        except OSError:
            os.close(pidfd)
            raise
        self._members[pidfd] = group

    def _end_if_empty(self, pid: int) -> None:
        if not _lives(pid):
            self._end(pid)

    def _end(self, pid: int) -> None:
        self.leftovers.remove(pid)
        self.killed.discard(pid)
        self._deliver(TreeEnded(pid))


def _lives(pid: int) -> bool:
    """Whether anybody is left in a group; the dead who have become the core's children are reaped first."""
    while _kill(-pid, 0):
        try:
            if os.waitpid(-pid, os.WNOHANG)[0] == 0:
                return True
        except ChildProcessError:
            return True
    return False


def _kill(pid: int, number: int) -> bool:
    """Send a signal; False if there is nobody. Somebody whom it may not signal is somebody."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _members(groups: set[int]) -> list[tuple[int, int]]:
    """The processes of these groups that are not dead, each with its group: one walk through /proc."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            state, _, group = file.read().rpartition(b") ")[2].split()[:3]
            if int(group) in groups and state not in (b"Z", b"X"):
                found.append((int(name), int(group)))
    return found
