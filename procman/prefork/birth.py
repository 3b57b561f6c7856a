"""A worker is born of its zygote: two forks, so that it becomes a child of the core, and then it makes itself at home.

The zygote waits for the process between, which ends at once: from then on the worker's parent is whoever takes in
orphans there, the core. The worker does nothing until the core has seen that, and has said so on the leash. The leash
tells how the start went, as the exec-error pipe does for a command: what failed, or nothing, once it is closed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, NoReturn

from procman.kernel.proc import reasons
from procman.kernel.proc.orphans import die_with_parent
from procman.kernel.spawn.secrets import MOST_BYTES
from procman.prefork.safety import reseed

RESERVED = range(3, 32)
"""Descriptors that the zygote keeps free of what its modules open, for what a worker is given."""

_OUT_OF_THE_WAY = 64
"""Descriptors of procman's own are at this number and above, where the limit allows it."""


class Order(NamedTuple):
    """What one worker starts with. The descriptors have come with it, in the order of `secrets` and `numbers`."""

    argv: list[str]
    """The command that it would be, were it one; its last word is the program."""
    cwd: str | None
    umask: int | None
    environment: dict[str, str]
    secrets: list[str]
    """Variables that are read from files."""
    pid_names: list[str]
    """Variables for its own pid."""
    numbers: list[int]
    """Which descriptors it is to find what it was given under."""
    death_signal: int | None
    name: str
    """What ps calls it."""
    place: int
    """Where in the account its last words go."""


class Unable(Exception):  # noqa: N818 - it says what has happened
    """A part of the start that failed, as the leash tells it."""

    def __init__(self, stage: str, code: int | None, reason: str) -> None:
        super().__init__(stage, code, reason)
        self.text = f"{stage} {code or errno.EINVAL} {reason}"


def keep_free() -> None:
    """In a zygote, at its beginning: occupy what is reserved, so that no module opens anything there."""
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    for number in RESERVED:
        if number != null:
            os.dup2(null, number, inheritable=False)


def bear() -> int:
    """Fork twice: in the zygote the pid of the worker, in the worker 0. Raises OSError if there can be none."""
    hear, say = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        between = _fork()
        if between == 0:
            _fork_and_end(say)
            return 0
        os.waitpid(between, 0)
        pid = int(os.read(hear, 64))  # it was killed if it has said nothing: EAGAIN
    finally:
        os.close(hear)
        os.close(say)
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid


def _fork_and_end(say: int) -> None:
    """The process between the two. It returns in the worker."""
    try:
        pid = _fork()
    except OSError as error:
        pid = -(error.errno or errno.EAGAIN)
    if pid:
        os.write(say, b"%d" % pid)
        os._exit(0)


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # with threads (3.12): the gate has spoken
        return os.fork()


def settle_in(order: Order, fds: Sequence[int], leash: int) -> int:
    """In the worker: wait to be let go, and make it as its order says. Gives the account's new number.

    `fds` are the account, secrets and what is given. Where that fails, or the core is gone, the worker ends here.
    """
    if not os.read(leash, 1):
        os._exit(0)
    try:
        os.setsid()
        account, leash = out_of_the_way(fds[0]), out_of_the_way(leash)
        given = 1 + len(order.secrets)
        secrets = {name: _secret(name, fd) for name, fd in zip(order.secrets, fds[1:given], strict=True)}
        _place(order.numbers, fds[given:])
        if order.umask is not None:
            os.umask(order.umask)
        if order.death_signal is not None:
            die_with_parent(order.death_signal)
        if order.cwd is not None:
            _enter(order.cwd)
        be_called(order.name)
        _take_environment(order.environment | secrets | dict.fromkeys(order.pid_names, str(os.getpid())))
        reseed()
    except Unable as unable:
        _give_up(leash, unable)
    except Exception as error:
        _give_up(leash, Unable("setup", getattr(error, "errno", None), f"{type(error).__name__}: {error}"))
    os.close(leash)
    return account


def out_of_the_way(fd: int) -> int:
    """The same open file at a number that no program expects anything at, closed on exec; the old number is free."""
    try:
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    except OSError:  # beyond the limit of descriptors
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, RESERVED.stop)
    os.close(fd)
    return moved


def _place(numbers: Sequence[int], fds: Sequence[int]) -> None:
    """Have each descriptor under its number, and close what the zygote has kept free and nobody wants."""
    sources = [out_of_the_way(fd) for fd in fds]
    for number in RESERVED:
        os.close(number)
    for number, source in zip(numbers, sources, strict=True):
        if number not in (0, 1, 2, *RESERVED):
            raise Unable("setup", errno.EBUSY, f"descriptor {number}: a zygote can give those below {RESERVED.stop}")
        os.dup2(source, number)
        os.close(source)


def _secret(name: str, fd: int) -> str:
    """What its file holds, without a last newline, as it is for a command."""
    with open(fd, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES or b"\0" in data:
        raise Unable("secret", errno.EINVAL, f"{name}: the secret is no text of at most 64 KiB")
    return os.fsdecode(data.removesuffix(b"\n").removesuffix(b"\r"))


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except (OSError, ValueError) as error:
        code = getattr(error, "errno", None) or errno.EINVAL
        raise Unable("cwd", code, reasons.of_cwd(cwd, code)) from None


def be_called(name: str) -> None:
    """Show up under this name in ps and top."""
    with suppress(OSError), open("/proc/self/comm", "w", encoding="utf-8") as comm:  # noqa: PTH123
        comm.write(name[:15])


def _take_environment(environment: Mapping[str, str]) -> None:
    """Only what differs: each change of a variable costs memory that is never freed."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _give_up(leash: int, unable: Unable) -> NoReturn:
    with suppress(OSError):
        os.write(leash, unable.text.encode("utf-8", "surrogateescape")[:4096])
    os._exit(127)
