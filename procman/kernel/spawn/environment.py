"""What a worker is started with: command, directory and environment, its templates filled in.

It starts nothing and reads nothing but this process's own environment, once.
"""

from __future__ import annotations

import os

from procman.lean import NamedTuple
from procman.plan import Launch, Privileges
from procman.policy.events import WorkerId

PROCMANS_OWN = frozenset({
    b"LISTEN_FDS", b"LISTEN_PID", b"LISTEN_PIDFDID", b"LISTEN_FDNAMES",
    b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID",
})  # fmt: skip
"""Variables by which whoever started procman speaks to procman: no worker and no helper is to take them for its own."""
_CACHE_SIZE = 128


Variables = tuple[tuple[str, str], ...]
Environment = dict[bytes, bytes]
"""By name, the whole entry as exec wants it: `{b"HOME": b"HOME=/root"}`."""


class Start(NamedTuple):
    """All that one start needs, final."""

    argv: tuple[str, ...]
    cwd: str | None
    """None: where the core is."""
    umask: int | None
    """None: the core's."""
    environment: Environment
    privileges: Privileges | None = None
    """None: the core's."""
    secrets: Variables = ()
    """Variables whose values the child reads itself, from these files."""
    nofile: tuple[int, int] | None = None
    """The soft and the hard limit of descriptors; None: the core's."""


class _Prepared(NamedTuple):
    """A Launch as far as it is the same for all its workers."""

    plain: bool
    """No template in command, cwd or the names of secrets' files."""
    environment: Environment
    open_environment: tuple[tuple[bytes, str], ...]
    """Those with templates in their values."""


class Filler:
    """Makes a Start of a Launch, quickly. `site` is what workers find as PROCMAN_SITE."""

    __slots__ = ("_prepared", "base", "identity", "nofile", "site")

    def __init__(self) -> None:
        self.site = ""
        self.identity: Environment = {}
        """What tells workers which configuration is in force; no part of it is ever a reason to restart them."""
        self.nofile: tuple[int, int] | None = None
        """What all find as their limits of descriptors."""
        self.base = {name: entry for name, entry in base_environment().items() if name not in PROCMANS_OWN}
        self._prepared: dict[Launch, _Prepared] = {}

    def fill(self, worker: WorkerId, launch: Launch, more: Variables = ()) -> Start:
        """The start of this worker, with more variables than its Launch has; these win."""
        prepared = self._prepared.get(launch) or self._prepare(launch)
        environment = prepared.environment.copy()
        for key, value in more:
            environment[os.fsencode(key)] = os.fsencode(f"{key}={value}")
        environment.update(self.identity)
        environment[b"PROCMAN_SITE"] = b"PROCMAN_SITE=" + os.fsencode(self.site)
        environment[b"PROCMAN_GROUP"] = b"PROCMAN_GROUP=" + os.fsencode(worker.group)
        environment[b"PROCMAN_TASK_ID"] = b"PROCMAN_TASK_ID=%d" % worker.task
        environment[b"PROCMAN_GENERATION"] = b"PROCMAN_GENERATION=%d" % worker.generation
        if prepared.plain and not prepared.open_environment:
            plain = (launch.command, launch.cwd, launch.umask, environment, launch.privileges, launch.secrets)
            return Start(*plain, self.nofile)
        known = (*worker_variables(worker), *more)
        for name, template in prepared.open_environment:
            environment[name] = b"%b=%b" % (name, os.fsencode(expand(template, known)))
        command = tuple([expand(word, known) for word in launch.command])
        secrets = tuple([(name, expand(file, known)) for name, file in launch.secrets])
        cwd = expand(launch.cwd, known)
        return Start(command, cwd, launch.umask, environment, launch.privileges, secrets, self.nofile)

    def _prepare(self, launch: Launch) -> _Prepared:
        environment = self.base.copy() if launch.pass_env is None else _passed(self.base, launch.pass_env)
        templates: dict[bytes, str] = {}
        for name, value in launch.env:
            key = os.fsencode(name)
            environment.pop(key, None)
            templates.pop(key, None)
            if value is None:
                continue
            if "$" in value:
                templates[key] = value
            else:
                environment[key] = b"%b=%b" % (key, os.fsencode(value))
        plain = not any("$" in word for word in (*launch.command, launch.cwd, *(file for _, file in launch.secrets)))
        if len(self._prepared) >= _CACHE_SIZE:  # many reloads: begin anew rather than grow
            self._prepared.clear()
        self._prepared[launch] = _Prepared(plain, environment, tuple(templates.items()))
        return self._prepared[launch]


def _passed(base: Environment, names: tuple[str, ...]) -> Environment:
    """What is left of an environment; of a name that ends with `*` whatever begins so."""
    exact = {os.fsencode(name) for name in names}
    beginnings = tuple(name[:-1] for name in exact if name.endswith(b"*"))
    return {name: entry for name, entry in base.items() if name in exact or name.startswith(beginnings)}


def worker_variables(worker: WorkerId) -> Variables:
    """What every template of this run may hold."""
    return (
        ("PROCMAN_GROUP", worker.group),
        ("PROCMAN_TASK_ID", str(worker.task)),
        ("PROCMAN_GENERATION", str(worker.generation)),
    )


def expand(text: str, variables: Variables) -> str:
    """A template of a Launch, with these variables; what it does not know it leaves as it stands."""
    if "$" not in text:
        return text
    parts = text.split("$$")
    for name, value in variables:
        parts = [part.replace(f"${{{name}}}", value) for part in parts]
    return "$".join(parts)


def base_environment() -> Environment:
    """The environment that this process was exec'd with.

    Not `os.environb`: under the C locale Python adds LC_CTYPE to that, which no worker should inherit.
    """
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - no pathlib in the core
            entries = file.read().split(b"\0")
    except OSError:
        entries = [b"%b=%b" % pair for pair in os.environb.items()]
    # Of a name given twice the first counts, as for getenv; what has no name is no variable.
    return {entry[: entry.index(b"=")]: entry for entry in reversed(entries) if entry.find(b"=") > 0}
