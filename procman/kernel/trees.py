"""Whose everybody is: a worker is its leader and all that descends from it, wherever that has gone.

It signals and it looks; it starts nothing, reaps nobody by itself and decides nothing. Stop signals go to the leader's
group. Who else is of the tree is known by one of three ways: the session (the leader's, or one that a member has made),
the mark in the environment, and the chain of parents, which is written down whenever a signal is sent, as pids and
start times, since nginx and redis overwrite the mark.

With its leader gone, a tree is what has become the core's own children, and what is below these: so it is over when the
last of them is reaped. Whom none of the ways leads to is a stray: counted, and ended with the site.

No signal hits a stranger: an unreaped child keeps its pid, a group that is not empty keeps its number, and everybody
else is held by a pidfd and looked at again before.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress

from procman.kernel import processes
from procman.kernel.adopted import ChildList, Mark, mark, mark_of
from procman.kernel.cgroup import Leaf
from procman.kernel.hierarchy import leaf_of
from procman.kernel.memory import Memory
from procman.kernel.processes import Process
from procman.kernel.tree import Tree
from procman.plan import Scope
from procman.policy.events import Cause, Spawn, Strays, TreeEnded, WorkerId

_NAMED = 5
"""So many strays are named; the others are counted."""


class Trees:
    """The account of all workers' trees."""

    __slots__ = (
        "_adopting",
        "_by_leaf",
        "_by_mark",
        "_children",
        "_deliver",
        "_kept",
        "_leaders",
        "_leftovers",
        "_memory",
        "_orphans",
        "_own",
        "_own_session",
        "_seen",
        "_sessions",
        "_site",
        "_strays",
        "_trees",
    )  # fmt: skip

    def __init__(self, deliver: Callable[[TreeEnded | Strays], None], own: Callable[[], set[int]]) -> None:
        """`own` gives the children that the core started and that are no workers."""
        self._deliver, self._own = deliver, own
        self._children = ChildList()
        self._memory = Memory()
        self._own_session = os.getsid(0)
        self._site = b""
        self._leaders: set[int] = set()
        """Those who are not reaped."""
        self._trees: dict[int, Tree] = {}
        """By the leader's pid, until nothing is left that is to be ended."""
        self._leftovers: set[int] = set()
        """Trees whose leader's end was told, and that are not empty: a `TreeEnded` is due for each."""
        self._kept: set[Tree] = set()
        """What leaders have left that adopt."""
        self._orphans: dict[int, tuple[Process, Tree | None]] = {}
        """Children that the core did not start, each with the tree that it is of; None: a stray."""
        self._adopting: set[WorkerId] = set()
        self._strays: frozenset[int] = frozenset()
        """As they were told last."""
        self._sessions: dict[int, Tree] = {}
        self._seen: dict[tuple[int, int], Tree] = {}
        self._by_mark: dict[Mark, Tree] = {}
        self._by_leaf: dict[str, Tree] = {}

    def serve(self, site: str) -> None:
        """From now on workers are marked with this name."""
        self._site = os.fsencode(site)

    def expect(self, spawn: Spawn) -> None:
        """A worker is to be started; if it adopts, what it leaves behind will be left alone."""
        if spawn.launch.adopt:
            self._adopting.add(spawn.worker)

    def begun(self, pid: int, worker: WorkerId, leaf: Leaf | None) -> None:
        """A worker that was expected has this pid now, and this cgroup of its own."""
        adopts = worker in self._adopting
        self._adopting.discard(worker)
        numbers = b"%d" % worker.task, b"%d" % worker.generation
        tree = Tree(pid, mark(self._site, os.fsencode(worker.group), *numbers), leaf, adopts=adopts)
        self._trees[pid] = self._sessions[pid] = self._by_mark[tree.mark] = tree
        if leaf:
            self._by_leaf[leaf.name] = tree
        self._leaders.add(pid)
        self._orphans.pop(pid, None)

    # --- ends --------------------------------------------------------------------------------------------

    def look(self, dead: int = 0) -> None:
        """Children have ended: find the orphans that they have left; one of the `dead` may not be reaped yet."""
        self._memory.look()
        own = self._own()
        known = self._leaders, own, self._orphans
        count = sum(map(len, known)) + (dead != 0 and not any(dead in some for some in known))
        for pid in self._children.without(known, count):
            with suppress(OSError):  # no descriptor is left to look with: at the next death
                self._take_in(pid, own)

    def reaped(self, pid: int) -> None:
        """A child of the core is gone; `settle` follows before anything is asked."""
        if pid in self._leaders:
            self._leaders.remove(pid)
            self._trees[pid].lives = False
        elif pid in self._orphans:
            _, tree = self._orphans.pop(pid)
            if tree is not None:
                tree.orphans.pop(pid, None)

    def settle(self) -> None:
        """All the dead of a pass are reaped: tell who is a stray, and which trees are over."""
        if self._orphans or self._strays:
            self._tell_strays()
        for tree in [tree for tree in self._kept if not self._is_left(tree)]:
            self._kept.remove(tree)
            self._forget(tree)
        for tree in [tree for pid in self._leftovers if not self._is_left(tree := self._trees[pid])]:
            self._leftovers.remove(tree.pid)
            self._forget(tree)
            self._deliver(TreeEnded(tree.pid))

    def leaves(self, pid: int) -> bool:
        """Whether this child, reaped before `settle`, was a leader that has left others."""
        tree = self._trees.get(pid)
        if tree is None or tree.lives or pid in self._leftovers:
            return False
        if not self._is_left(tree):
            self._forget(tree)
        elif tree.adopts:
            self._kept.add(self._trees.pop(pid))
        else:
            self._leftovers.add(pid)
        return pid in self._leftovers

    def cause(self, pid: int, status: int) -> Cause | None:
        """What stands behind the signal that ended this child, a leader, with this wait status."""
        tree = self._trees.get(pid)
        return tree.cause(status, self._memory) if tree else None

    def close(self) -> None:
        """Release the descriptor."""
        self._children.close()
        self._memory.close()

    def _take_in(self, pid: int, own: set[int]) -> None:
        process = processes.read(pid)
        if process is None or process.session in own:  # dead, and soon reaped; or a helper's own business
            return
        tree = self._tree_of(process)
        if tree is None and ((now := processes.read(pid)) is None or now.dying):  # and its mark was gone already
            return
        self._orphans[pid] = process, tree
        if tree is not None:
            tree.orphans[pid] = None
            self._note(tree, process)
            if tree.sent:
                self._send(tree, (process, *processes.descendants(pid)), tree.sent, signal.SIGCONT)

    def _tell_strays(self) -> None:
        strays = {pid: process.name for pid, (process, tree) in self._orphans.items() if tree is None}
        if self._strays != strays.keys():
            self._strays = frozenset(strays)
            names = [f"{name} (pid {pid})" for pid, name in [*strays.items()][:_NAMED]]
            self._deliver(Strays(len(strays), ", ".join(names + ["…"] * (len(strays) > _NAMED))))

    def _tree_of(self, process: Process) -> Tree | None:
        known = self._sessions.get(process.session) or self._seen.get((process.pid, process.started))
        if known is None and (found := mark_of(process.pid)) is not None:
            known = self._by_mark.get(found)
        if known is None and self._by_leaf:
            known = self._by_leaf.get(leaf_of(process.pid))
        return known

    def _is_left(self, tree: Tree) -> bool:
        """Whether anybody is; the dead of its group who have become the core's children are reaped first."""
        while not tree.orphans and _kill(-tree.pid, 0):
            try:
                if os.waitpid(-tree.pid, os.WNOHANG)[0] == 0:
                    return True
            except ChildProcessError:
                return True
        return bool(tree.orphans) or (tree.leaf is not None and tree.leaf.populated())

    def _forget(self, tree: Tree) -> None:
        """Nobody of it is left: its numbers may be anybody's from now on."""
        self._sessions.pop(tree.pid, None)
        for identity, session in tree.seen.items():
            self._seen.pop(identity, None)
            self._sessions.pop(session, None)
        self._by_mark.pop(tree.mark, None)
        if tree.leaf:
            self._by_leaf.pop(tree.leaf.name, None)
            tree.leaf.remove()
        if self._trees.get(tree.pid) is tree:
            del self._trees[tree.pid]

    # --- signals -----------------------------------------------------------------------------------------

    def signal(self, pid: int, number: int, scope: Scope) -> None:
        """Signal a worker or its tree; to what has ended meanwhile, with the fact still queued, nothing is sent."""
        tree = self._trees.get(pid)
        if tree is None or not (tree.lives or pid in self._leftovers):
            return
        if number != signal.SIGCONT:
            self._write_down(tree)
            if not tree.lives or (number == signal.SIGKILL and scope == "tree"):
                tree.sent = number
        if number == signal.SIGKILL and scope == "tree" and tree.leaf:
            tree.leaf.kill()
        if not tree.lives:
            # Somebody has the number of a group whose leader was reaped: then that group is gone.
            if number not in tree.told and not _kill(pid, 0):
                _kill(-pid, number)
        elif scope == "leader" or not _kill(-pid, number):
            _kill(pid, number)  # also: forked, and on its way to a group of its own
        else:
            tree.told |= {number}
        if tree.sent:
            self._send(tree, tree.outside, number)

    def _write_down(self, tree: Tree) -> None:
        """Who is of the tree now, by the chain of parents."""
        try:
            members = tree.members()
        except OSError:
            return  # no descriptor is left to look with: what was written down before must do
        tree.outside = [process for process in members if process.group != tree.pid]
        for process in tree.outside:
            self._note(tree, process)

    def _note(self, tree: Tree, process: Process) -> None:
        if process.session not in (tree.pid, self._own_session, 0):
            tree.seen[process.pid, process.started] = process.session
            self._seen[process.pid, process.started] = tree
            self._sessions.setdefault(process.session, tree)

    def _send(self, tree: Tree, members: Iterable[Process], *numbers: int) -> None:
        for process in members:
            if process.pid in tree.orphans:  # a child of ours, which has not been reaped
                for number in numbers:
                    _kill(process.pid, number)
                continue
            with suppress(OSError):  # no descriptor is left: the look after the next death finds who is left
                pidfd = processes.hold(process)
                if pidfd is not None:
                    processes.send(pidfd, process, *numbers)
                    os.close(pidfd)


def _kill(pid: int, number: int) -> bool:
    """Send a signal; False if there is nobody. Somebody whom it may not signal is somebody."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
