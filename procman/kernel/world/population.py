"""Who lives in the made-up world, and under which number: a part of `simulated.py`, as jealous as that is."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from procman.kernel.world.beside import MisuseError, need
from procman.kernel.world.script import Conduct
from procman.kernel.world.timetable import Process
from procman.policy.events import Signal, Spawn, WorkerId

if TYPE_CHECKING:
    from random import Random


class Population:
    """`live` is the truth about whatever is not both reaped and cleared, by pid."""

    __slots__ = ("_pids", "_spawned", "live")

    def __init__(self) -> None:
        self.live: dict[int, Process] = {}
        self._pids = Pids()
        self._spawned: dict[tuple[str, int], int] = {}
        """The last generation of each task."""

    def expect(self, spawn: Spawn) -> None:
        """A start, which may fail: of a new generation, and at most the second of its task. Raises `MisuseError`."""
        group, task, generation = spawn.worker
        before = self._spawned.get((group, task), -1)
        need(generation > before, f"{spawn.worker} is spawned as generation {generation} after {before}")
        beside = [one for one in self.live.values() if one.worker[:2] == (group, task)]
        need(len(beside) < 2, f"{spawn.worker} is a third one")
        self._spawned[group, task] = generation

    def add(self, worker: WorkerId, conduct: Conduct) -> Process:
        """One that was expected is born."""
        pid = self._pids.take()
        process = self.live[pid] = Process(worker, pid, conduct)
        return process

    def runs(self, worker: WorkerId) -> Process:
        """Whose leader is not reaped. Raises `MisuseError` if there is none."""
        process = next((one for one in self.live.values() if one.worker == worker and not one.reaped), None)
        if process is None:
            raise MisuseError(f"{worker} is to be watched and is not there")
        return process

    def meant_by(self, action: Signal) -> Process:
        """Whom a signal is for. Raises `MisuseError` if its pid is free, somebody else's, or that of who is gone."""
        process = self.live.get(action.pid)
        if process is None or process.worker != action.worker:
            raise MisuseError(f"signal {action.signal} for {action.worker} to pid {action.pid}, which is not its own")
        if process.reaped:
            need(action.scope == "tree", f"signal to the reaped leader {action.pid} of {action.worker}")
        return process

    def rename(self, process: Process) -> None:
        """It has another leader, of another number; the old one's is free."""
        old, process.pid = process.pid, self._pids.take()
        self.live[process.pid] = self.live.pop(old)
        self._pids.give_back(old)

    def remove(self, pid: int) -> None:
        """Nothing is left of it."""
        del self.live[pid]
        self._pids.give_back(pid)

    def stranger(self, random: Random) -> int:
        """A pid that was somebody's, if there is any."""
        return self._pids.stranger(random)


class Pids:
    """The numbers of the made-up world: one that is free is given away again at once, the lowest first."""

    __slots__ = ("_free", "_top")

    def __init__(self) -> None:
        self._free: list[int] = []
        self._top = 1

    def take(self) -> int:
        """One that nobody has."""
        if self._free:
            return heappop(self._free)
        self._top += 1
        return self._top

    def give_back(self, pid: int) -> None:
        """Nobody has it any more."""
        heappush(self._free, pid)

    def stranger(self, random: Random) -> int:
        """One that was somebody's, if there is any."""
        return random.choice(self._free) if self._free else self._top + 1
