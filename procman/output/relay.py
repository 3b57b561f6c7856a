"""The threads of the pump: one does all the work, and if a disk keeps it waiting, another one goes on in its place.

There is no way to ask whether a write to a file will wait for its disk: a frozen file system, or a server that has
gone, holds whoever writes there for as long as it likes, and nothing can end that, not even SIGKILL. So the main
thread does nothing but watch. It hears SIGTERM, which a thread that is held could not, and an alarm that is set while
anything is being written. A write that two alarms find under way hangs: its outlet is left to the thread that is in
it, and a new thread goes on with everything else. When the write ends at last, its thread tells how, and ends.

Threads never work at the same time: this is no way to do two things at once.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from procman.output.outlet import HANGS, Done, Outlet

ALARM_S = 0.5
"""A write that takes so long may hang; after twice that it does. A disk that is only slow costs no line."""


class Overtaken(BaseException):
    """Raised out of a write that hung: nothing here may be touched any more."""


class Relay:
    """Runs `work` in one thread after the other until it returns; the process ends with it.

    `fd` is readable when `asked_to_end` has become true, or a write that hung has ended: then `land` is to be called.
    """

    def __init__(self) -> None:
        self.fd, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.asked_to_end = False
        self._lock = threading.Lock()
        self._write: tuple[Outlet] | None = None
        """The one that is under way: each is an object of its own."""
        self._armed = False
        self._landed: deque[tuple[Outlet, Done]] = deque()

    def run(self, work: Callable[[], None]) -> NoReturn:
        """Be the main thread."""
        heard = {signal.SIGTERM, signal.SIGALRM}
        signal.pthread_sigmask(signal.SIG_BLOCK, heard)
        self._start(work)
        seen: tuple[Outlet] | None = None
        while True:
            if signal.sigwait(heard) == signal.SIGTERM:
                self.asked_to_end = True
                os.write(self._wake, b"t")
                continue
            self._armed = False  # before the look: a write that begins now either is seen, or sets the alarm itself
            with self._lock:
                former, seen = seen, self._write
                if seen is not None and seen is former:
                    seen[0].hangs, seen[0].failure = True, HANGS
                    self._write = None
            if seen is not None and seen is former:
                self._start(work)
            elif seen is not None:
                self._arm()

    def perform(self, outlet: Outlet, pieces: list[memoryview]) -> int:
        """Have an outlet write, where that may hang. Raises what it raises, or Overtaken."""
        this = self._write = (outlet,)
        if not self._armed:
            self._arm()
        done: Done
        try:
            done = outlet.write(pieces)
        except OSError as error:
            done = error
        with self._lock:
            in_time = self._write is this
            self._write = None if in_time else self._write
        if not in_time:
            self._landed.append((outlet, done))
            os.write(self._wake, b"l")
            raise Overtaken
        if isinstance(done, OSError):
            raise done
        return done

    def land(self) -> None:
        """Give the outlets whose writes have ended back to whoever works now."""
        os.read(self.fd, 4096)
        while self._landed:
            outlet, done = self._landed.popleft()
            outlet.landed(done)

    def _arm(self) -> None:
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, ALARM_S)

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=_to_the_end, args=(work,), daemon=True).start()


def _to_the_end(work: Callable[[], None]) -> None:
    try:
        work()
    except Overtaken:
        return
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # nothing to tidy up, and no stream of others' to flush
