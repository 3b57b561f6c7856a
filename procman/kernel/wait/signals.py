"""The signals that the core hears, and what they wish for.

It decides nothing: a signal becomes a wish of the vocabulary, or the news that children may have ended.

Every signal that can be caught gets a handler that does nothing, never SIG_IGN: exec turns a handler back into
the default, so a worker starts with every signal at its default even where Python (PIPE, XFSZ) or whoever
started procman (nohup) ignores it. The news itself comes through the wakeup pipe.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from signal import SIG_DFL, SIG_IGN, Signals

from procman.kernel.proc.reasons import OUT_OF_RESOURCES
from procman.kernel.wait.poller import READ, Poller
from procman.policy.events import Load, ReopenLog, ShutDown, Wish

FAULTS = frozenset({Signals.SIGSEGV, Signals.SIGBUS, Signals.SIGFPE, Signals.SIGILL})
"""A handler that returns from these would run the same instruction again, for ever."""

CATCHABLE = frozenset(map(int, signal.valid_signals())) - {Signals.SIGKILL, Signals.SIGSTOP}

WISHES: dict[int, Wish] = {
    Signals.SIGTERM: ShutDown("SIGTERM"),
    Signals.SIGINT: ShutDown("SIGINT"),
    Signals.SIGQUIT: ShutDown("SIGQUIT", now=True),
    Signals.SIGUSR1: ReopenLog(),
}
"""HUP depends on the terminal; CHLD is no wish; all others mean nothing to the core, TSTP and its kin included."""


class SignalPipe:
    """Installs the handlers; calls back, from the poller, with what was wished. There is one in a process."""

    __slots__ = ("_deliver", "_hup_means_something", "_poller", "_read", "_terminal", "_write")

    def __init__(self, poller: Poller, deliver: Callable[[list[Wish]], None]) -> None:
        """`deliver` is called after any signal, perhaps with no wish: then children may have ended."""
        self._poller, self._deliver = poller, deliver
        self._hup_means_something = signal.getsignal(Signals.SIGHUP) is not SIG_IGN  # ignored at start: nohup
        self._terminal = _terminal_answers()
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # A full pipe is no loss: what is in it wakes the loop, and the loop then reaps until nobody is left.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in CATCHABLE:
            signal.signal(number, SIG_DFL if number in FAULTS else _heard)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        poller.watch(self._read, READ, self._readable)

    def close(self) -> None:
        """Hear no more. The handlers stay: the process is about to end, or to exec, which resets them."""
        signal.set_wakeup_fd(-1)
        self._poller.unwatch(self._read)
        os.close(self._read)
        os.close(self._write)

    def _readable(self, _mask: int) -> None:
        try:
            numbers = os.read(self._read, 65536)
        except BlockingIOError:
            return
        wishes = [self._wish(number) for number in dict.fromkeys(numbers)]
        self._deliver([wish for wish in wishes if wish is not None])

    def _wish(self, number: int) -> Wish | None:
        if number != Signals.SIGHUP:
            return WISHES.get(number)
        if not self._hup_means_something:
            return None
        return ShutDown("terminal hung up") if self._terminal and not _terminal_answers() else Load()


def _heard(_number: int, _frame: object) -> None:
    """What is to be done is done by the loop, which the wakeup pipe wakes."""


def _terminal_answers() -> bool:
    """Whether this session has a controlling terminal that has not hung up."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in OUT_OF_RESOURCES  # then nobody knows, and it is not hung up
    return True
