"""The dead, reaped all at once, with a look at whom they have left, and told in a row. It decides nothing.

Whoever dies leaves its children to the core before it can be reaped. So the look comes first, when the list of children
has grown only, and is read on from where it ended; if more have died meanwhile, one more look is for all of them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator

from procman.kernel.guard.guard import Guard
from procman.kernel.spawn.starter import Starter, draw
from procman.kernel.tree.drain import Drain
from procman.kernel.tree.trees import Trees
from procman.lean import TYPE_CHECKING, Protocol
from procman.policy.events import Event, Exited, Usage

if TYPE_CHECKING:
    import resource

DEATHS_IN_A_ROW = 4096
"""So many are reaped at most before the orphans that they have left are looked for."""


class Owner(Protocol):
    """Whoever has children of the core that are no workers."""

    def reaped(self, pid: int, code: int) -> bool:
        """Whether it was one of these; then the owner knows now."""


class Reaper:
    """Reaps, and tells ends. `due` says that there may be some; who ended first is told first."""

    __slots__ = ("_dead", "_drain", "_facts", "_guard", "_hear_out", "_may_be_some", "_owners", "_starter", "_trees")

    def __init__(
        self,
        facts: deque[Event],
        trees: Trees,
        starter: Starter,
        guard: Guard,
        drain: Drain,
        owners: tuple[Owner, ...],
        hear_out: Callable[[int], None],
    ) -> None:
        """Ends, and what has to be told before, are put into `facts`. For `hear_out` see `reap`."""
        self._facts, self._trees, self._starter, self._guard, self._drain = facts, trees, starter, guard, drain
        self._owners, self._hear_out = owners, hear_out
        self._may_be_some = True
        self._dead: deque[Exited] = deque()
        """Whose ends are not told yet; without their last words."""

    @property
    def due(self) -> bool:
        """Whether it is time to call `tell`."""
        return self._may_be_some or bool(self._dead)

    def look_again(self) -> None:
        """There may be some."""
        self._may_be_some = True

    def tell(self) -> None:
        """Tell who has ended, after what has to be told before: who is to follow one, how another's start has gone."""
        if not self._dead:
            self._dead += reap(self._trees, self._is_a_helper, self._hear_out)
            self._may_be_some = len(self._dead) >= DEATHS_IN_A_ROW
        while self._dead and self._dead[0].pid not in self._starter:
            self._facts.append(self._tell(self._dead.popleft()))
        if self._dead and not self._facts:
            self._starter.settle(self._dead[0].pid)

    def is_given_away(self, pid: int) -> None:
        """Somebody has this pid now: the end of who had it is told first."""
        for end in [one for one in self._dead if one.pid == pid]:
            self._dead.remove(end)
            self._facts.appendleft(self._tell(end))

    def _tell(self, end: Exited) -> Exited:
        said = self._starter.reaped(end.pid)
        if not end.leftover:
            self._guard.forget(end.pid)
        self._drain.reaped()
        return end._replace(said=said) if said else end

    def _is_a_helper(self, pid: int, code: int) -> bool:
        is_one = any(owner.reaped(pid, code) for owner in self._owners)
        if is_one:
            self._guard.forget(pid)
        return is_one


def reap(trees: Trees, is_a_helper: Callable[[int, int], bool], hear_out: Callable[[int], None]) -> list[Exited]:
    """Reap whoever has ended; `is_a_helper` takes pid and exit code, and sees to those that are procman's own.

    `hear_out` is called before an end is taken note of: what it had said is heard, perhaps who is to follow it.
    """
    first = _first_dead()
    if not first:
        return []
    trees.look(first)
    dead: list[tuple[int, int, resource.struct_rusage]] = []
    reaped = 0
    for pid, status, rusage in _reaped(first):
        reaped += 1
        if trees.is_child(pid) or not is_a_helper(pid, os.waitstatus_to_exitcode(status)):
            hear_out(pid)
            trees.reaped(pid)
            dead.append((pid, status, rusage))
    if reaped > 1:
        trees.look()
    if dead:
        trees.settle()
    return [_end(trees, *one) for one in dead]


def _end(trees: Trees, pid: int, status: int, rusage: resource.struct_rusage) -> Exited:
    """The end of a child that was reaped, whose last words are not heard yet."""
    code = os.waitstatus_to_exitcode(status)
    exit_code, number = (code, None) if code >= 0 else (None, -code)
    usage = Usage(rusage.ru_utime + rusage.ru_stime, rusage.ru_maxrss * 1024)
    cause = trees.cause(pid, status)  # before the tree may be forgotten
    return Exited(pid, exit_code, number, usage, trees.leaves(pid), draw(), cause=cause)


def _first_dead() -> int:
    """Somebody who has ended and is not reaped; 0 if there is nobody."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found else 0


def _reaped(pid: int) -> Iterator[tuple[int, int, resource.struct_rusage]]:
    """The one of this pid, who has ended, and then whoever else has."""
    for _ in range(DEATHS_IN_A_ROW):
        try:
            found = os.wait4(pid, os.WNOHANG)
        except ChildProcessError:
            return
        if not found[0]:
            return
        yield found
        pid = -1
