"""Whose everybody is: a worker is its leader and all that descends from it, wherever that has gone.

It signals and it looks; it starts nothing, reaps nobody by itself and decides nothing. Stop signals go to the leader's
group. Who else is of the tree is known by one of three ways: the session (the leader's, or one that a member has made),
the mark in the environment, and the chain of parents, which is written down whenever a signal is sent, as pids and
start times, since nginx and redis overwrite the mark.

With its leader gone, a tree is what has become the core's own children, and what is below these, and whoever is in its
group or its cgroup: so it is over when the last of them is reaped, or the lookout has nobody left to look out for. Whom
none of the ways leads to is a stray: counted, and ended with the site.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from procman.kernel.proc import processes
from procman.kernel.proc.memory import Memory
from procman.kernel.proc.processes import Process
from procman.kernel.tree.adopted import ChildList, Orphans
from procman.kernel.tree.cgroup import Leaf
from procman.kernel.tree.lookout import Lookout
from procman.kernel.tree.sending import Sender, kill
from procman.kernel.tree.tree import Heir, Tree
from procman.kernel.tree.whose import Whose
from procman.lean import TYPE_CHECKING, suppress
from procman.policy.events import Signal, Spawn, Strays, TreeEnded, WorkerId

if TYPE_CHECKING:
    from procman.choices import Cause


class Trees:
    """The account of all workers' trees."""

    __slots__ = (
        "_adopting", "_children", "_deliver", "_heirs", "_inside", "_kept", "_leaders", "_leftovers", "_lookout",
        "_memory", "_orphans", "_own", "_sender", "_trees", "_whose",
    )  # fmt: skip

    def __init__(
        self,
        lookout: Lookout,
        deliver: Callable[[TreeEnded | Strays], None],
        own: Callable[[], set[int]],
        inside: Callable[[], list[int]],
    ) -> None:
        """`own` gives the children that the core started and that are no workers, `inside` who is in its cgroup."""
        self._lookout, self._deliver, self._own, self._inside = lookout, deliver, own, inside
        self._children = ChildList()
        self._memory = Memory()
        self._whose = Whose()
        self._sender = Sender(self._whose, self._are_alone)
        self._leaders: set[int] = set()
        """Those who are not reaped."""
        self._trees: dict[int, Tree] = {}
        """By the leader's pid, until nothing is left that is to be ended."""
        self._leftovers: set[int] = set()
        """Trees whose leader's end was told, and that are not empty: a `TreeEnded` is due for each."""
        self._kept: set[Tree] = set()
        """What leaders have left that adopt."""
        self._orphans = Orphans()
        self._adopting: set[WorkerId] = set()
        self._heirs: dict[WorkerId, Tree] = {}
        """Those that have another leader than they began with."""

    def serve(self, site: str) -> None:
        """From now on workers are marked with this name."""
        self._whose.serve(site)

    def expect(self, spawn: Spawn) -> None:
        """A worker is to be started; if it adopts, what it leaves behind will be left alone."""
        if spawn.launch.adopt:
            self._adopting.add(spawn.worker)

    def begun(self, pid: int, worker: WorkerId, leaf: Leaf | None) -> None:
        """A worker that was expected has this pid now, and this cgroup of its own."""
        adopts = worker in self._adopting
        self._adopting.discard(worker)
        tree = self._trees[pid] = Tree(pid, self._whose.mark(worker), leaf, adopts=adopts)
        self._whose.add(tree)
        self._leaders.add(pid)
        self._orphans.forget(pid)

    # --- another leader ----------------------------------------------------------------------------------

    def has(self, leader: int, process: Process) -> bool:
        """Whether this process is of the tree of a leader that has not been reaped."""
        tree = self._trees.get(leader)
        if tree is None or not tree.lives:
            return False
        below = process.parent
        while below not in (leader, tree.pid, *tree.orphans) and below > 1 and (parent := processes.read(below)):
            below = parent.parent
        return below in (leader, tree.pid, *tree.orphans) or self._whose.tree_of(process) is tree

    def lead(self, worker: WorkerId, leader: int, heir: Heir) -> None:
        """From now on somebody else of its tree is the leader of a worker."""
        tree, pid = self._trees.pop(leader), heir.process.pid
        if leader in self._leaders:  # as long as it is the core's child
            self._leaders.remove(leader)
            self._orphans.add(leader, heir.process, tree)
        if self._orphans.forget(pid):
            self._leaders.add(pid)
        if tree.heir:
            tree.heir.close()
        tree.heir = heir
        self._trees[pid] = self._heirs[worker] = tree

    def is_child(self, leader: int) -> bool:
        """Whether a leader is the core's child, as far as is known."""
        return leader in self._leaders

    def has_leader(self, pid: int) -> bool:
        """Whether this is the leader of a tree, and its end is not known."""
        return pid in self._trees and self._trees[pid].lives

    def lost(self, leader: int) -> bool:
        """A leader that was never the core's child has ended: whether others are left."""
        self._trees[leader].lives = False
        return self.leaves(leader)

    # --- ends --------------------------------------------------------------------------------------------

    def look(self, dead: int = 0) -> None:
        """Children have ended: find the orphans that they have left; one of the `dead` may not be reaped yet."""
        self._memory.look()
        own = self._own()
        known = self._leaders, own, self._orphans.pids()
        count = sum(map(len, known)) + (dead != 0 and not any(dead in some for some in known))
        for pid in self._children.without(known, count):
            with suppress(OSError):  # no descriptor is left to look with: at the next death
                self._take_in(pid, own)

    def reaped(self, pid: int) -> None:
        """A child of the core is gone; `settle` follows before anything is asked."""
        ending = self._trees.get(pid)
        if ending is not None and ending.lives:
            self._leaders.discard(pid)
            ending.lives = False
        else:
            self._orphans.forget(pid)

    def settle(self) -> None:
        """All the dead of a pass are reaped: tell who is a stray, and which trees are over."""
        self._lookout.due = False
        if strays := self._orphans.strays():
            self._deliver(strays)
        for tree in [tree for tree in self._kept if not self._is_left(tree)]:
            self._kept.remove(tree)
            self._forget(tree)
        for tree in [tree for pid in self._leftovers if not self._is_left(tree := self._trees[pid])]:
            self._leftovers.remove(tree.leader)
            self._forget(tree)
            self._deliver(TreeEnded(tree.leader))

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
        self._lookout.close()

    def _take_in(self, pid: int, own: set[int]) -> None:
        heir = self._trees.get(pid)
        if heir is not None and heir.lives:
            self._leaders.add(pid)
            return
        process = processes.read(pid)
        if process is None or process.session in own:  # dead, and soon reaped; or a helper's own business
            return
        tree = self._whose.tree_of(process)
        if tree is None and ((now := processes.read(pid)) is None or now.dying):  # and its mark was gone already
            return
        self._orphans.add(pid, process, tree)
        if tree is not None:
            self._whose.note(tree, process)
            if tree.sent:
                self._sender.send(tree, (process, *processes.descendants(pid)), tree.sent, signal.SIGCONT)

    def _is_left(self, tree: Tree) -> bool:
        """Whether anybody is; the dead of its group who have become the core's children are reaped first."""
        if tree.orphans or self._lookout.leaf_lives(tree):
            return True
        while self._whose.has_number(tree) and kill(-tree.pid, 0):
            if kill(tree.pid, 0):
                return False  # somebody has got its number: then its own group is gone
            try:
                if os.waitpid(-tree.pid, os.WNOHANG)[0] == 0:
                    return True
            except ChildProcessError:
                return self._lookout.group_lives(tree)
        return False

    def _forget(self, tree: Tree) -> None:
        """Nobody of it is left: its numbers may be anybody's from now on."""
        self._whose.forget(tree)
        self._lookout.forget(tree)
        if tree.leaf:
            tree.leaf.remove()
        if self._trees.get(tree.leader) is tree:
            del self._trees[tree.leader]
        if tree.heir:
            tree.heir.close()
            self._heirs.pop(tree.heir.worker, None)

    # --- signals -----------------------------------------------------------------------------------------

    def turn_over(self) -> None:
        """All actions of a turn of the loop are done."""
        self._sender.turn_over()

    def _are_alone(self) -> bool:
        """Whether there is nobody in the site's cgroup but the leaders and the core's own: no tree has more members.

        (One that has left the cgroup, its leader's session, and the mark, is a stray then.)
        """
        inside = set(self._inside())
        if inside.isdisjoint(self._leaders) or self._heirs or self._orphans.pids():
            return False  # there is no cgroup, or no descriptor is left to look with; or there are others
        return inside <= {os.getpid(), *self._leaders, *self._own()}

    def signal(self, action: Signal) -> None:
        """Signal a worker or its tree; to what has ended meanwhile, with the fact still queued, nothing is sent."""
        tree = self._heirs.get(action.worker) or self._trees.get(action.pid)
        if tree is not None and (tree.lives or tree.leader in self._leftovers):
            for number in action.numbers:
                self._sender.signal(tree, number, action.scope, is_child=tree.leader in self._leaders)
