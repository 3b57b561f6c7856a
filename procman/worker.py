"""What a worker can ask and say: which task it is, that it is ready, its sockets, whether it is to stop.

Everything here makes sense in a program that no procman runs: then there is no task id, nobody to tell, no socket, and
SIGTERM is asked for all the same. `procman.task_id` is the same function as `procman.worker.task_id`, and so are the
others. Nothing is loaded that a program might not want: `socket` is, by who asks for sockets or has somebody to tell.
"""

from __future__ import annotations

import os
import signal
from select import POLLIN, poll
from time import monotonic

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object] | int | None

_FIRST_SOCKET = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""

_forked: int | None = None
_sockets: list[tuple[str, socket.socket]] | None = None
_stopping: Stopping | None = None


def task_id() -> int | None:
    """Which task this is, from 0: of `fork_processes` in its children, else of the worker that this process belongs to.

    None outside both: before `fork_processes` and in its parent, unless that program is itself the worker of a site.
    Source: `task_id` of tornado 6.6, tornado/process.py; PROCMAN_TASK_ID, which every worker of a site has.
    """
    if _forked is not None:
        return _forked
    text = os.environ.get("PROCMAN_TASK_ID", "")
    return int(text) if text.isdecimal() else None


def ready(status: str = "") -> bool:
    """Tell the manager that this worker is ready, with a line for people if there is one: whether anybody was told.

    False where nobody waits for it: there is no NOTIFY_SOCKET, or nobody behind it any more. May be said again, with
    another status. Source: the protocol of sd_notify(3), so a service of systemd can say it as well.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    import socket

    words = " ".join(status.split())
    text = f"READY=1\nSTATUS={words}" if words else "READY=1"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect("\0" + address[1:] if address[0] == "@" else address)
            sender.sendall(text.encode("utf-8", "surrogateescape"))
        except OSError:
            return False
    return True


def listen_sockets(name: str | None = None) -> list[socket.socket]:
    """The listening sockets that this worker was given, in the order of its `listen`; only those of a name, if given.

    Empty where there are none: in a plain run a program opens its own. A second call gives the same objects. They are
    open already, bound and listening, and close on exec. Source: the protocol of sd_listen_fds(3), so sockets of a
    unit of systemd are found as well.
    """
    global _sockets  # noqa: PLW0603 - a descriptor has one owner
    if _sockets is None:
        _sockets = [] if os.environ.get("LISTEN_PID") != str(os.getpid()) else _adopt_sockets()
    return [one for its_name, one in _sockets if name in (None, its_name)]


def _adopt_sockets() -> list[tuple[str, socket.socket]]:
    import socket

    count = os.environ.get("LISTEN_FDS", "")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found = []
    for at in range(int(count) if count.isdecimal() else 0):
        os.set_inheritable(_FIRST_SOCKET + at, False)
        found.append((names[at] if at < len(names) else "", socket.socket(fileno=_FIRST_SOCKET + at)))
    return found


class Stopping:
    """Whether this process was asked to stop, as a flag, an event and a descriptor. Made by `stopping`, once.

    `if stopping(): ...`, `while not stopping().wait(5): ...`, or `loop.add_reader(stopping().fileno(), ...)`.
    Any number of threads may wait. Not a `threading.Event`: a signal handler that sets one can find the main thread
    with the event's lock in its hands.
    """

    __slots__ = ("_before", "_fd", "_set")

    def __init__(self) -> None:
        """Raises RuntimeError outside the main thread, which alone can handle signals."""
        try:
            before = signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, self._asked)
        except ValueError:
            hint = "hint: call it once in the main thread, at the beginning; after that any thread may"
            raise RuntimeError(f"stopping() was first called in another thread than the main one\n{hint}") from None
        self._before: Handler = before
        self._set = False
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        os.register_at_fork(after_in_child=self._renew)

    def __bool__(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it was asked to, at most so many seconds (None: for ever): whether it was."""
        if self._set:
            return True
        deadline = None if timeout is None else monotonic() + timeout
        waiting = poll()
        waiting.register(self._fd, POLLIN)
        while not self._set:
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                break
            waiting.poll(None if left is None else left * 1000 + 1)
        return self._set

    def fileno(self) -> int:
        """A descriptor that is readable from then on. It is not to be read from, nor closed."""
        return self._fd

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self._set = True
        os.eventfd_write(self._fd, 1)
        if callable(self._before):
            self._before(number, frame)

    def _renew(self) -> None:
        """In a forked child: it is asked for itself, and what wakes it wakes nobody else."""
        own = os.eventfd(int(self._set), os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        os.dup2(own, self._fd, inheritable=False)
        os.close(own)


def stopping() -> Stopping:
    """Whether this process was asked to stop, by SIGTERM: a flag, an event and a descriptor in one, see `Stopping`.

    The first call takes over SIGTERM, so that it does not end the process any more: the program is to look, and to
    return. A handler that the program has set before is called as well. One that is set later replaces it, as that of
    asyncio or uvicorn does. The first call is made in the main thread, else it raises RuntimeError.
    """
    global _stopping  # noqa: PLW0603 - a process is asked to stop as a whole
    if _stopping is None:
        _stopping = Stopping()
    return _stopping


def become(task: int) -> None:
    """Be this task from now on. For `fork_processes`."""
    global _forked  # noqa: PLW0603 - a process has one task id, and learns it once
    _forked = task
