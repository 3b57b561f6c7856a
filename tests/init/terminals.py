"""A pseudo-terminal whose other side runs a command as the leader of its session."""

from __future__ import annotations

import os
import pty
import select
import signal
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from tests.init.running import DEADLINE_S, descendants


class Screen:
    """What is typed and seen."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid, self._fd = pid, fd
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def until(self, text: str) -> str:
        """What is shown up to and with this text, which is then forgotten."""
        end = monotonic() + DEADLINE_S
        while text not in self.seen:
            assert self._read(end - monotonic()), f"no {text!r} after {self.seen!r}"
        shown, found, self.seen = self.seen.partition(text)
        return shown + found

    def rest(self) -> str:
        """All that is still shown until everybody has let go of the terminal."""
        end = monotonic() + DEADLINE_S
        while self._read(end - monotonic()):
            pass
        return self.seen

    def hang_up(self) -> None:
        os.close(self._fd)
        self._fd = -1

    def status(self) -> int:
        """The exit status of the command."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        if self._fd >= 0:
            self.hang_up()

    def _read(self, timeout_s: float) -> bool:
        assert select.select([self._fd], [], [], max(timeout_s, 0))[0], f"nothing more after {self.seen!r}"
        try:
            data = os.read(self._fd, 4096)
        except OSError:  # EIO: nobody has it open any more
            return False
        self.seen += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


@contextmanager
def screen(command: Sequence[str]) -> Iterator[Screen]:
    """Run a command on a terminal of its own, without echo; it is gone at the end."""
    ours, theirs = pty.openpty()
    modes = termios.tcgetattr(theirs)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    pid = os.fork()
    if not pid:
        try:
            os.close(ours)
            os.login_tty(theirs)
            os.execvpe(command[0], list(command), os.environ | {"PS1": "$ ", "TERM": "dumb", "INPUTRC": "/dev/null"})
        finally:
            os._exit(99)
    os.close(theirs)
    shown = Screen(pid, ours)
    try:
        yield shown
    finally:
        for process in (*reversed(descendants(pid)), pid):
            _kill(process)
        shown.close()
        _reap(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
