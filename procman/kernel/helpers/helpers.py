"""The helpers, procman's own exec'd children: each kind knows how to run by an order, here they are told apart by pid.

Whether one is wanted, and when it is started again, is the policy's business (`policy/helpers/helpers.py`). What a
worker or a file is to a helper, only that helper's own module knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from procman.kernel.spawn.starter import draw
from procman.lean import TYPE_CHECKING, Protocol
from procman.policy.events import HelperEnded, HelperOrder
from procman.words import signal_name

if TYPE_CHECKING:
    from typing import Any

Tell = Callable[[str], None]
"""Takes the reason why a helper has ended, or cannot start, although it should run."""


class Helper(Protocol):
    """One helper, seen from the core."""

    @property
    def pid(self) -> int | None:
        """None while it does not run."""

    def follow(self, order: Any) -> None:
        """Have it run by this order: start it, or tell it. That it cannot start is told, not raised."""

    def ended(self) -> None:
        """Its process was reaped."""

    def close(self) -> None:
        """End it, if it runs; nothing more is told."""


class Helpers:
    """All helpers of the core, made when they are first wanted."""

    __slots__ = ("_deliver", "_helpers", "_kinds")

    def __init__(
        self, kinds: Mapping[str, Callable[[str, Tell], Helper]], deliver: Callable[[HelperEnded], None]
    ) -> None:
        """`kinds` makes a helper by the part of its name before a colon: `zygote` makes `zygote:mailer`."""
        self._kinds, self._deliver = kinds, deliver
        self._helpers: dict[str, Helper] = {}

    def run(self, name: str, order: HelperOrder) -> None:
        """Have it run by this order."""
        helper = self._helpers.get(name)
        if helper is None:
            kind = name.partition(":")[0]
            helper = self._helpers[name] = self._kinds[kind](name, lambda reason: self._tell(name, reason))
        helper.follow(order)

    def end(self, name: str) -> None:
        """Have it run no more."""
        helper = self._helpers.pop(name, None)
        if helper is not None:
            helper.close()

    def pids(self) -> set[int]:
        """Those that run."""
        return {helper.pid for helper in self._helpers.values() if helper.pid is not None}

    def reaped(self, pid: int, exit_code: int) -> bool:
        """A child is gone, with this exit code (negative for a signal): whether it was one of them."""
        for name, helper in self._helpers.items():
            if helper.pid == pid:
                helper.ended()
                how = f"was killed by {signal_name(-exit_code)}" if exit_code < 0 else f"exited with status {exit_code}"
                self._tell(name, f"the {name} {how}")
                return True
        return False

    def close(self) -> None:
        """End them all."""
        for name in tuple(self._helpers):
            self.end(name)

    def _tell(self, name: str, reason: str) -> None:
        self._deliver(HelperEnded(name, reason, draw()))
