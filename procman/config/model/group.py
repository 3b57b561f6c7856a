"""`[group.NAME]`: what `[defaults]` may say of it, and what only it can."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, PlainValidator, model_validator

from procman import choices
from procman.config.model.checks import Health, Ready
from procman.config.model.defaults import Defaults
from procman.config.model.listen import Listens
from procman.config.model.order import After, Names
from procman.config.model.python import Arguments, CallableName, ModulePath, Modules, check_program
from procman.config.scalars import fields
from procman.config.scalars.cron import PATTERN, parse_cron, parse_timezone
from procman.config.scalars.table import option
from procman.config.scalars.values import BadValueError

Cron = Annotated[str, PlainValidator(parse_cron), fields.spelled(PATTERN)]
Timezone = Annotated[str, PlainValidator(parse_timezone), fields.spelled(r"^[A-Za-z0-9_+/-]+$")]


class Group(Defaults):
    """A group of equal workers."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["command"]}, {"required": ["callable"]}]})

    command: fields.Command | None = option(
        None,
        "The program and its arguments: a list, or a string that is split as a shell splits words "
        "(but no shell runs it). ${PROCMAN_TASK_ID} stands for the worker's number.",
        effect="restart",
    )
    callable: CallableName | None = option(
        None,
        'Instead of a command: a function, "package.module:function", that every worker calls. It is imported once, '
        "by a process from which the workers are forked.",
        effect="restart",
    )
    args: Arguments = option([], "The arguments of the callable. ${PROCMAN_TASK_ID} may stand there.", effect="restart")
    path: ModulePath = option(
        [],
        "Directories, relative to this file, that come first on its module path; none given: the working directory.",
        effect="restart",
    )
    preload: Modules = option([], "Modules that are imported with the callable, so as to be shared.", effect="restart")
    threads: choices.Threads = option(
        "error",
        "If importing starts threads, which a fork would lose: error (no worker starts), warn (they start all the "
        "same), or spawn (each worker is executed, and imports for itself).",
        effect="restart",
    )
    python: fields.Text | None = option(
        None,
        "The Python, 3.11 or later, that runs the callable; not given: procman's own.",
        effect="restart",
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
    overlap: choices.Overlap = option(
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
    requires: Names = option(
        [],
        "Groups that this one waits for, as with `after`, and goes down with: when nothing of one runs any more it is "
        "stopped, and it starts anew when that is ready again.",
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
    def _who_starts_first_shows_that_it_is_ready(self) -> Self:
        if self.update.order == "start-first" and self.ready is None and self.kind != "job":
            raise BadValueError(
                "start-first needs to know when the new worker can take over",
                "add a `ready`, as ready = { notify = true }, or leave the order out",
                ("update", "order"),
            )
        return self

    @model_validator(mode="after")
    def _a_descriptor_has_one_use(self) -> Self:
        first_free = 3 + len(self.listen)
        if self.ready is not None and self.ready.fd is not None and self.ready.fd < first_free:
            raise BadValueError(
                f"descriptor {self.ready.fd} is a socket of `listen`", f"take {first_free} or above", ("ready", "fd")
            )
        return self
