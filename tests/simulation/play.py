"""Plays one history through the shipped loop: the real manager, a simulated kernel, the checkers as its log."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from procman.kernel import loop
from procman.kernel.world.simulated import SimulatedKernel
from procman.plan import Plan
from procman.policy.events import Event, Load, Record, State
from procman.policy.manager import Manager
from procman.policy.worker.worker import EDGES
from tests.simulation.checker import Checker
from tests.simulation.end_book import KILL_TO_END_S, TERM_TO_KILL_S
from tests.simulation.history import History
from tests.simulation.invariants import check_settled, check_step
from tests.simulation.site import SLACK, SiteBook
from tests.simulation.trace import lines
from tests.simulation.violation import Violation, need

MakeManager = Callable[[float | None], Any]
STEPS = 3000
"""No history is longer; one that is does not settle."""


class Witness(SimulatedKernel):
    """The simulated kernel, and the log that hands each turn of the loop to the checkers."""

    def __init__(self, history: History, manager: Any, tell: Callable[[str], None] | None = None) -> None:
        super().__init__(history, history.agenda, history.random)
        self.manager = manager
        self.site = SiteBook(history.stop_timeout)
        self.checker = Checker(EDGES, self.site)
        self.steps = 0
        self._event: Event = Load()
        self._settled = False
        self._tell = tell
        history.on_settled = self._on_settled

    def wait(self, deadline: float | None) -> Event:
        """The next event, remembered for the checkers."""
        self._event = super().wait(deadline)
        return self._event

    def write(self, records: Sequence[Record]) -> None:
        """The log's half: one turn is over."""
        self.steps += 1
        if self._tell is not None:
            for line in lines(self.now(), self._event, self.performed, records):
                self._tell(line)
        need(self.steps < STEPS, "the history does not settle")
        self.checker.step(self._event, self.now(), self.performed, records)
        check_step(self.site, self.manager, self._event, self.live)

    def _on_settled(self, _now: float) -> None:
        need(not self._settled, "the site was told to end, and sleeps for ever")
        self._settled = True
        check_settled(self.site, self.manager)
        told = self.checker.deeds.upward.told[-1]
        waits = any(group.unmet for group in self.site.groups.values())
        need(told == "ready" or waits, f"all is as wanted, and it is told {told}")


class Played(NamedTuple):
    """What a history came to."""

    exit_code: int
    steps: int
    edges: Counter[tuple[State, State]]
    notices: Counter[str]


class Failed(AssertionError):  # noqa: N818 - a finding, with its seed and its last lines
    """A history in which something was not as it should be."""


def play(seed: int, make: MakeManager = Manager, plan: Plan | None = None) -> Played:
    """Play the history of this seed, of a random site or of the one given. Raises `Failed`, with the last turns."""
    last: deque[str] = deque(maxlen=40)
    try:
        return _play(seed, make, plan, None)
    except AssertionError as finding:
        with suppress(AssertionError):
            _play(seed, make, plan, last.append)
        raise Failed(f"seed {seed}: {finding}\n" + "\n".join(last)) from finding


def replay(seed: int, tell: Callable[[str], None], make: MakeManager = Manager) -> Played:
    """Play it and tell every turn."""
    return _play(seed, make, None, tell)


def _play(seed: int, make: MakeManager, plan: Plan | None, tell: Callable[[str], None] | None) -> Played:
    history = History(seed, plan)
    manager = make(history.stop_timeout)
    witness = Witness(history, manager, tell)
    code = loop.run(manager, witness, witness, Load())
    mortal = [escape for escape in witness.escaped.there.values() if escape.mortal]
    if witness.live or mortal:
        raise Violation(f"left behind: {sorted(witness.live)}, {mortal}")
    need(not witness.site.operator.waiting, f"never answered: {sorted(witness.site.operator.waiting)}")
    drained_from, bound = witness.site.ending.drained_from, TERM_TO_KILL_S + KILL_TO_END_S + 2 * history.lag
    need(drained_from is not None and witness.now() - drained_from <= bound + SLACK, "the drain took too long")
    return Played(code, witness.steps, witness.checker.moves.seen, witness.checker.moves.notices)
