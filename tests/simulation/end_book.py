"""The end of a site, recounted: when it began, with which code, and what becomes of whoever is left at its very end."""

from __future__ import annotations

from signal import SIGKILL

TERM_TO_KILL_S, KILL_TO_END_S = 2.0, 1.0
"""The waits of the drain."""


class EndBook:
    """One site's end."""

    def __init__(self) -> None:
        self.down_at: float | None = None
        """When the site began to end."""
        self.owed: int | None = None
        """The exit code, from the moment at which it is known."""
        self.said: int | None = None
        """The exit code that the last line of the log gave."""
        self.wished_at: float | None = None
        """When somebody first asked for the end."""
        self.limit_at: float | None = None
        self.kill_now = False
        self.drained_from: float | None = None
        """When the last worker was gone, and nothing could start by itself."""
        self.drains: list[tuple[float, int]] = []
        """What those who are left were sent, and when."""
        self.drained = False
        """Whether nobody is left, or they were waited for long enough."""

    @property
    def until(self) -> float | None:
        """When the present wait of the drain is over; None if there is none."""
        if not self.drains or self.drained:
            return None
        since, number = self.drains[-1]
        return since + (KILL_TO_END_S if number == SIGKILL else TERM_TO_KILL_S)

    @property
    def begun(self) -> bool:
        """Whether it ends, or has ended by itself: nothing is changed any more."""
        return self.down_at is not None or self.drained_from is not None

    def begin(self, code: int, now: float, timeout: float | None) -> None:
        """Its code will be this one; a later reason changes nothing."""
        if self.down_at is None:
            self.down_at, self.owed = now, code
            self.limit_at = None if timeout is None else now + timeout

    def wished(self, at_once: bool, now: float) -> None:
        """Somebody asks for the end; half a second after the first, a second wish is impatience."""
        again = self.wished_at is not None and now - self.wished_at >= 0.5
        if self.wished_at is None:
            self.wished_at = now
        self.kill_now = self.kill_now or at_once or again

    def look(self, now: float) -> None:
        """Note which waits are over."""
        if self.limit_at is not None and now >= self.limit_at:
            self.limit_at, self.kill_now = None, True
        if (until := self.until) is not None and now >= until:
            self.drained = self.drains[-1][1] == SIGKILL
