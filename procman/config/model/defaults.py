"""`[defaults]`: what a group has unless it says otherwise."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import PlainValidator, WithJsonSchema

from procman import choices
from procman.config.model import environment, privileges
from procman.config.model.output import OutputOption
from procman.config.model.restart import Restart
from procman.config.model.stop import Stop
from procman.config.model.update import Recycle, Update
from procman.config.scalars import fields, values
from procman.config.scalars.limits import Limits
from procman.config.scalars.table import Table, option
from procman.config.scalars.values import BadValueError, show

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


Workers = Annotated[
    int | Literal["auto"],
    PlainValidator(_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "maximum": MOST_WORKERS}, {"const": "auto"}]}),
]


class Defaults(Table):
    """What a group has unless it says otherwise; tables are merged key by key."""

    kind: choices.Kind = option(
        "service", "A service is to run all the time; a job runs to completion (and is not restarted unless told)."
    )
    workers: Workers = option(
        1, 'How many equal workers run; "auto" (or 0, or a negative number): one for each CPU that may be used.'
    )
    enabled: fields.Bool = option(True, "False: the group is checked, but none of it runs.")
    env: dict[environment.EnvName, environment.EnvValue] = option(
        {},
        "Environment variables, on top of procman's own and of `env_file`. May hold ${PROCMAN_TASK_ID}.",
        effect="restart",
    )
    env_file: environment.EnvFiles = option(
        [],
        "Files of NAME=value lines: a path, { path = …, optional = true }, or a list of these; later ones win.",
        effect="restart",
    )
    cwd: fields.Path | None = option(
        None,
        "The working directory, relative to this file; not given: where procman was started.",
        effect="restart",
    )
    clear_env: fields.Bool = option(
        False,
        "True: of procman's own environment workers have only what `pass_env` names.",
        effect="restart",
    )
    pass_env: environment.PassedNames | None = option(
        None,
        'With `clear_env`: the variables that are handed on all the same; "LC_*" stands for all that begin so.',
        effect="restart",
    )
    umask: fields.Umask | None = option(
        None, 'The file mode creation mask, as an octal string: "0077".', effect="restart"
    )
    user: fields.Account | None = option(
        None,
        "As whom workers run: a name or a number. Sets HOME, USER, LOGNAME and SHELL too, unless `env` does.",
        effect="restart",
    )
    group: fields.Account | None = option(
        None, "Their primary group, a name or a number; not given: the user's.", effect="restart"
    )
    supplementary_groups: privileges.Accounts | None = option(
        None,
        "All their other groups; not given: with a user those that the group database has for them.",
        effect="restart",
    )
    capabilities: privileges.Capabilities | None = option(
        None,
        'All capabilities that they, and what they execute, can have, as ["NET_BIND_SERVICE"]; [] is none.',
        effect="restart",
    )
    no_new_privileges: fields.Bool = option(
        False,
        "True: whatever they execute gains no privileges, setuid programs included.",
        effect="restart",
    )
    limits: Limits = option({}, 'Resource limits, each "SOFT" or "SOFT:HARD", as setrlimit(2) has them.')
    nice: privileges.Nice | None = option(
        None, "Their scheduling priority, from -20 (first) to 19 (last).", effect="restart"
    )
    oom_score_adj: privileges.OomScore | None = option(
        None,
        "Whom the kernel ends when memory is short: from -1000 (never them) to 1000 (them first).",
        effect="restart",
    )
    cpu_affinity: privileges.Cpus | None = option(
        None, 'The CPUs that they may run on: "0-3,8", or a list of numbers.', effect="restart"
    )
    cgroup: fields.Bool = option(
        False,
        "True: each worker has a cgroup (v2) of its own, and nothing it starts can get away. A limit implies it.",
        effect="restart",
    )
    memory_max: privileges.Memory | None = option(
        None,
        'The most memory that a worker and all it starts may have, as "512MiB"; then the kernel ends one of them.',
        effect="restart",
    )
    cpu_max: privileges.CpuShare | None = option(
        None,
        "How many CPUs' time a worker and all it starts may use together: 0.5 is half a CPU.",
        effect="restart",
    )
    pids_max: privileges.Pids | None = option(
        None,
        "How many processes and threads a worker may be, with all it starts.",
        effect="restart",
    )
    adopt: fields.Bool = option(
        False,
        "True: what a worker leaves behind when it ends is left alone until the site ends, not ended with it.",
        effect="restart",
    )
    parent_death_signal: fields.StopSignal | None = option(
        None,
        "Sent by the kernel to a worker (not to its children) when procman ends, however it ends.",
        effect="restart",
    )
    spawn: choices.SpawnPath = option(
        "vfork",
        "How processes are made: vfork is fast; fork suits a command on a slow network file system.",
        effect="restart",
    )
    restart: Restart = option({}, "The restart policy.")
    stop: Stop = option({}, "How workers are stopped.")
    update: Update = option({}, "How workers are replaced.")
    recycle: Recycle = option({}, "When workers are replaced for their age or size.")
    output: OutputOption = option({}, "Where the output of workers goes: a name as in its `to`, or a table.")
