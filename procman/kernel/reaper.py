"""The dead, reaped all at once, so that one look tells whom they have left. It decides nothing, and tells nobody."""

from __future__ import annotations

import os
from collections.abc import Callable
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


def reap(trees: Trees, is_a_helper: Callable[[int, int], bool]) -> list[Death]:
    """Reap whoever has ended; `is_a_helper` takes pid and exit code, and sees to those that are procman's own."""
    dead: list[tuple[int, int, resource.struct_rusage]] = []
    while len(dead) < DEATHS_IN_A_ROW:
        try:
            pid, status, rusage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if not pid:
            break
        if not is_a_helper(pid, os.waitstatus_to_exitcode(status)):
            trees.reaped(pid)
            dead.append((pid, status, rusage))
    if not dead:
        return []
    trees.look()
    return [Death(*one, trees.cause(*one[:2]), trees.leaves(one[0])) for one in dead]
