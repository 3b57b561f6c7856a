"""The zygotes of the made-up world: which import, which are ready, and who waits for them: a part of `simulated.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from errno import ECANCELED, ECHILD
from typing import TYPE_CHECKING, NamedTuple

from procman.choices import Stage
from procman.kernel.world.beside import need
from procman.kernel.world.script import HelperFall
from procman.policy.events import (
    EndHelper,
    Event,
    HelperEnded,
    HelperFailed,
    HelperReady,
    RunHelper,
    Spawn,
    StartFailed,
    ZygoteOrder,
)

if TYPE_CHECKING:
    from random import Random


class Import(NamedTuple):
    """The end of an import, by the process with this serial number."""

    name: str
    serial: int
    works: bool


class Nursery:
    """By the names of zygotes. Who is not ready lets its workers wait, even before it runs."""

    def __init__(
        self,
        imports: Callable[[ZygoteOrder], tuple[float, bool]],
        random: Random,
        schedule: Callable[[float, Import], None],
        answers: deque[Event],
        bear: Callable[[Spawn], None],
    ) -> None:
        """`imports` and `schedule` deal in seconds from now; `bear` forks a worker."""
        self._imports, self._random, self._schedule = imports, random, schedule
        self._answers, self._bear = answers, bear
        self._serials = 0
        self._importing: dict[str, int] = {}
        self.wanted: set[str] = set()
        """Those that are to run: also who has fallen, and is not started again yet."""
        self.running: set[str] = set()
        self.ready: set[str] = set()
        self.waiting: dict[str, list[Spawn]] = {}

    def perform(self, action: RunHelper | EndHelper) -> None:
        """One is started, or ended: then nobody waits for it any more."""
        name = action.name
        if isinstance(action, EndHelper):
            need(name in self.wanted, f"{name} is ended, and nobody has started it")
            self.wanted.discard(name)
            self._is_gone(name)
            self._fail(name, "fork", ECANCELED)
        elif isinstance(action.order, ZygoteOrder):
            self.wanted.add(name)
            self.running.add(name)
            self._serials += 1
            self._importing[name] = self._serials
            delay, works = self._imports(action.order)
            self._schedule(delay, Import(name, self._serials, works))

    def happen(self, due: Import | HelperFall) -> None:
        """An import has come to its end, or somebody else ends a helper."""
        if isinstance(due, Import):
            self._imported(due)
        elif fallen := [name for name in sorted(self.running) if name.startswith(due.name)]:
            self._fall(fallen[0])

    def _fall(self, name: str) -> None:
        """If it has imported already, who waits goes on waiting for the next."""
        if self._is_gone(name):
            self._answers.append(HelperFailed(name, "it was killed"))
            self._fail(name, "exec", ECHILD)
        self._answers.append(HelperEnded(name, f"the {name} was killed", self._random.random()))

    def _is_gone(self, name: str) -> bool:
        """Whether it was importing still."""
        self.running.discard(name)
        self.ready.discard(name)
        return self._importing.pop(name, None) is not None

    def _imported(self, end: Import) -> None:
        if self._importing.get(end.name) != end.serial:
            return
        del self._importing[end.name]
        if not end.works:
            self._answers.append(HelperFailed(end.name, "ModuleNotFoundError: No module named 'app'"))
            self._fail(end.name, "exec", ECHILD)
            return
        self.ready.add(end.name)
        self._answers.append(HelperReady(end.name))
        for spawn in self.waiting.pop(end.name, []):
            self._bear(spawn)

    def spawn(self, spawn: Spawn) -> None:
        """A worker is to be forked, now or when its zygote is ready."""
        name = ZygoteOrder(spawn.worker.group, spawn.launch).name
        if name in self.ready:
            self._bear(spawn)
        else:
            self.waiting.setdefault(name, []).append(spawn)

    def _fail(self, name: str, stage: Stage, errno: int) -> None:
        for spawn in self.waiting.pop(name, []):
            draw = self._random.random()
            self._answers.append(StartFailed(spawn.worker, stage, errno, "its zygote is no more", draw))
