"""The signals of the parent while it is in `fork_processes`: borrowed from the program, and given back as they were.

Between borrowing and giving back every signal is blocked, except while the parent sleeps. So the handlers that the
program has for other signals run in `sleep` and nowhere else, and what they raise comes out of `sleep`; and a child,
forked with everything blocked, has its own handlers again before it can hear anything.

Blocking alone, with `sigtimedwait`, would not do: a thread of the program, or of a library, takes a signal that the
main thread blocks. A handler with the wakeup descriptor hears it from any thread.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from signal import SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIGCHLD, SIGINT, SIGTERM, pthread_sigmask

from procman.kernel.wait.poller import READ, Poller

_ALL = signal.valid_signals()

Handler = Callable[..., object] | int


class Signals:
    """Hears CHLD, TERM and INT instead of the program. The main thread makes one and gives back what it borrowed."""

    __slots__ = ("_before", "_mask", "_open", "_poller", "_read", "_wakeup", "_write", "heard")

    def __init__(self, poller: Poller) -> None:
        self.heard: list[int] = []
        """The TERM and INT that came, the first first."""
        self._poller = poller
        self._mask = pthread_sigmask(SIG_BLOCK, _ALL)
        self._open = self._mask - {SIGCHLD}
        """The mask while asleep: the program's own, but deaths are always heard."""
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before: dict[int, Handler] = {}
        self._borrow(SIGCHLD, lambda _number, _frame: None)  # also: ignored, the dead would vanish unseen
        for number in (SIGTERM, SIGINT):
            if signal.getsignal(number) not in (SIG_IGN, None):
                self._borrow(number, lambda number, _frame: self.heard.append(number))
        poller.watch(self._read, READ, self._drain)

    def sleep(self, timeout_s: float | None) -> None:
        """Until a signal, a watched descriptor or the timeout. Raises what a handler of the program raises."""
        try:
            pthread_sigmask(SIG_SETMASK, self._open)
            self._poller.poll(timeout_s)
        finally:
            pthread_sigmask(SIG_BLOCK, _ALL)

    def give_back(self) -> None:
        """Put everything back, the mask last. What was heard is sent once more, now to those whom it was for.

        A child clears `heard` before. Raises what the program's handlers raise.
        """
        with suppress(OSError, ValueError):  # the program has closed it
            signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)
        for number in self.heard[:1]:
            signal.raise_signal(number)
        pthread_sigmask(SIG_SETMASK, self._mask)

    def _borrow(self, number: int, handler: Handler) -> None:
        before = signal.signal(number, handler)
        if before is not None:  # None is a handler from outside Python, which cannot be put back
            self._before[number] = before

    def _drain(self, _mask: int) -> None:
        """Empty the pipe: it is there to end the sleep; the handlers have noted what came."""
        with suppress(BlockingIOError):
            os.read(self._read, 65536)
