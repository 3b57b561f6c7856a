"""The one child of an init: forked, put into its session or group, given the terminal, exec'd.

It runs between fork and exec, in a process that is single-threaded and has all signals blocked; what the caller's
process was like, the command finds. It waits for nobody: that is `init.py`.
"""

import os
from errno import EAGAIN, EINVAL
from select import PIPE_BUF

from procman.kernel.init.command import Environment, execute, reason_of, status_of
from procman.kernel.init.terminal import Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the enums of `signal`, which cost a megabyte and milliseconds


class Caller:
    """What the command inherits from whoever started procman."""

    __slots__ = ("environment", "ignores_children", "mask")

    def __init__(self, environment: Environment, mask: set[int]) -> None:
        self.environment, self.mask = environment, mask
        self.ignores_children = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN

    def restore_signals(self) -> None:
        """Have signals as the caller had them; those that Python itself ignores as they are by default."""
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            # Python's handler would swallow a Ctrl-C that comes between here and exec.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        if self.ignores_children:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


def start(command: list[bytes], caller: Caller, terminal: Terminal, *, session: bool) -> tuple[int, str]:
    """Start the command in a session or a group of its own, and go to the root directory.

    The child's pid, and "" once it has been exec'd, or why it could not be. Raises OSError if there can be no child.
    """
    lend = not session and terminal.in_foreground()
    heard, tell = os.pipe()  # closed by exec: until then a signal might reach what is not yet the command
    waited, begin = os.pipe()
    pid = os.fork()
    if not pid:
        error = EAGAIN
        try:
            os.close(begin)
            if os.read(waited, 1):  # else the parent is gone already
                error = _become(command, caller, terminal, session, lend)
                os.write(tell, reason_of(error, command[0]).encode())
        finally:
            os._exit(status_of(error))
    os.chdir("/")
    os.write(begin, b".")
    for fd in (waited, begin, tell):
        os.close(fd)
    reason = os.read(heard, PIPE_BUF).decode()
    os.close(heard)
    if session:
        terminal.close()
    return pid, reason


def _become(command: list[bytes], caller: Caller, terminal: Terminal, session: bool, lend: bool) -> int:
    """Become the command, or return the errno."""
    try:
        if session:
            os.setsid()
            terminal.acquire()
        else:
            os.setpgid(0, 0)
            if lend:
                terminal.lend(os.getpid())
        caller.restore_signals()
    except OSError as error:
        return error.errno or EINVAL
    return execute(command, caller.environment)


def keep_standard_descriptors() -> None:
    """Occupy 0, 1 and 2 where they are closed. Over exec they are closed again: the child has what the caller had."""
    fd = os.open("/", os.O_RDONLY)
    while fd < 3:
        fd = os.open("/", os.O_RDONLY)
    os.close(fd)
