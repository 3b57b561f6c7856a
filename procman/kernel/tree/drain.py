"""Who is left once no worker is: they are signalled, and it is learnt when they are gone.

At process 1 that is everybody in the pid namespace, else whoever descends from the core, whose children orphans become,
or is in the site's cgroup; procman's own helpers are spared. It reaps nobody, decides nothing and never polls: it looks
when it is asked to, and again when all that it saw are gone. With nobody left that is one system call, or two.
"""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH123

from __future__ import annotations

import os
from collections.abc import Callable
from signal import SIGCONT, SIGKILL

from procman.kernel.proc import processes
from procman.kernel.proc.processes import Process
from procman.kernel.wait.poller import READ, Poller
from procman.lean import suppress
from procman.policy.events import Left


class Drain:
    """One drain, or none yet. `due` says that it is time to look, once all the dead are reaped."""

    __slots__ = ("_asked", "_deliver", "_held", "_helpers", "_inside", "_number", "_poller", "_told", "due", "is_init")

    def __init__(
        self,
        poller: Poller,
        deliver: Callable[[Left], None],
        helpers: Callable[[], set[int]],
        inside: Callable[[], list[int]],
    ) -> None:
        """`helpers` gives the pids of the core's own children, `inside` of all in the site's cgroup."""
        self._poller, self._deliver, self._helpers, self._inside = poller, deliver, helpers, inside
        self.is_init = os.getpid() == 1
        self.due = False
        self._number = 0
        self._asked = False
        """Whether a `Left` is owed for the last `signal`, whoever is left."""
        self._held: dict[tuple[int, int], int] = {}
        """Who is watched, and by which pidfd."""
        self._told: set[tuple[int, int]] = set()
        """Who was sent the present signal, by pid and start."""

    def signal(self, number: int) -> None:
        """Send this to all who are left, and to whoever comes later."""
        self.close()
        self._number = number
        self._asked = self.due = True
        self._told.clear()

    def reaped(self) -> None:
        """A child is gone, perhaps the last."""
        if self._number and not self._held:
            self.due = True

    def look(self) -> bool:
        """Look who is left, and tell if it was asked for or nobody is; True if somebody has to be reaped before."""
        self.due = False
        nobody = self._nobody_is_left()
        if not nobody and self.is_init and not processes.proc_is_ours():
            self._tell_the_unseen()
            return False
        left = [] if nobody else self._who_is_left()
        if not left and not nobody and _somebody_is_dead():
            self.due = True
            return True
        for process in left:
            self._tell(process)
        if self._asked or not left:
            self._asked = False
            self._deliver(Left(len(left), processes.shown(left)))
        return False

    def close(self) -> None:
        """Wait for nobody any more."""
        for pidfd in self._held.values():
            self._poller.unwatch(pidfd)
            os.close(pidfd)
        self._held.clear()

    def _nobody_is_left(self) -> bool:
        """Whether a look can be spared: there is nobody else, or the core has no child but helpers."""
        if self.is_init:
            try:
                os.kill(-1, 0)
            except OSError as error:
                return isinstance(error, ProcessLookupError)
            return False
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
                children = {int(pid) for pid in file.read().split()}
        except OSError:  # a kernel without it
            return False
        helpers = self._helpers()
        return children <= helpers and {*self._inside()} <= {*helpers, os.getpid()}

    def _who_is_left(self) -> list[Process]:
        try:
            everybody, me = processes.everybody(), os.getpid()
        except OSError:  # no descriptor is left to look with
            return []
        helpers = self._helpers()
        spared = helpers | set(processes.below(helpers, everybody, set())) | {me}
        if self.is_init:
            return [process for pid, process in everybody.items() if pid not in spared]
        left = {*processes.below({me}, everybody, spared), *self._inside()} - spared
        return [process for pid, process in everybody.items() if pid in left]

    def _tell(self, process: Process) -> None:
        """Signal one who is left, once, and watch for its end. Who is not watched is seen by the next look."""
        identity = process.pid, process.started
        if identity in self._held:
            return
        try:
            pidfd = processes.hold(process)
        except OSError:
            pidfd = None
        else:
            if pidfd is None:
                self.due = True  # just gone: nothing else would make us look again
                return
        if identity not in self._told:
            self._told.add(identity)
            numbers = (self._number,) if self._number == SIGKILL else (self._number, SIGCONT)
            processes.send(pidfd, process, *numbers)
        if pidfd is not None:
            self._watch(identity, pidfd)

    def _tell_the_unseen(self) -> None:
        """Process 1 without a /proc of its own: it reaches all, and sees only those whom it reaps."""
        if self._asked:
            self._asked = False
            for number in (self._number, SIGCONT):
                with suppress(OSError):
                    os.kill(-1, number)
            self._deliver(Left(1, "or more: /proc is not mounted here"))

    def _watch(self, identity: tuple[int, int], pidfd: int) -> None:
        def ended(_mask: int) -> None:
            self._poller.unwatch(pidfd)
            os.close(pidfd)
            del self._held[identity]
            if not self._held:
                self.due = True

        try:
            self._poller.watch(pidfd, READ, ended)
        except OSError:  # no room: the next look sees it
            os.close(pidfd)
        else:
            self._held[identity] = pidfd


def _somebody_is_dead() -> bool:
    """Whether a child could be reaped now, and is not."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False
