"""Which worker's tree a process is of: by its session, by what was written down, by its mark, or by its cgroup.

It signals nobody and looks for nobody: that is `trees.py`.
"""

from __future__ import annotations

import os

from procman.kernel.proc.hierarchy import leaf_of
from procman.kernel.proc.processes import Process
from procman.kernel.tree.adopted import Mark, mark, mark_of
from procman.kernel.tree.tree import Tree
from procman.policy.events import WorkerId


class Whose:
    """The four ways, for all trees of which anybody is left."""

    __slots__ = ("_by_leaf", "_by_mark", "_own_session", "_seen", "_sessions", "_site")

    def __init__(self) -> None:
        self._own_session = os.getsid(0)
        self._site = b""
        self._sessions: dict[int, Tree] = {}
        self._seen: dict[tuple[int, int], Tree] = {}
        self._by_mark: dict[Mark, Tree] = {}
        self._by_leaf: dict[str, Tree] = {}

    def serve(self, site: str) -> None:
        """From now on workers are marked with this name."""
        self._site = os.fsencode(site)

    def mark(self, worker: WorkerId) -> Mark:
        """What is in the environment of this worker."""
        return mark(self._site, os.fsencode(worker.group), b"%d" % worker.task, b"%d" % worker.generation)

    def add(self, tree: Tree) -> None:
        """A tree has begun."""
        self._sessions[tree.pid] = self._by_mark[tree.mark] = tree
        if tree.leaf:
            self._by_leaf[tree.leaf.name] = tree

    def note(self, tree: Tree, process: Process) -> None:
        """Write down who is of this tree."""
        if process.session not in (tree.pid, self._own_session, 0):
            tree.see(process)
            self._seen[process.pid, process.started] = tree
            self._sessions.setdefault(process.session, tree)

    def tree_of(self, process: Process) -> Tree | None:
        """Whose it is; None: nobody's, as far as can be seen."""
        known = self._sessions.get(process.session) or self._seen.get((process.pid, process.started))
        if known is None and (found := mark_of(process.pid)) is not None:
            known = self._by_mark.get(found)
        if known is None and self._by_leaf:
            known = self._by_leaf.get(leaf_of(process.pid))
        return known

    def has_number(self, tree: Tree) -> bool:
        """Whether the number of its group is still its own: it is given away again once its group is empty."""
        return self._sessions.get(tree.pid) is tree

    def forget(self, tree: Tree) -> None:
        """Nobody of it is left: its numbers may be anybody's from now on."""
        if self.has_number(tree):
            del self._sessions[tree.pid]
        for identity, session in tree.seen.items():
            self._seen.pop(identity, None)
            self._sessions.pop(session, None)
        self._by_mark.pop(tree.mark, None)
        if tree.leaf:
            self._by_leaf.pop(tree.leaf.name, None)
