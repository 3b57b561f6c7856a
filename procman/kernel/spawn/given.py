"""What a worker is given at its start beside its Launch: descriptors and variables, by whoever in the kernel has some.

A provider (listening sockets, output pipes, a notify socket) is asked before each start and told at the end of each
run; it starts nothing and knows nothing of the other providers.
"""

from __future__ import annotations

from collections.abc import Iterable

from procman.lean import NamedTuple, Protocol
from procman.policy.events import Spawn, WorkerId


class Given(NamedTuple):
    """What one worker gets. The descriptors are the core's, which keeps them; the worker has copies."""

    stdout: int | None = None
    """None: the core's own. So is stderr."""
    stderr: int | None = None
    fds: tuple[tuple[int, int], ...] = ()
    """Further ones: which number the worker finds it under (3 or higher), and the core's descriptor."""
    env: tuple[tuple[str, str], ...] = ()
    """Variables, as they stand. They win over those of the Launch."""
    pid_names: tuple[str, ...] = ()
    """Variables whose value is the worker's own pid (LISTEN_PID)."""
    cgroup: str = ""
    """The `cgroup.procs` that it joins before anything else; "" is none."""

    @property
    def numbered(self) -> list[tuple[int, int]]:
        """All its descriptors: the number that the worker finds, and the core's."""
        standard = [(number, fd) for number, fd in ((1, self.stdout), (2, self.stderr)) if fd is not None]
        return [*standard, *self.fds]

    @property
    def needs_fork(self) -> bool:
        """Whether only the fork path can do it: vfork's child sets no numbers and knows no pid of its own."""
        return bool(self.fds or self.pid_names or self.cgroup)


NOTHING = Given()


class Provider(Protocol):
    """Something of the kernel that gives to workers."""

    def give(self, spawn: Spawn) -> Given:
        """What the worker of this start is to get. Raises SpawnError where that cannot be had."""

    def started(self, worker: WorkerId, pid: int) -> None:
        """It has been forked: what was given has been copied."""

    def ended(self, worker: WorkerId) -> None:
        """Its leader is reaped, or there never was one: what was kept for it alone can go."""


def gather(providers: Iterable[Provider], spawn: Spawn) -> Given:
    """All that the providers give, in their order: of one thing given twice, what comes first counts."""
    given = NOTHING
    for provider in providers:
        more = provider.give(spawn)
        if more is NOTHING:
            continue
        given = Given(
            more.stdout if given.stdout is None else given.stdout,
            more.stderr if given.stderr is None else given.stderr,
            given.fds + more.fds,
            given.env + more.env,
            given.pid_names + more.pid_names,
            given.cgroup or more.cgroup,
        )
    return given
