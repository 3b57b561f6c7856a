"""The terminal that a command and its init share: who has it, and how it is handed over and back.

It never takes a terminal from another session, nor the foreground from a group that procman is not in. All signals
are blocked while it works: with SIGTTOU blocked a process in the background may still say who is in the foreground.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the enums of `signal`, which cost a megabyte and milliseconds


class Terminal:
    """The controlling terminal, or else the one that stdin is. There may be none: then nothing here does anything."""

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        try:
            self._fd = os.open("/dev/tty", os.O_RDWR)
        except OSError:
            self._fd = os.dup(0) if os.isatty(0) else -1

    @property
    def is_open(self) -> bool:
        """Whether there is one, and it was not closed."""
        return self._fd >= 0

    def give_up(self) -> list[int]:
        """Let go of the controlling terminal, so that the child's session can have it. For the parent, before the fork.

        When a session's leader does so, the kernel sends HUP and CONT to the foreground. They are no news to the
        child, and swallowed here: the answer is which.
        """
        if self._fd < 0:
            return []
        from fcntl import ioctl
        from termios import TIOCNOTTY

        pending = signal.sigpending()  # a hang-up from before is a real one
        try:
            ioctl(self._fd, TIOCNOTTY)
        except OSError:
            return []
        if os.getsid(0) != os.getpid():
            return []
        return [number for number in (signal.SIGHUP, signal.SIGCONT) if number not in pending and swallow(number)]

    def acquire(self) -> None:
        """Make it the controlling terminal of the session that the caller, a child, leads."""
        if self._fd >= 0:
            from fcntl import ioctl
            from termios import TIOCSCTTY

            try:
                ioctl(self._fd, TIOCSCTTY, 0)
            except OSError:
                return  # it is another session's, and stays there: what is typed comes through the parent

    def in_foreground(self) -> bool:
        """Whether the caller's group is in the foreground of it."""
        try:
            return self._fd >= 0 and os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # not the controlling terminal
            return False

    def lend(self, group: int) -> None:
        """Put a group of this session into the foreground."""
        try:
            os.tcsetpgrp(self._fd, group)
        except OSError:
            return  # hung up, or the group has just ended

    def take_back(self, group: int) -> None:
        """Put the caller's group into the foreground again, if this one is there."""
        try:
            if os.tcgetpgrp(self._fd) == group:
                os.tcsetpgrp(self._fd, os.getpgrp())
        except OSError:
            return  # hung up

    def close(self) -> None:
        """Have no more to do with it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def swallow(number: int) -> bool:
    """Drop one signal of this number that is pending; whether there was one."""
    return signal.sigtimedwait({number}, 0) is not None
