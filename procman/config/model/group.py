"""`[group.NAME]`, and `[defaults]` for all of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, PlainValidator, WithJsonSchema, model_validator

from procman import plan
from procman.config import fields, values
from procman.config.cron import PATTERN, parse_cron, parse_timezone
from procman.config.limits import Limits
from procman.config.model import environment, privileges
from procman.config.model.checks import Health, Ready
from procman.config.model.listen import Listens
from procman.config.model.order import After
from procman.config.model.output import OutputOption
from procman.config.model.python import Arguments, CallableName, ModulePath, Modules, check_program
from procman.config.model.restart import Restart
from procman.config.model.stop import Stop
from procman.config.model.update import Update
from procman.config.table import Table, option
from procman.config.values import BadValueError, show

MOST_WORKERS = 10_000


def _workers(value: Any) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        count = values.parse_integer(value)
    except BadValueError:
        hint = 'write a number, or "auto" for one per CPU'
        raise BadValueError(f"{show(value)} is no number of workers", hint) from None
    if count > MOST_WORKERS:
        raise BadValueError(f"{count} workers are too many for one group", f"at most {MOST_WORKERS}")
    return count if count > 0 else "auto"


Cron = Annotated[str, PlainValidator(parse_cron), fields.spelled(PATTERN)]
Timezone = Annotated[str, PlainValidator(parse_timezone), fields.spelled(r"^[A-Za-z0-9_+/-]+$")]
Workers = Annotated[
    int | Literal["auto"],
    PlainValidator(_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "maximum": MOST_WORKERS}, {"const": "auto"}]}),
]


class Defaults(Table):
    """What a group has unless it says otherwise; tables are merged key by key."""

    kind: plan.Kind = option(
        "service", "A service is to run all the time; a job runs to completion (and is not restarted unless told)."
    )
    workers: Workers = option(
        1, 'How many equal workers run; "auto" (or 0, or a negative number): one for each CPU that may be used.'
    )
    enabled: fields.Bool = option(True, "False: the group is checked, but none of it runs.")
    env: dict[environment.EnvName, environment.EnvValue] = option(
        {}, "Environment variables, on top of procman's own and of `env_file`. May hold ${PROCMAN_TASK_ID}."
    )
    env_file: environment.EnvFiles = option(
        [], "Files of NAME=value lines: a path, { path = …, optional = true }, or a list of these; later ones win."
    )
    cwd: fields.Path | None = option(
        None, "The working directory, relative to this file; not given: where procman was started."
    )
    clear_env: fields.Bool = option(
        False, "True: of procman's own environment workers have only what `pass_env` names."
    )
    pass_env: environment.PassedNames | None = option(
        None, 'With `clear_env`: the variables that are handed on all the same; "LC_*" stands for all that begin so.'
    )
    umask: fields.Umask | None = option(None, 'The file mode creation mask, as an octal string: "0077".')
    user: fields.Account | None = option(
        None, "As whom workers run: a name or a number. Sets HOME, USER, LOGNAME and SHELL too, unless `env` does."
    )
    group: fields.Account | None = option(None, "Their primary group, a name or a number; not given: the user's.")
    supplementary_groups: privileges.Accounts | None = option(
        None, "All their other groups; not given: with a user those that the group database has for them."
    )
    capabilities: privileges.Capabilities | None = option(
        None, 'All capabilities that they, and what they execute, can have, as ["NET_BIND_SERVICE"]; [] is none.'
    )
    no_new_privileges: fields.Bool = option(
        False, "True: whatever they execute gains no privileges, setuid programs included."
    )
    limits: Limits = option({}, 'Resource limits, each "SOFT" or "SOFT:HARD", as setrlimit(2) has them.')
    nice: privileges.Nice | None = option(None, "Their scheduling priority, from -20 (first) to 19 (last).")
    oom_score_adj: privileges.OomScore | None = option(
        None, "Whom the kernel ends when memory is short: from -1000 (never them) to 1000 (them first)."
    )
    cpu_affinity: privileges.Cpus | None = option(None, 'The CPUs that they may run on: "0-3,8", or a list of numbers.')
    cgroup: fields.Bool = option(
        False,
        "True: each worker has a cgroup (v2) of its own, and nothing it starts can get away. A limit implies it.",
    )
    memory_max: privileges.Memory | None = option(
        None, 'The most memory that a worker and all it starts may have, as "512MiB"; then the kernel ends one of them.'
    )
    cpu_max: privileges.CpuShare | None = option(
        None, "How many CPUs' time a worker and all it starts may use together: 0.5 is half a CPU."
    )
    pids_max: privileges.Pids | None = option(
        None, "How many processes and threads a worker may be, with all it starts."
    )
    adopt: fields.Bool = option(
        False, "True: what a worker leaves behind when it ends is left alone until the site ends, not ended with it."
    )
    parent_death_signal: fields.StopSignal | None = option(
        None, "Sent by the kernel to a worker (not to its children) when procman ends, however it ends."
    )
    spawn: plan.SpawnPath = option(
        "vfork", "How processes are made: vfork is fast; fork suits a command on a slow network file system."
    )
    restart: Restart = option({}, "The restart policy.")
    stop: Stop = option({}, "How workers are stopped.")
    update: Update = option({}, "How workers are replaced.")
    output: OutputOption = option({}, "Where the output of workers goes: a name as in its `to`, or a table.")


class Group(Defaults):
    """A group of equal workers."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["command"]}, {"required": ["callable"]}]})

    command: fields.Command | None = option(
        None,
        "The program and its arguments: a list, or a string that is split as a shell splits words "
        "(but no shell runs it). ${PROCMAN_TASK_ID} stands for the worker's number.",
    )
    callable: CallableName | None = option(
        None,
        'Instead of a command: a function, "package.module:function", that every worker calls. It is imported once, '
        "by a process from which the workers are forked.",
    )
    args: Arguments = option([], "The arguments of the callable. ${PROCMAN_TASK_ID} may stand there.")
    path: ModulePath = option(
        [], "Directories, relative to this file, that come first on its module path; none given: the working directory."
    )
    preload: Modules = option([], "Modules that are imported with the callable, so as to be shared.")
    threads: plan.Threads = option(
        "error",
        "If importing starts threads, which a fork would lose: error (no worker starts), warn (they start all the "
        "same), or spawn (each worker is executed, and imports for itself).",
    )
    python: fields.Text | None = option(
        None, "The Python, 3.11 or later, that runs the callable; not given: procman's own."
    )
    listen: Listens = option(
        [],
        "Sockets that procman opens and hands to every worker, from descriptor 3 on, with LISTEN_FDS, LISTEN_PID and "
        "LISTEN_FDNAMES as systemd does: an address, a table of [group.NAME.listen], or a list of these. "
        "${LISTEN_FD_name} and ${LISTEN_ADDR_name} in command and env are its descriptor and its address.",
    )
    schedule: Cron | None = option(
        None,
        "Of a job: when it runs, again and again, as crontab(5) says it: minute, hour, day of month, month, day of "
        "week; or @hourly, @daily, @weekly, @monthly, @yearly. Not given, nor `every`: once, at the start.",
    )
    timezone: Timezone | None = option(
        None, 'Of `schedule`: its time zone, as "Europe/Berlin"; not given: the machine\'s.'
    )
    every: fields.Duration | None = option(
        None, "Of a job: it runs again and again, at the start and from then on so long after each start."
    )
    overlap: plan.Overlap = option(
        "skip",
        "When a run is due and the last one goes on: skip it, queue it (one at most), or kill the last one (by its "
        "stop rules) and run anew.",
    )
    deadline: fields.Duration | None = option(
        None, "Of a job: a run that takes longer, its restarts included, is stopped and has failed; not given: none."
    )
    watch: tuple[fields.Path, ...] = option(
        [],
        'Patterns of files, relative to this one, whose change restarts the group: ["src/**/*.py"]. '
        "What version control, caches and editors keep for themselves does not count.",
    )
    after: After = option(
        {},
        "The groups that this one waits for: a list (each is to be ready), or a table from the group's name to "
        "started, ready, completed (it ended normally) or ended (in whatever way).",
    )

    ready: Ready | None = option(
        None, "What a worker must show before it counts as running; not given: that its program has begun."
    )
    health: Health | None = option(None, "How a worker that runs is seen to be well; not given: by nothing.")

    @model_validator(mode="after")
    def _a_command_or_a_callable(self) -> Self:
        said = [key for key in ("args", "path", "preload", "threads", "python") if key in self.model_fields_set]
        check_program(self.command, self.callable, said)
        return self

    @model_validator(mode="after")
    def _an_environment_is_cleared_to_pass_some_of_it(self) -> Self:
        if self.pass_env is not None and not self.clear_env:
            raise BadValueError("all of the environment is passed", "set clear_env = true, too", ("pass_env",))
        return self

    @model_validator(mode="after")
    def _only_a_job_has_runs(self) -> Self:
        for key in ("schedule", "every", "deadline"):
            if getattr(self, key) is not None and self.kind != "job":
                raise BadValueError(f"only a job has `{key}`", 'set kind = "job", too', (key,))
            if getattr(self, key) == 0:
                raise BadValueError(f"`{key}` cannot be no time at all", 'for example "30s"', (key,))
        if self.schedule is not None and self.every is not None:
            raise BadValueError("a job has either a `schedule` or `every`", "leave one of them out", ("every",))
        if self.timezone is not None and self.schedule is None:
            raise BadValueError("a time zone is that of a `schedule`", "leave it out", ("timezone",))
        if "overlap" in self.model_fields_set and self.schedule is None and self.every is None:
            raise BadValueError("only what runs again can overlap", "add a `schedule`, or `every`", ("overlap",))
        return self

    @model_validator(mode="after")
    def _what_waits_for_a_connection_is_no_job(self) -> Self:
        for index, listen in enumerate(self.listen):
            if listen.on_demand and self.kind == "job":
                raise BadValueError(
                    "a job is not started on demand", "make it a service", ("listen", index, "on_demand")
                )
        return self

    @model_validator(mode="after")
    def _a_job_ends(self) -> Self:
        if self.kind == "job" and self.restart.when == "always":
            raise BadValueError(
                "a job runs to completion, so it cannot restart always",
                'set when = "on-failure" (or "never") in its `restart`, or kind = "service"',
                ("restart", "when"),
            )
        for key in ("ready", "health"):
            if self.kind == "job" and getattr(self, key) is not None:
                hint = 'leave it out: whoever waits for a job waits until it is "completed"'
                raise BadValueError(f"a job has no `{key}`", hint, (key,))
        return self

    @model_validator(mode="after")
    def _a_descriptor_has_one_use(self) -> Self:
        first_free = 3 + len(self.listen)
        if self.ready is not None and self.ready.fd is not None and self.ready.fd < first_free:
            raise BadValueError(
                f"descriptor {self.ready.fd} is a socket of `listen`", f"take {first_free} or above", ("ready", "fd")
            )
        return self
