"""The last phase of a site: no worker is left, and whatever else is left is ended, in bounded time.

TERM, a wait, KILL, a last wait. With nobody left it is over before any time has passed. It knows no process by name.
"""

from __future__ import annotations

from signal import SIGKILL, SIGTERM

from procman import words
from procman.lean import TYPE_CHECKING
from procman.policy.events import Drain, Left, Notice
from procman.policy.step import Step

if TYPE_CHECKING:
    from procman.choices import Level

GRACE_S = 2.0
"""From TERM to KILL. Short: only what left its worker's tree, and was told nothing before, is still there to use it."""

LAST_WAIT_S = 1.0
"""From KILL to the end, whoever is left then: a process of another user, or one that hangs in the kernel."""


class Draining:
    """How far it is. `code` and `reason` are what the site ends with."""

    __slots__ = ("_killing", "_left", "code", "deadline", "reason")

    def __init__(self) -> None:
        self.code = 0
        self.reason = ""
        self.deadline: float | None = None
        """When the present wait is over; None before it begins."""
        self._killing = False
        self._left = Left(0)

    def begin(self, code: int, reason: str, step: Step, *, at_once: bool) -> None:
        """No worker is left; `at_once` spares the grace."""
        self.code, self.reason = code, reason
        if at_once:
            self.kill(step)
        else:
            self._send(SIGTERM, GRACE_S, step)

    def kill(self, step: Step) -> None:
        """SIGKILL to all, once."""
        if not self._killing:
            self._killing = True
            self._send(SIGKILL, LAST_WAIT_S, step)

    def hear(self, left: Left, step: Step) -> bool:
        """The kernel has looked: whether it is over."""
        self._left = left
        if left.processes:
            how = "killed" if self._killing else f"asked to end, within {words.duration(GRACE_S)}"
            self._tell(f"{self._who()} left: {how}", step)
        return left.processes == 0

    def due(self, step: Step) -> bool:
        """Time has passed: whether it is over."""
        if self.deadline is None or step.now < self.deadline:
            return False
        if self._killing:
            self._tell(f"{self._who()} left behind: SIGKILL did not end them", step)
            return True
        self.kill(step)
        return False

    def last_word(self, fields: dict[str, object], step: Step) -> Notice:
        """It is over: the last line of the log, with these fields too, and why the site ended."""
        self.deadline = None
        level: Level = "error" if self.code else "info"
        notice = Notice("site.stopped", level, self.reason, {"exit_code": self.code, **fields})
        step.records.append(notice)
        return notice

    def _send(self, number: int, wait: float, step: Step) -> None:
        self.deadline = step.now + wait
        step.actions.append(Drain(number))

    def _who(self) -> str:
        count, names = self._left
        return f"{count} process{'' if count == 1 else 'es'} ({names})"

    def _tell(self, reason: str, step: Step) -> None:
        step.notice("site.draining", "warning", reason, processes=self._left.processes)
