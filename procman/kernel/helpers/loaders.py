"""The loader's two uses: to load what the site is to run and, beside that, to answer questions about configurations.

Questions are answered one after the other; a load never waits for one. Whoever asks is told by a call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

from procman.kernel.helpers.loader import Loader, judge, text_of
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import Poller
from procman.lean import least
from procman.policy.events import Loaded, LoadFailed

MOST_QUESTIONS = 16
"""So many may wait."""

Hear = Callable[[str | LoadFailed], None]
"""Takes the JSON object that the loader answered with."""


class Loaders:
    """At most one load and one question at a time."""

    __slots__ = ("_argv", "_asked", "_load", "_question")

    def __init__(
        self,
        poller: Poller,
        spawner: Spawner,
        argv: Sequence[str],
        timeout_s: float,
        deliver: Callable[[Loaded | LoadFailed], None],
    ) -> None:
        self._argv = tuple(argv)
        self._load = Loader(poller, spawner, timeout_s, lambda answer: deliver(judge(answer)))
        self._question = Loader(poller, spawner, timeout_s, self._answered)
        self._asked: deque[tuple[tuple[str, ...], Hear]] = deque()
        """The first one is with the loader."""

    def load(self) -> int | None:
        """Load the configuration: the child's pid, if there is one."""
        self._load.start(self._argv, monotonic())
        return self._load.pid

    def ask(self, argv: Sequence[str], hear: Hear) -> bool:
        """Have a question answered in its turn; False, and nothing is heard, if too many wait."""
        if len(self._asked) >= MOST_QUESTIONS:
            return False
        self._asked.append((tuple(argv), hear))
        if len(self._asked) == 1:
            self._question.start(self._asked[0][0], monotonic())
        return True

    @property
    def deadline(self) -> float | None:
        """See `timers.Timer`."""
        return least([one.deadline for one in self._both])

    def due(self, now: float) -> None:
        """Give up those whose time is over."""
        for loader in self._both:
            loader.due(now)

    def pids(self) -> set[int]:
        """Those that run."""
        return {loader.pid for loader in self._both if loader.pid is not None}

    def reaped(self, pid: int, exit_code: int) -> bool:
        """A child is gone, with this exit code: whether it was one of them."""
        for loader in self._both:
            if loader.pid == pid:
                loader.ended(exit_code)
                return True
        return False

    def close(self) -> None:
        """End them; nothing more is told."""
        self._asked.clear()
        for loader in self._both:
            loader.close()

    @property
    def _both(self) -> tuple[Loader, Loader]:
        return self._load, self._question

    def _answered(self, answer: bytes | LoadFailed) -> None:
        _, hear = self._asked.popleft()
        hear(text_of(answer))
        if self._asked:
            self._question.start(self._asked[0][0], monotonic())
