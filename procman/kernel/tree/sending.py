"""Signals to a worker's tree: to its leader, to the leader's group, and to whoever has left that.

No signal hits a stranger: an unreaped child keeps its pid, a group that is not empty keeps its number, and everybody
else is held by a pidfd and looked at again before.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable

from procman.kernel.proc import processes
from procman.kernel.proc.processes import Process
from procman.kernel.tree.tree import Tree
from procman.kernel.tree.whose import Whose
from procman.lean import TYPE_CHECKING, suppress

if TYPE_CHECKING:
    from procman.choices import Scope

_MANY = 8
"""After so many single looks in one turn of the loop, the next one is at all trees at once."""


class Sender:
    """Sends, and writes down who is of a tree before it does."""

    __slots__ = ("_alone", "_are_alone", "_looks", "_whose")

    def __init__(self, whose: Whose, are_alone: Callable[[], bool]) -> None:
        """`are_alone`: whether all trees, as one look tells, have no member but their leaders."""
        self._whose, self._are_alone = whose, are_alone
        self._looks = 0
        """Into so many trees in this turn of the loop."""
        self._alone = False

    def turn_over(self) -> None:
        """What was seen in this turn may not hold in the next."""
        self._looks, self._alone = 0, False

    def signal(self, tree: Tree, number: int, scope: Scope, *, is_child: bool) -> None:
        """Signal a tree; `is_child`: whether its leader is a child of the core that has not been reaped."""
        if number != signal.SIGCONT:
            self._write_down(tree)
            if not tree.lives or (number == signal.SIGKILL and scope == "tree"):
                tree.sent = number
        if number == signal.SIGKILL and scope == "tree" and tree.leaf:
            tree.leaf.kill()
        if not tree.lives:
            if number not in tree.told:
                self._signal_group(tree, number)
        elif tree.heir:
            self._signal_heir(tree, number, scope, is_child=is_child)
        elif scope == "leader" or not kill(-tree.pid, number):
            kill(tree.pid, number)  # also: forked, and on its way to a group of its own
        else:
            tree.told |= {number}
        if tree.sent:
            self.send(tree, tree.outside, number)

    def send(self, tree: Tree, members: Iterable[Process], *numbers: int) -> None:
        """Signal these members of it."""
        for process in members:
            if process.pid in tree.orphans:  # a child of ours, which has not been reaped
                for number in numbers:
                    kill(process.pid, number)
                continue
            with suppress(OSError):  # no descriptor is left: the look after the next death finds who is left
                pidfd = processes.hold(process)
                if pidfd is not None:
                    processes.send(pidfd, process, *numbers)
                    os.close(pidfd)

    def _signal_heir(self, tree: Tree, number: int, scope: Scope, *, is_child: bool) -> None:
        """Signal a leader that the tree did not begin with; with its group, and the one of the beginning."""
        assert tree.heir is not None, "asked only if there is one"
        if scope == "leader":
            tree.heir.send(number)
            return
        reached = self._signal_group(tree, number)
        if reached:
            tree.told |= {number}
        try:
            group = os.getpgid(tree.leader)
        except ProcessLookupError:
            return
        if group == tree.pid and reached:
            return
        if is_child and group not in (0, os.getpgid(0)):
            kill(-group, number)
        else:
            tree.heir.send(number)

    def _signal_group(self, tree: Tree, number: int) -> bool:
        """Signal the group that a tree began with, whose first process is not its leader (any more); if it is there.

        Somebody has the number of a group whose leader was reaped: then that group is gone.
        """
        there = self._whose.has_number(tree) and (tree.pid in tree.orphans or not kill(tree.pid, 0))
        return there and kill(-tree.pid, number)

    def _write_down(self, tree: Tree) -> None:
        """Who is of the tree now, by the chain of parents; where many are signalled at once, one look may be enough."""
        self._looks += 1
        if self._looks == _MANY:
            self._alone = self._are_alone()
        if self._alone:
            tree.outside = ()
            return
        try:
            members = tree.members()
        except OSError:
            return  # no descriptor is left to look with: what was written down before must do
        tree.outside = [process for process in members if process.group != tree.pid]
        for process in tree.outside:
            self._whose.note(tree, process)


def kill(pid: int, number: int) -> bool:
    """Send a signal; False if there is nobody. Somebody whom it may not signal is somebody."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
