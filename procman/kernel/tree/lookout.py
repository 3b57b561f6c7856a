"""The lookout: wakes the core when somebody of a tree has ended whom another than the core reaps.

What a leader leaves behind becomes the core's children as a rule, whose ends it is told anyway. But who is in a
worker's cgroup, or still in its group, may be somebody else's child: a stray's, that of the init of another pid
namespace, or of whoever has moved it there. Then `populated 0` of the cgroup, or a pidfd, is what tells. It signals
nobody, reaps nobody and never asks twice: a tree costs one descriptor, and only while nothing else would tell.
"""

from __future__ import annotations

import os
import select

from procman.kernel.proc import processes
from procman.kernel.tree.tree import Tree
from procman.kernel.wait.poller import READ, Poller


class Lookout:
    """`due` says that it is time to look at the trees again, once all the dead are reaped and told."""

    __slots__ = ("_held", "_poller", "due")

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._held: dict[Tree, int] = {}
        """The descriptors, each of which tells once that its tree may be over."""
        self.due = False

    def leaf_lives(self, tree: Tree) -> bool:
        """Whether anybody is in the cgroup of a tree; if so, it is watched until nobody is."""
        if tree in self._held:
            return True
        try:
            events = tree.leaf.watch() if tree.leaf else None
            return events is not None and self._hold(tree, events, select.EPOLLPRI)
        except OSError:  # no descriptor is left to look with: the next death has it looked at again
            return True

    def group_lives(self, tree: Tree) -> bool:
        """Whether anybody is in the group of a tree; if so, one of them is watched.

        The dead are nobody, for how long their parent ever leaves them unreaped.
        """
        try:
            for process in processes.everybody().values():
                if process.group == tree.pid and (pidfd := processes.hold(process)) is not None:
                    return self._hold(tree, pidfd, READ)
        except OSError:  # as above
            return True
        return not processes.proc_is_ours()

    def forget(self, tree: Tree) -> None:
        """Nobody of it is left."""
        descriptor = self._held.pop(tree, -1)
        if descriptor >= 0:
            self._poller.unwatch(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """Release the descriptors."""
        for tree in [*self._held]:
            self.forget(tree)

    def _hold(self, tree: Tree, descriptor: int, events: int) -> bool:
        def told(_mask: int) -> None:
            self.due = True
            self.forget(tree)

        self._held[tree] = descriptor
        try:
            self._poller.watch(descriptor, events, told)
        except OSError:
            self.forget(tree)
        return True
