"""The dead, reaped all at once, with a look at whom they have left. It decides nothing, and tells nobody.

Whoever dies leaves its children to the core before it can be reaped. So the look comes first, when the list of children
has grown only, and is read on from where it ended; if more have died meanwhile, one more look is for all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from procman.kernel.starter import draw
from procman.kernel.trees import Trees
from procman.policy.events import Cause, Exited, Usage

if TYPE_CHECKING:
    import resource

DEATHS_IN_A_ROW = 4096
"""So many are reaped at most before the orphans that they have left are looked for."""


class Death(NamedTuple):
    """A child that was reaped, and whose end is not told yet."""

    pid: int
    status: int
    rusage: resource.struct_rusage
    cause: Cause | None
    leftover: bool

    def fact(self, said: str) -> Exited:
        """As it will be told, with its last words."""
        code = os.waitstatus_to_exitcode(self.status)
        usage = Usage(self.rusage.ru_utime + self.rusage.ru_stime, self.rusage.ru_maxrss * 1024)
        exit_code, number = (code, None) if code >= 0 else (None, -code)
        return Exited(self.pid, exit_code, number, usage, self.leftover, draw(), said, self.cause)


def reap(trees: Trees, is_a_helper: Callable[[int, int], bool], hear_out: Callable[[int], None]) -> list[Death]:
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
        if not is_a_helper(pid, os.waitstatus_to_exitcode(status)):
            hear_out(pid)
            trees.reaped(pid)
            dead.append((pid, status, rusage))
    if reaped > 1:
        trees.look()
    if dead:
        trees.settle()
    return [Death(*one, trees.cause(*one[:2]), trees.leaves(one[0])) for one in dead]


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
