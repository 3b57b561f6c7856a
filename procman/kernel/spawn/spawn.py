"""From a Launch to a process: the fast path and the fork path, and what a worker finds when it begins.

It never waits for a worker, never decides on a retry, and keeps no account of who lives.

The fast path is `_posixsubprocess.fork_exec`, the vfork that `subprocess` itself uses, without the rest of it. The
function is private and may change, so it is proved by one spawn at the start; where that fails everything takes the
fork path. `os.posix_spawn`, the public one and as fast, was rejected: glibc's leaves signals 32 and 33 ignored in
the program, and Pythons built against an old glibc (uv installs such) cannot make a session with it.

A worker has a session of its own, every signal at its default and none blocked, /dev/null as stdin, and no other
descriptor than 0, 1, 2 and what it is given. Its limits are those that the core was started with, unless it has
privileges.
"""

from __future__ import annotations

import _posixsubprocess
import os
import resource
from errno import EACCES

from procman.kernel.proc import reasons
from procman.kernel.spawn.environment import Filler, Start
from procman.kernel.spawn.fork import fork
from procman.kernel.spawn.given import NOTHING, Given
from procman.kernel.spawn.program import SpawnError, first
from procman.lean import TYPE_CHECKING
from procman.plan import Launch
from procman.policy.events import WorkerId

if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal  # `signal` makes enums of all it returns

_fork_exec: Any = _posixsubprocess.fork_exec

HELPERS_ARE_DEAF_TO = frozenset(
    {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM}
)
"""Whoever sends these to all of a cgroup means the core and the workers.

They are blocked before a helper's first instruction, not by it: else one that has just been started would die of them.
"""


class Spawner:
    """Starts processes. `fast` says whether the fast path can be used; None finds out, by a spawn."""

    __slots__ = ("_error_in", "_error_out", "_fast", "_filler")

    def __init__(self, fast: bool | None = None, nofile: tuple[int, int] | None = None) -> None:
        """`nofile`: the soft and the hard limit of descriptors for workers, where the core has changed its own."""
        self._filler = Filler()
        self._filler.nofile = nofile
        self._error_out, self._error_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._fast = self._fast_path_works() if fast is None else fast

    def serve(self, site: str) -> None:
        """From now on workers find this name as PROCMAN_SITE."""
        self._filler.site = site

    def fill(self, worker: WorkerId, launch: Launch, more: tuple[tuple[str, str], ...] = ()) -> Start:
        """What this worker is to be started with, with more variables than its Launch has."""
        return self._filler.fill(worker, launch, more)

    def identify(self, digest: str, commit: str) -> None:
        """From now on workers find these as PROCMAN_DIGEST and PROCMAN_COMMIT; what is empty they do not find."""
        told = ((b"PROCMAN_DIGEST", digest), (b"PROCMAN_COMMIT", commit))
        self._filler.identity = {name: b"%b=%b" % (name, os.fsencode(text)) for name, text in told if text}

    def must_fork(self, launch: Launch, given: Given = NOTHING) -> bool:
        """Whether `fork` is the way to start it, not `spawn`."""
        return (
            launch.privileges is not None
            or launch.spawn == "fork"
            or bool(launch.secrets)
            or given.needs_fork
            or not self._fast
        )

    def spawn(self, worker: WorkerId, launch: Launch, given: Given = NOTHING) -> int:
        """Start it and give its pid; its program has begun. Raises SpawnError, and then there is no process."""
        start = self._filler.fill(worker, launch, given.env)
        if start.nofile is None:
            return self._vfork(start, given)
        # The child has what the core has at this moment, and nothing is opened meanwhile.
        former = resource.prlimit(0, resource.RLIMIT_NOFILE, start.nofile)
        try:
            return self._vfork(start, given)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, former)

    def fork(self, worker: WorkerId, launch: Launch, given: Given = NOTHING) -> tuple[int, int]:
        """Start it by a real fork: its pid, and a pipe from which `answer` reads how it went. Raises SpawnError."""
        return fork(self._filler.fill(worker, launch, given.env), given)

    def helper(self, argv: tuple[str, ...], stdout: int | None = None, stdin: int = -1, *, deaf: bool = False) -> int:
        """Start a helper of procman, with these descriptors, else the core's own: its pid. Raises SpawnError.

        If it is to be `deaf` it begins with `HELPERS_ARE_DEAF_TO` blocked.
        """
        blocked = HELPERS_ARE_DEAF_TO if deaf else ()
        start = Start(argv, None, None, self._filler.base)
        if self._fast:
            former = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
            try:
                return self._vfork(start, Given(stdout), stdin)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, former)
        pid, pipe = fork(start, Given(stdout), stdin, blocked)
        os.close(pipe)  # a helper that cannot exec has said nothing and ended with 127: its owner sees that
        return pid

    def close(self) -> None:
        """Release its descriptors; processes are none of them."""
        os.close(self._error_out)
        os.close(self._error_in)

    def _vfork(self, start: Start, given: Given = NOTHING, stdin: int = -1) -> int:
        """By the time that vfork lets go of the core, exec has passed its point of no return, or its error is said.

        So one pipe serves all starts and is never waited for: if it is empty, the program has begun.
        """
        environment = list(start.environment.values())
        umask = -1 if start.umask is None else start.umask
        out, err = (-1 if fd is None else fd for fd in (given.stdout, given.stderr))

        def run(path: str) -> int:
            pid: int = _fork_exec(
                *(start.argv, (os.fsencode(path),), False, (), start.cwd, environment),
                *(stdin, -1, -1, out, -1, err, self._error_out, self._error_in),
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

        return first(start, run)

    def _fast_path_works(self) -> bool:
        """Whether this Python's `fork_exec` takes these arguments and really is a vfork: a directory has no exec."""
        try:
            self._vfork(Start(("/",), "/", 0, {}))
        except SpawnError as error:
            return (error.stage, error.errno) == ("exec", EACCES)
        except (TypeError, ValueError):
            return False
        return False
