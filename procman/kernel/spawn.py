"""From a Launch to a process: the fast path and the fork path, and what a worker finds when it begins.

It never waits for a worker, never decides on a retry, and keeps no account of who lives.

The fast path is `_posixsubprocess.fork_exec`, the vfork that `subprocess` itself uses, without the rest of it. The
function is private and may change, so it is proved by one spawn at the start; where that fails everything takes the
fork path. `os.posix_spawn`, the public one and as fast, was rejected: glibc's leaves signals 32 and 33 ignored in
the program, and Pythons built against an old glibc (uv installs such) cannot make a session with it.

The fork path is for what vfork cannot do: privileges, set by the child itself; and not to hold up the core while the
child is on its way to exec.

A worker has a session of its own, every signal at its default and none blocked, /dev/null as stdin, and no other
descriptor than 0, 1 and 2. Its limits are those of the core, which leaves its own alone, unless it has privileges.
"""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH118

from __future__ import annotations

import _posixsubprocess
import os
from collections.abc import Callable, Iterator
from errno import EACCES, EINVAL, ENOENT, ENOMEM, ENOTDIR
from typing import TYPE_CHECKING, Any, NoReturn, cast

from procman.kernel import reasons
from procman.kernel.environment import Filler, Start
from procman.kernel.privileges import Refused, assume
from procman.kernel.signals import CATCHABLE
from procman.plan import Launch
from procman.policy.events import Stage, WorkerId

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # `signal` makes enums of all it returns: 0.2 ms of a forked child's 1.5

_fork_exec: Any = _posixsubprocess.fork_exec


class SpawnError(Exception):
    """A start that failed, as `StartFailed` will tell it."""

    def __init__(self, stage: Stage, errno: int, reason: str) -> None:
        super().__init__(stage, errno, reason)
        self.stage, self.errno, self.reason = stage, errno, reason


class Spawner:
    """Starts processes. `fast` says whether the fast path can be used; None finds out, by a spawn."""

    __slots__ = ("_error_in", "_error_out", "_fast", "_filler")

    def __init__(self, fast: bool | None = None) -> None:
        self._filler = Filler()
        self._error_out, self._error_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._fast = self._fast_path_works() if fast is None else fast

    def serve(self, site: str) -> None:
        """From now on workers find this name as PROCMAN_SITE."""
        self._filler.site = site

    def must_fork(self, launch: Launch) -> bool:
        """Whether `fork` is the way to start it, not `spawn`."""
        return launch.privileges is not None or launch.spawn == "fork" or not self._fast

    def spawn(self, worker: WorkerId, launch: Launch) -> int:
        """Start it and give its pid; its program has begun. Raises SpawnError, and then there is no process."""
        return self._vfork(self._filler.fill(worker, launch))

    def fork(self, worker: WorkerId, launch: Launch) -> tuple[int, int]:
        """Start it by a real fork: its pid, and a pipe from which `answer` reads how it went. Raises SpawnError."""
        return _fork(self._filler.fill(worker, launch))

    def helper(self, argv: tuple[str, ...], stdout: int) -> int:
        """Start a helper of procman, with that descriptor as its stdout: its pid. Raises SpawnError."""
        start = Start(argv, None, None, self._filler.base)
        if self._fast:
            return self._vfork(start, stdout)
        pid, pipe = _fork(start, stdout)
        os.close(pipe)  # a helper that cannot exec has said nothing and ended with 127: its owner sees that
        return pid

    def close(self) -> None:
        """Release its descriptors; processes are none of them."""
        os.close(self._error_out)
        os.close(self._error_in)

    def _vfork(self, start: Start, stdout: int = -1) -> int:
        """By the time that vfork lets go of the core, exec has passed its point of no return, or its error is said.

        So one pipe serves all starts and is never waited for: if it is empty, the program has begun.
        """
        environment = list(start.environment.values())
        umask = -1 if start.umask is None else start.umask

        def run(path: str) -> int:
            pid: int = _fork_exec(
                *(start.argv, (os.fsencode(path),), False, (), start.cwd, environment),
                *(-1, -1, -1, stdout, -1, -1, self._error_out, self._error_in),
                *(False, True, -1, None, None, None, umask, None, True),
            )
            try:
                said = os.read(self._error_out, 256)
            except BlockingIOError:
                return pid
            os.waitpid(pid, 0)  # it has nothing left to do but to end
            _, code, where = said.split(b":", 2)
            if where:
                raise SpawnError("cwd", int(code, 16), reasons.of_cwd(start.cwd or ".", int(code, 16)))
            raise OSError(int(code, 16), "")

        return _first(start, run)

    def _fast_path_works(self) -> bool:
        """Whether this Python's `fork_exec` takes these arguments and really is a vfork: a directory has no exec."""
        try:
            self._vfork(Start(("/",), "/", 0, {}))
        except SpawnError as error:
            return (error.stage, error.errno) == ("exec", EACCES)
        except (TypeError, ValueError):
            return False
        return False


