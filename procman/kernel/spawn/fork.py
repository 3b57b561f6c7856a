"""The fork path: a copy of the core that sets itself up and becomes the program, and the pipe that tells how it went.

It is for what vfork cannot do: privileges, descriptors under numbers of their own, the worker's own pid in a variable;
and not to hold up the core while the child is on its way to exec.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable
from errno import EINVAL, EMFILE, ENOMEM

from procman.kernel.proc import reasons
from procman.kernel.spawn.environment import Start
from procman.kernel.spawn.given import NOTHING, Given
from procman.kernel.spawn.privileges import Refused, assume
from procman.kernel.spawn.program import SpawnError, first
from procman.kernel.spawn.secrets import read_secrets
from procman.kernel.wait.signals import CATCHABLE
from procman.lean import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from typing import Any, NoReturn

else:
    import _signal as signal  # `signal` makes enums of all it returns: 0.2 ms of a forked child's 1.5


def fork(start: Start, given: Given = NOTHING, stdin: int = -1, blocked: Iterable[int] = ()) -> tuple[int, int]:
    """A fork of the core that becomes the program, and the pipe that tells whether it did.

    The program begins with these signals `blocked`.
    """
    core = os.getpid()
    return forked(lambda answer_to: _become(start, given, stdin, answer_to, core, blocked))


def forked(run: Callable[[int], NoReturn]) -> tuple[int, int]:
    """A fork of the core in which this runs, told where its answer goes, and the pipe that brings it.

    It begins with all signals blocked. Raises SpawnError.
    """
    try:
        pipe, answer_to = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _no_fork(error) from None
    # Blocked until the child has left the core's handlers: it would swallow a TERM meant for the worker,
    # and write into the core's wakeup pipe.
    former = signal.pthread_sigmask(signal.SIG_SETMASK, CATCHABLE)
    try:
        pid = os.fork()
        if pid == 0:
            run(answer_to)
    except OSError as error:
        os.close(pipe)
        raise _no_fork(error) from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
        os.close(answer_to)
    return pid, pipe


def answer(pipe: int) -> SpawnError | None:
    """What the child of a `fork` said: None if its program began. Raises BlockingIOError while it says nothing."""
    said = os.read(pipe, 4096).decode("utf-8", "surrogateescape")
    if not said:
        return None
    stage: Any
    stage, errno, reason = said.split(" ", 2)
    return SpawnError(stage, int(errno), reason)


def answer_with(answer_to: int, error: SpawnError) -> None:
    """Say this, where `answer` reads it."""
    text = f"{error.stage} {error.errno} {error.reason}"
    os.write(answer_to, text.encode("utf-8", "surrogateescape")[:4096])


def leave_the_core() -> None:
    """In a fork of it: hear no signal in its place, and none that its terminal sends."""
    signal.set_wakeup_fd(-1)
    for number in CATCHABLE:
        signal.signal(number, signal.SIG_DFL)
    os.setsid()


def _no_fork(error: OSError) -> SpawnError:
    code = error.errno or EINVAL
    return SpawnError("fork", code, reasons.of_fork(code))


def join(procs: str, pid: int = 0) -> None:
    """Have a process in the cgroup (0: this one), by the core's rights. The write may take 10 ms: so children do it."""
    try:
        descriptor = os.open(procs, os.O_WRONLY | os.O_CLOEXEC)
        os.write(descriptor, b"%d" % pid)
        os.close(descriptor)
    except OSError as error:
        code = error.errno or EINVAL
        raise SpawnError("setup", code, f"cgroup: cannot join {procs}: {error.strerror}") from None


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except (OSError, ValueError) as error:
        errno = getattr(error, "errno", None) or EINVAL
        raise SpawnError("cwd", errno, reasons.of_cwd(cwd, errno)) from None


def _become(start: Start, given: Given, stdin: int, answer_to: int, core: int, blocked: Iterable[int]) -> NoReturn:
    """The forked child, on its way to exec. Whatever happens, it never returns into the core's code."""
    try:
        leave_the_core()
        if given.cgroup:
            join(given.cgroup)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        answer_to = _place(given, stdin, answer_to)
        if start.nofile is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, start.nofile)
        if start.umask is not None:
            os.umask(start.umask)
        secrets = read_secrets(start.secrets)
        if start.privileges is not None:
            assume(start.privileges, core)
        if start.cwd is not None:
            _enter(start.cwd)
        environment = {name: entry[len(name) + 1 :] for name, entry in start.environment.items()}
        environment.update(secrets)
        environment.update((os.fsencode(name), b"%d" % os.getpid()) for name in given.pid_names)
        first(start, lambda path: os.execve(path, start.argv, environment))
    except Exception as error:
        answer_with(answer_to, _failure(error))
    finally:
        os._exit(127)


def _place(given: Given, stdin: int, answer_to: int) -> int:
    """Have what is given under the numbers that it is to have; where the answer goes from now on.

    Sources and numbers may overlap, so all sources go out of the way first, above every number and every source.
    """
    wanted = [(0, stdin)] if stdin >= 0 else []
    wanted += [(number, fd) for number, fd in ((1, given.stdout), (2, given.stderr)) if fd is not None]
    wanted += given.fds
    if not wanted:
        return answer_to
    above = max([answer_to, *(max(pair) for pair in wanted)]) + 1
    try:
        moved = os.dup2(answer_to, above, inheritable=False)
        sources = [os.dup2(fd, above + at, inheritable=False) for at, (_, fd) in enumerate(wanted, 1)]
        for source, (number, _) in zip(sources, wanted, strict=True):
            os.dup2(source, number)
    except OSError as error:  # EBADF: the number lies beyond the limit of descriptors
        raise _no_fork(OSError(EMFILE, "")) from error
    return moved


def _failure(error: Exception) -> SpawnError:
    match error:
        case SpawnError():
            return error
        case Refused(errno=code, reason=reason):
            return SpawnError("setup", code, reason)
        case MemoryError():
            return SpawnError("fork", ENOMEM, "no memory to start in (with limits.as or limits.data so low?)")
        case _:
            return SpawnError("exec", EINVAL, repr(error))
