"""The way out of the log: whole lines into a stream that may be slow, full or gone. It never blocks and never raises.

The stream is usually inherited and shared: with the shell, with the workers, with whoever started us. So O_NONBLOCK
is never set on it (the flag belongs to the open file, and all who share it would get it). A pipe or a terminal is
opened once more instead, which gives flags of our own; where that is refused, and for sockets, the stream is
asked first, and a line is never longer than PIPE_BUF, which is what a ready stream takes at once. A regular file is
written through the inherited descriptor, whose offset is shared; it never makes anybody wait.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Sequence
from select import EPOLLOUT, PIPE_BUF, POLLOUT, poll
from signal import SIG_BLOCK, SIG_SETMASK, SIGTTOU, pthread_sigmask

from procman.lean import Protocol

BACKLOG = 1 << 20
"""Bytes that may wait for a stream that takes none; then the oldest lines are dropped and counted."""


class Poller(Protocol):
    """What the writer needs of `kernel.poller.Poller`."""

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None: ...
    def unwatch(self, fd: int) -> None: ...
    def soon(self, call: Callable[[], None]) -> None: ...


class Writer:
    """One stream and the lines that wait for it.

    `lost_line` makes the line that stands in for a number of dropped ones, at the place where they are missing.
    """

    __slots__ = (
        "_ask",
        "_due",
        "_fd",
        "_lines",
        "_lost",
        "_lost_line",
        "_owned",
        "_poller",
        "_regular",
        "_rest",
        "_terminal",
        "_waiting",
        "_weight",
        "limit",
    )

    def __init__(self, fd: int, *, owned: bool, poller: Poller, lost_line: Callable[[int], bytes]) -> None:
        own = fd if owned else _with_own_flags(fd)
        self._fd = fd if own is None else own
        self._owned = own is not None
        self._regular, self._terminal = _is_regular(fd), os.isatty(fd)
        self._ask = None if self._owned or self._regular else _question(fd)
        """Where a write could block, the stream is asked first."""
        self._poller = poller
        self._lost_line = lost_line
        self._lines: deque[bytes] = deque()
        self._weight = 0
        self._rest = b""
        """What must come before anything else: the end of a line, or the newline after one that was torn."""
        self._lost = 0
        self._waiting = self._due = False
        self.limit = BACKLOG

    @property
    def pending(self) -> int:
        """How many lines have not been written, those dropped included."""
        return len(self._lines) + self._lost

    def put(self, lines: Sequence[bytes]) -> None:
        """Write what can be written now; keep the rest for later. Each line ends in a newline, within PIPE_BUF."""
        self._add(lines)
        if not self._waiting:
            self.flush()
        self._drop()

    def put_soon(self, lines: Sequence[bytes]) -> None:
        """Write them at the next look for events, or as soon as there is as much as one write takes."""
        self._add(lines)
        if not self._waiting and self._weight >= PIPE_BUF:
            self.flush()
        elif not self._waiting and not self._due:
            self._due = True
            self._poller.soon(self._flush_now)
        self._drop()

    def _add(self, lines: Sequence[bytes]) -> None:
        self._lines.extend(lines)
        self._weight += sum(map(len, lines))

    def _drop(self) -> None:
        while self._weight > self.limit:
            self._weight -= len(self._lines.popleft())
            self._lost += 1

    def flush(self, _events: int = 0) -> None:
        """Write until nothing is left or the stream takes no more.

        A full stream is watched. One that fails (disk full, reader gone) would look ready all the time: it is tried
        again with the next lines.
        """
        blocked = self._due = False
        try:
            while self._rest or self._lost or self._lines:
                if self._ask is not None and not self._ask.poll(0):
                    blocked = True
                    break
                self._write_some()
        except BlockingIOError:
            blocked = True
        except OSError:
            pass
        self._watch(blocked)

    def _flush_now(self) -> None:
        if self._due:  # and not closed meanwhile
            self.flush()

    def inherit(self, other: Writer) -> None:
        """Take over what another writer, about to be closed, has not written."""
        self._lines.extendleft(reversed(other._lines))
        self._weight += other._weight
        self._lost += other._lost
        other._lines.clear()
        other._weight = other._lost = 0
        self.flush()

    def close(self, patience_s: float = 1.0) -> None:
        """Write what is left and let the stream go: it may take nothing for so long, and five times that in all."""
        self.flush()
        now = time.monotonic()
        deadline, last = now + patience_s, now + 5 * patience_s
        question = _question(self._fd)
        while self._waiting and (left := min(deadline, last) - time.monotonic()) > 0 and question.poll(left * 1000):
            before = self.pending
            self.flush()
            if self.pending < before:
                deadline = time.monotonic() + patience_s
        self._watch(False)
        if self._owned:
            os.close(self._fd)

    def _write_some(self) -> None:
        """One write of as many whole lines as PIPE_BUF holds. Raises what `os.write` raises."""
        head = self._rest or (self._lost_line(self._lost) if self._lost else b"")
        chunk = head
        if not self._rest:
            for line in self._lines:
                if chunk and len(chunk) + len(line) > PIPE_BUF:
                    break
                chunk += line
        written = (_write_from_behind if self._terminal else os.write)(self._fd, chunk)
        self._lost = self._lost if self._rest else 0
        self._rest = head[written:]
        self._settle(written - len(head))

    def _settle(self, taken: int) -> None:
        """Forget the lines that are in the first `taken` bytes, and see to the one that was torn.

        On a pipe or a terminal its end follows. A file may be shared, and others may have got a word in until
        its disk has room again: there, the line is closed and written once more as a whole.
        """
        while taken > 0:
            line = self._lines.popleft()
            self._weight -= len(line)
            taken -= len(line)
            if taken < 0 and not self._regular:
                self._rest = line[taken:]
            elif taken < 0:
                self._rest = b"\n"
                self._lines.appendleft(line)
                self._weight += len(line)

    def _watch(self, waiting: bool) -> None:
        """Have `flush` called once the stream takes more, or no longer."""
        if waiting is self._waiting:
            return
        try:
            if waiting:
                self._poller.watch(self._fd, EPOLLOUT, self.flush)
            else:
                self._poller.unwatch(self._fd)
        except OSError:
            return  # not watchable, or no memory for it: tried again with the next lines
        self._waiting = waiting


def _with_own_flags(fd: int) -> int | None:
    """The same pipe or terminal through a descriptor of our own that never blocks; None where there is none."""
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISFIFO(mode) or os.isatty(fd):
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        pass  # somebody else's terminal, no /proc, no reader
    return None


def _write_from_behind(fd: int, chunk: bytes) -> int:
    """Write to a terminal, from the background as well.

    Under `stty tostop` such a write raises SIGTTOU. Handled, as all our signals are, it would interrupt the
    write, and Python would try again for ever; blocked, POSIX lets the write pass.
    """
    before = pthread_sigmask(SIG_BLOCK, (SIGTTOU,))
    try:
        return os.write(fd, chunk)
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def _is_regular(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


def _question(fd: int) -> poll:
    question = poll()
    question.register(fd, POLLOUT)
    return question