def _fork(start: Start, stdout: int | None = None) -> tuple[int, int]:
    """A fork of the core that becomes the program, and the pipe that tells whether it did."""
    try:
        pipe, answer_to = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _no_fork(error) from None
    # Blocked until the child has left the core's handlers: it would swallow a TERM meant for the worker,
    # and write into the core's wakeup pipe.
    former = signal.pthread_sigmask(signal.SIG_SETMASK, CATCHABLE)
    core = os.getpid()
    try:
        pid = os.fork()
        if pid == 0:
            _become(start, stdout, answer_to, core)
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
    name, errno, reason = said.split(" ", 2)
    return SpawnError(cast(Stage, name), int(errno), reason)


def _no_fork(error: OSError) -> SpawnError:
    code = error.errno or EINVAL
    return SpawnError("fork", code, reasons.of_fork(code))


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except (OSError, ValueError) as error:
        errno = getattr(error, "errno", None) or EINVAL
        raise SpawnError("cwd", errno, reasons.of_cwd(cwd, errno)) from None


def _first(start: Start, run: Callable[[str], int]) -> int:
    """Run the command; a bare one is the first on the worker's PATH that can be run, as for execvp."""
    command = start.argv[0]
    failed: tuple[str, int] | None = None
    for path in _candidates(command, start):
        try:
            return run(path)
        except OSError as error:
            errno = error.errno or EINVAL
            if errno not in (ENOENT, ENOTDIR, EACCES):
                failed = (path, errno)
                break
            failed = failed or (path, errno)
        except ValueError as error:  # a NUL byte, a "=" in a name: what no exec can pass on
            raise SpawnError("exec", EINVAL, f"{command}: {error}") from None
    if failed is None:
        raise SpawnError("exec", ENOENT, reasons.not_found(command))
    path, errno = failed
    if errno in reasons.OUT_OF_RESOURCES:
        raise SpawnError("fork", errno, reasons.of_fork(errno))
    raise SpawnError("exec", errno, reasons.of_exec(path, errno, start.cwd))


def _candidates(command: str, start: Start) -> Iterator[str]:
    """The files that a command may mean. Those that do not exist are left out: a vain attempt costs a vfork."""
    if "/" in command:
        yield command
        return
    search = start.environment.get(b"PATH", b"PATH=" + os.defpath.encode())[5:]
    for directory in os.fsdecode(search).split(":"):
        path = f"{directory or '.'}/{command}"
        if command and os.access(os.path.join(start.cwd or ".", path), os.F_OK):
            yield path


def _become(start: Start, stdout: int | None, answer_to: int, core: int) -> NoReturn:
    """The forked child, on its way to exec. Whatever happens, it never returns into the core's code."""
    try:
        signal.set_wakeup_fd(-1)
        for number in CATCHABLE:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if stdout is not None:
            os.dup2(stdout, 1)
        if start.umask is not None:
            os.umask(start.umask)
        if start.privileges is not None:
            assume(start.privileges, core)
        if start.cwd is not None:
            _enter(start.cwd)
        environment = {name: entry[len(name) + 1 :] for name, entry in start.environment.items()}
        _first(start, lambda path: os.execve(path, start.argv, environment))
    except Exception as error:
        failure = _failure(error)
        text = f"{failure.stage} {failure.errno} {failure.reason}"
        os.write(answer_to, text.encode("utf-8", "surrogateescape")[:4096])
    finally:
        os._exit(127)


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
