"""The site file as the user writes it: every table and option, with its default and its description.

The descriptions become the JSON Schema and the reference of options. A model checks its own table; what concerns
several groups is in `checks.py`. Nothing here reads files, expands variables or looks at the machine.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from procman import plan
from procman.config import fields
from procman.config.limits import Limits
from procman.config.table import Table, option, or_off
from procman.config.values import BadValueError, show


def _after(value: Any) -> dict[str, str]:
    hint = 'write ["cache"], or { migrate = "completed", cache = "ready" }'
    if isinstance(value, str):
        raise BadValueError(f"{show(value)} is neither a list nor a table", f'write it in brackets: ["{value}"]')
    if not isinstance(value, (list, tuple, dict)):
        raise BadValueError(f"{show(value)} is neither a list nor a table of groups", hint)
    if isinstance(value, dict):
        return value
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise BadValueError(f"{show(item)} is not the name of a group", hint, (index,))
    return dict.fromkeys(value, "ready")


def _env_files(value: Any) -> list[Any]:
    items = value if isinstance(value, (list, tuple)) else [value]
    for index, item in enumerate(items):
        if not isinstance(item, (str, dict)):
            hint = 'write "prod.env", or { path = "prod.env", optional = true }, or a list of these'
            raise BadValueError(f"{show(item)} is no file", hint, (index,))
    return [{"path": item} if isinstance(item, str) else item for item in items]


class Backoff(Table):
    """How long a slot waits before each further restart in a row; the first restart is immediate."""

    initial: fields.Duration = option("500ms", "The delay before the second restart in a row.")
    factor: fields.Factor = option(2.0, "Each further delay is the one before times this.")
    max: fields.Duration = option("30s", "No delay is longer than this, the jitter apart.")
    jitter: fields.Share = option(
        0.2, "The share of the delay that is added at random, so that slots do not restart in step."
    )

    @model_validator(mode="after")
    def _initial_is_at_most_max(self) -> Self:
        if self.initial > self.max:
            hint = "raise `max` with it; it is 30s unless given"
            raise BadValueError("the first delay is longer than the longest", hint, ("initial",))
        return self


class Restart(Table):
    """When a worker that has ended is started again, how often, and what happens when the budget is spent."""

    when: plan.When = option(
        "on-failure", "Restart always, on failure (an exit code or a signal that is no success), or never."
    )
    success: fields.Success = option([0], "The exit codes, and names of signals, that count as a normal end.")
    max_restarts: fields.Count = option(
        100, "The restart budget, shared by the group's workers. A job has 0 unless it is given."
    )
    window: Annotated[fields.Duration | None, or_off(fields.Duration)] = option(
        None, "The budget is for any span of this length; false, or not given: for the group's whole life."
    )
    backoff: Annotated[Backoff | None, or_off(Backoff)] = option(
        {}, "How the delays between restarts grow; false: every restart is immediate."
    )
    reset_after: fields.Duration = option("60s", "A run of this length counts as stable and resets the backoff.")
    strategy: plan.Strategy = option(
        "one-for-one", "Restart the failed worker alone, or, with one-for-all, the whole group."
    )
    on_exhausted: plan.OnExhausted = option(
        "shutdown",
        "When the budget is spent: shut the site down (exit code 10), stop this group, or ignore it: "
        "the failed worker stays down and the rest runs on.",
    )

    @model_validator(mode="after")
    def _window_has_a_length(self) -> Self:
        if self.window == 0:
            hint = "leave it out to count over the group's whole life"
            raise BadValueError("a window has a length", hint, ("window",))
        return self


class Stop(Table):
    """How a worker is asked to end, and when it is made to."""

    signal: fields.StopSignal = option("TERM", "The signal that asks a worker to end.")
    grace: fields.Duration = option("8s", "How long it may take before it is killed.")
    scope: plan.Scope = option(
        "tree", "Who hears the first signal: the worker's whole process group, or its leader alone."
    )


class EnvFile(Table):
    """A file of NAME=value lines."""

    path: fields.Path = Field(description="The file, relative to the file that names it.")
    optional: fields.Bool = option(False, "Whether it may be missing.")


_EnvFiles = fields.Path | EnvFile | list[fields.Path | EnvFile]
_After = list[str] | dict[str, plan.Condition]


class Defaults(Table):
    """What a group has unless it says otherwise; tables are merged key by key."""

    kind: plan.Kind = option(
        "service", "A service is to run all the time; a job runs to completion (and is not restarted unless told)."
    )
    workers: fields.Workers = option(
        1, 'How many equal workers run; "auto" (or 0, or a negative number): one for each CPU that may be used.'
    )
    enabled: fields.Bool = option(True, "False: the group is checked, but none of it runs.")
    env: dict[fields.EnvName, fields.EnvValue] = option(
        {}, "Environment variables, on top of procman's own and of `env_file`. May hold ${PROCMAN_TASK_ID}."
    )
    env_file: Annotated[tuple[EnvFile, ...], BeforeValidator(_env_files, json_schema_input_type=_EnvFiles)] = option(
        [], "Files of NAME=value lines: a path, { path = …, optional = true }, or a list of these; later ones win."
    )
    cwd: fields.Path | None = option(
        None, "The working directory, relative to this file; not given: where procman was started."
    )
    clear_env: fields.Bool = option(
        False, "True: of procman's own environment workers have only what `pass_env` names."
    )
    pass_env: fields.PassedNames | None = option(
        None, 'With `clear_env`: the variables that are handed on all the same; "LC_*" stands for all that begin so.'
    )
    umask: fields.Umask | None = option(None, 'The file mode creation mask, as an octal string: "0077".')
    user: fields.Account | None = option(
        None, "As whom workers run: a name or a number. Sets HOME, USER, LOGNAME and SHELL too, unless `env` does."
    )
    group: fields.Account | None = option(None, "Their primary group, a name or a number; not given: the user's.")
    supplementary_groups: fields.Accounts | None = option(
        None, "All their other groups; not given: with a user those that the group database has for them."
    )
    capabilities: fields.Capabilities | None = option(
        None, 'All capabilities that they, and what they execute, can have, as ["NET_BIND_SERVICE"]; [] is none.'
    )
    no_new_privileges: fields.Bool = option(
        False, "True: whatever they execute gains no privileges, setuid programs included."
    )
    limits: Limits = option({}, 'Resource limits, each "SOFT" or "SOFT:HARD", as setrlimit(2) has them.')
    nice: fields.Nice | None = option(None, "Their scheduling priority, from -20 (first) to 19 (last).")
    oom_score_adj: fields.OomScore | None = option(
        None, "Whom the kernel ends when memory is short: from -1000 (never them) to 1000 (them first)."
    )
    cpu_affinity: fields.Cpus | None = option(None, 'The CPUs that they may run on: "0-3,8", or a list of numbers.')
    parent_death_signal: fields.StopSignal | None = option(
        None, "Sent by the kernel to a worker (not to its children) when procman ends, however it ends."
    )
    spawn: plan.SpawnPath = option(
        "vfork", "How processes are made: vfork is fast; fork suits a command on a slow network file system."
    )
    restart: Restart = option({}, "The restart policy.")
    stop: Stop = option({}, "How workers are stopped.")


class Group(Defaults):
    """A group of equal workers."""

    command: fields.Command = Field(
        description="The program and its arguments: a list, or a string that is split as a shell splits words "
        "(but no shell runs it). ${PROCMAN_TASK_ID} stands for the worker's number."
    )
    after: Annotated[dict[str, plan.Condition], BeforeValidator(_after, json_schema_input_type=_After)] = option(
        {},
        "The groups that this one waits for: a list (each is to be ready), or a table from the group's name to "
        "started, ready, completed (it ended normally) or ended (in whatever way).",
    )

    @model_validator(mode="after")
    def _an_environment_is_cleared_to_pass_some_of_it(self) -> Self:
        if self.pass_env is not None and not self.clear_env:
            raise BadValueError("all of the environment is passed", "set clear_env = true, too", ("pass_env",))
        return self

    @model_validator(mode="after")
    def _a_job_ends(self) -> Self:
        if self.kind == "job" and self.restart.when == "always":
            raise BadValueError(
                "a job runs to completion, so it cannot restart always",
                'set when = "on-failure" (or "never") in its `restart`, or kind = "service"',
                ("restart", "when"),
            )
        return self


class SiteOptions(Table):
    """The site as a whole."""

    name: fields.Name | None = option(
        None, "The site's name; not given: the name of the first file, or of its directory if that is site.toml."
    )
    stop_timeout: Annotated[fields.Duration | None, or_off(fields.Duration)] = option(
        None, "Bounds the whole shutdown; then all is killed. Not given, or false: 9s as process 1, else no bound."
    )
    exit_code_from: fields.Text | None = option(
        None, "A group of one worker; when it has ended for good, the site shuts down with its exit code."
    )
    orphans: plan.Orphans = option(
        "end",
        "If procman itself is killed: a guard ends its workers by their stop rules, or they are kept. "
        "What is below process 1 ends with it in any case.",
    )
    termination_log: fields.PathOrOff | None = option(
        None,
        "A file, relative to this one, for one line of JSON that says why the site ended; false: none. "
        "Not given: /dev/termination-log where procman is process 1 and has one.",
    )
    control: fields.PathOrOff | None = option(
        None,
        "The control socket, relative to this file; false: none. Not given: under the site's name in "
        "$XDG_RUNTIME_DIR/procman (root: /run/procman). A change is for the next `procman up`.",
    )
    control_group: fields.Account | None = option(
        None, "A group of users whose members may use the control socket as well; not given: its user alone (and root)."
    )
    pid_file: fields.Path | None = option(
        None, "A file for procman's pid, relative to this one, while it runs; a second procman with the same refuses."
    )


class Log(Table):
    """Where the event log goes."""

    format: plan.LogFormat = option("auto", "auto: for people in a terminal, else JSON.")
    file: fields.Path | None = option(None, "A file, relative to this one; not given: the standard error stream.")


class Site(Table):
    """A procman site: groups of processes, how many workers each has, and how often they may restart."""

    schema_version: fields.SchemaVersion = Field(alias="schema", description="The version of this format: 1.")
    include: tuple[fields.Path, ...] = option(
        [], "Further files to read, as patterns (conf.d/*.toml), relative to this file. What this file says wins."
    )
    site: SiteOptions = option({}, "What concerns the site as a whole.")
    defaults: Defaults = option({}, "What every group has unless it says otherwise.")
    log: Log = option({}, "The event log: where it goes, and in what form.")
    group: dict[fields.Name, Group] = option({}, "The groups of workers, by name.")
