"""`procman init`: one command, run and waited for as process 1 has to, and every signal forwarded to it.

It installs no signal handler: all signals are blocked from the first moment on and waited for, so none is lost, merged
with another or runs into the middle of something. It restarts nothing, reads no configuration and starts one process.
After its start it wakes up for signals only.
"""

import os
from time import monotonic

from procman.kernel.init.child import Caller, keep_standard_descriptors, start
from procman.kernel.init.command import Environment
from procman.kernel.init.terminal import Terminal, swallow

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the enums of `signal`, which cost a megabyte and milliseconds

ALL = signal.valid_signals()
SUSPENDING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_SENT_BY_WRITING = (signal.SIGPIPE, signal.SIGXFSZ)
_CANNOT_START = 1


class Options:
    """How the command is to be run. The defaults are those of the command line."""

    __slots__ = ("death_signal", "drain_s", "expected", "rewrites", "single_child", "subreaper", "verbose", "warn")

    def __init__(self) -> None:
        self.single_child = False
        """Signals go to the child alone, which leads a group of its own; else to its group, and it leads a session."""
        self.rewrites: dict[int, int] = {}
        """The signal to send instead of one received; 0 for none."""
        self.expected: set[int] = set()
        """Statuses that become 0."""
        self.subreaper: bool | None = None
        """Whether orphans below become children of this process; None: if draining needs it."""
        self.death_signal = 0
        """Sent to this process when its parent ends; 0 for none."""
        self.drain_s = 0.0
        """How long to wait, in seconds, for what is left of the child's group after it."""
        self.warn = False
        """Say which orphans were reaped."""
        self.verbose = False


