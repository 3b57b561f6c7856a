"""What one worker is started with. Limits, capabilities and signals are numbers here, paths absolute."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan.listen import Listen
from procman.plan.output import Output

if TYPE_CHECKING:
    from procman.choices import SpawnPath, Threads


class Limit(NamedTuple):
    """A resource limit, in the unit of setrlimit(2); -1 is unlimited."""

    name: str
    """As setrlimit(2) has it, without RLIMIT_ and in small letters: `nofile`."""
    soft: int
    hard: int | None = None
    """None: the core's, or `soft` where that is higher."""


class Privileges(NamedTuple):
    """As whom a worker runs, and what it may do and use. None (and no limit): as the core."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    """All supplementary groups."""
    nice: int | None = None
    oom_score_adj: int | None = None
    cpu_affinity: tuple[int, ...] | None = None
    limits: tuple[Limit, ...] = ()
    no_new_privileges: bool = False
    capabilities: tuple[int, ...] | None = None
    """All that it, and whatever it executes, can have."""
    parent_death_signal: int | None = None
    """Sent to the worker's leader when the core ends, however it ends."""


class Python(NamedTuple):
    """A callable that every worker calls, forked from a process that has imported it: the zygote."""

    callable: str
    """`pkg.mod:func`."""
    args: tuple[str | int | float, ...] = ()
    """Those that are strings are templates."""
    path: tuple[str, ...] = ()
    """Absolute directories, first on the module path; none: the working directory."""
    preload: tuple[str, ...] = ()
    threads: Threads = "error"
    """What becomes of a program whose imports start threads."""
    edition: int = 0
    """Which import of the code it is. Always 0 in a configuration: the policy counts."""


class Cgroup(NamedTuple):
    """The cgroup that each worker has for itself, and its limits; None is no limit."""

    memory_max: int | None = None
    """Bytes."""
    cpu_max: float | None = None
    """How many CPUs' time it may use: 0.5 is half a CPU."""
    pids_max: int | None = None
    """How many processes and threads."""


class Launch(NamedTuple):
    """What a worker is started with. A change of any of it replaces the running workers.

    The strings are templates: `$$` stands for a dollar sign, and `${PROCMAN_GROUP}`,
    `${PROCMAN_TASK_ID}` and `${PROCMAN_GENERATION}` are filled in at each start.
    """

    command: tuple[str, ...]
    """With `python` the interpreter alone; empty: procman's own."""
    cwd: str
    env: tuple[tuple[str, str | None], ...] = ()
    """Changes to the core's own environment, in order; None removes the name."""
    umask: int | None = None
    spawn: SpawnPath = "vfork"
    pass_env: tuple[str, ...] | None = None
    """What of the core's own environment is left: these names, a last `*` being any ending; None is all of it."""
    privileges: Privileges | None = None
    """None: as the core. Anything else takes the fork path."""
    listen: tuple[Listen, ...] = ()
    """Open sockets, which it finds from descriptor 3 on. Any at all takes the fork path."""
    python: Python | None = None
    """What the workers call, instead of a command."""
    cgroup: Cgroup | None = None
    """A cgroup of its own. Takes the fork path."""
    adopt: bool = False
    """Whether what a worker has left behind when its leader ends is left alone, until the site ends."""
    output: Output = Output()
    secrets: tuple[tuple[str, str], ...] = ()
    """Variables, and the absolute paths (templates) of the files that their values are read from at each start. Nothing
    but the worker reads them. Any at all takes the fork path."""