class Init:
    """One run. Before it is made, all signals are blocked, by a single-threaded process."""

    __slots__ = ("_child", "_environment", "_group", "_mask", "_options", "_terminal")

    def __init__(self, options: Options, environment: Environment, mask: set[int]) -> None:
        """`environment` and the signal `mask` are the caller's, and the child gets them."""
        self._options, self._environment, self._mask = options, environment, mask
        self._child = self._group = 0
        """The child until it is reaped, and its group. 0: none."""
        if not options.single_child:
            # The child's group has no parent in its session, and the kernel drops these in such a group.
            options.rewrites = dict.fromkeys(SUSPENDING, int(signal.SIGSTOP)) | options.rewrites

    def run(self, command: list[bytes]) -> int:
        """The exit status: the command's, 128 + n if signal n killed it, or why it could not be run."""
        keep_standard_descriptors()
        single, caller = self._options.single_child, Caller(self._environment, self._mask)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, there would be nothing to wait for
        try:
            self._arrange_family()
            self._terminal = Terminal()
            for number in () if single else self._terminal.give_up():
                self._tell(f"swallowed signal {number} of the terminal's hand-over")
            self._child, reason = start(command, caller, self._terminal, session=not single)
            self._group = self._child
        except OSError as error:
            say(f"cannot start: {error.strerror}")
            return _CANNOT_START
        if reason:
            say(f"{os.fsdecode(command[0])}: {reason}")
        else:
            how = "a group" if single else "a session"
            self._tell(f"{os.fsdecode(command[0])} runs as {self._child} in {how} of its own")
        status = self._wait()
        self._drain()
        self._terminal.take_back(self._group)
        status = 0 if status in self._options.expected else status
        self._tell(f"exits with {status}")
        return status

    # --- starting --------------------------------------------------------------------------------------

    def _arrange_family(self) -> None:
        options, first = self._options, os.getpid() == 1
        if options.death_signal:
            from procman.kernel.proc.orphans import die_with_parent

            die_with_parent(options.death_signal)
        if options.subreaper or (options.subreaper is None and options.drain_s and not first):
            from procman.kernel.proc.orphans import adopt

            adopt()
        elif (options.verbose or options.warn) and not first:
            from procman.kernel.proc.orphans import adopted

            if not adopted():
                say("not process 1 and no subreaper: orphans are not reaped here (hint: --subreaper)")

    # --- waiting ---------------------------------------------------------------------------------------

    def _wait(self) -> int:
        """Forward signals and reap orphans, in turns, until the child has ended; its status."""
        idle = False
        while True:
            heard = signal.sigwaitinfo(ALL) if idle else signal.sigtimedwait(ALL, 0)
            if heard is not None:
                self._hear(heard.si_signo)
            pid = self._ended()
            if pid and pid == self._child:
                return self._end()
            if pid:
                self._reap(pid)
            idle = not pid

    def _ended(self) -> int:
        """A child that has ended, not yet reaped; 0 if there is none."""
        kinds = os.WEXITED | (os.WSTOPPED if self._terminal.is_open else 0)
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, kinds | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return 0
            if found is None:
                return 0
            if found.si_code != os.CLD_STOPPED:
                return found.si_pid
            os.waitid(os.P_PID, found.si_pid, os.WSTOPPED | os.WNOHANG)
            if found.si_pid == self._child:
                self._follow_into_suspension()

    def _reap(self, pid: int) -> int:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._tell(f"{pid} ended with status {status}" if status >= 0 else f"{pid} ended by signal {-status}")
        if self._options.warn and pid != self._child:
            say(f"reaped the orphan {pid}")
        return status if status >= 0 else 128 - status

    def _end(self) -> int:
        """The child has ended. What is left of its group is asked to, while the number is surely still the child's."""
        if not self._options.single_child:
            self._send(signal.SIGTERM)
        status = self._reap(self._child)
        self._child = 0
        return status

    def _drain(self) -> None:
        """Wait until nothing is left of the child's group, or for as long as that may take."""
        deadline = monotonic() + self._options.drain_s
        while self._options.drain_s and self._group_is_left():
            heard = signal.sigtimedwait(ALL, max(deadline - monotonic(), 0.0))
            if heard is None:
                return
            self._hear(heard.si_signo)

    def _group_is_left(self) -> bool:
        while pid := self._ended():
            self._reap(pid)
        try:
            os.killpg(self._group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    # --- signals ---------------------------------------------------------------------------------------

    def _hear(self, number: int) -> None:
        self._tell(f"received signal {number}")
        if number == signal.SIGCHLD:
            return
        if number == signal.SIGCONT and self._child and self._terminal.in_foreground():
            self._terminal.lend(self._group)
        sent = self._send(number)
        if number in SUSPENDING:
            if sent == signal.SIGSTOP and self._child:
                # Stopped before procman is: or it might still eat what is then typed for the shell.
                os.waitid(os.P_PID, self._child, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            self._suspend()

    def _send(self, number: int) -> int:
        """Forward a signal, or what it is rewritten to; what was sent, 0 if nothing was."""
        sent = self._options.rewrites.get(number, number)
        target = self._child if self._options.single_child else -self._group
        if not sent or not target:
            self._tell(f"dropped signal {number}")
            return 0
        try:
            os.kill(target, sent)
        except OSError as error:  # it has just ended, or runs as a user that this one may not signal
            self._tell(f"could not send signal {sent}: {error.strerror}")
            return 0
        self._tell(f"sent signal {sent}")
        return sent

    def _follow_into_suspension(self) -> None:
        """The terminal has suspended the child: so that a shell above notices, take the terminal and stop too."""
        if os.getpid() != 1 and os.getsid(0) != os.getpid():
            self._terminal.take_back(self._group)
            self._suspend()

    def _suspend(self) -> None:
        self._tell("suspended until CONT")
        os.kill(os.getpid(), signal.SIGSTOP)

    # --- talking ---------------------------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        if self._options.verbose:
            say(text)


def say(text: str) -> None:
    """One line of procman's on standard error."""
    write(f"procman: {text}\n")


def write(text: str, fd: int = 2) -> None:
    """Write; that nobody can read it is no error here, nor a signal to forward."""
    pending = signal.sigpending()
    try:
        os.write(fd, text.encode("utf-8", "surrogateescape"))
    except OSError:
        for number in _SENT_BY_WRITING:  # pending, since all are blocked
            if number not in pending:
                swallow(number)
