"""`[site]` and `[log]`: what concerns the site as a whole."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from procman import choices
from procman.config.model.output import Buffer
from procman.config.scalars import fields, values
from procman.config.scalars.table import Table, option, or_off


def _failures(value: Any) -> int:
    count = values.parse_integer(value, 1)
    return int(count)


class Reload(Table):
    """How a changed configuration is taken over by a running site."""

    probation: Annotated[fields.Duration | None, or_off(fields.Duration)] = option(
        None, "A changed configuration has so long to prove itself; not given, or false: it is taken as good."
    )
    watch: fields.Bool = option(
        False, "Whether it is read again as soon as one of its files changes (includes, overlays and env files too)."
    )
    rollback: fields.Bool = option(
        True, "Whether the last good configuration comes back by itself if the new one does not prove itself."
    )
    probation_failures: Annotated[int, PlainValidator(_failures), WithJsonSchema({"type": "integer", "minimum": 1})] = (
        option(3, "So many failures of one worker of a changed group within the probation are too many.")
    )


class SiteOutput(Table):
    """`[site.output]`."""

    ring: Buffer = option("1MiB", "How much of each group's latest output is kept for `procman logs`.")


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
    reload: Reload = option({}, "How a changed configuration is taken over.")
    orphans: choices.Orphans = option(
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
        effect="up",
    )
    control_group: fields.Account | None = option(
        None,
        "A group of users whose members may use the control socket as well; not given: its user alone (and root).",
        effect="up",
    )
    pid_file: fields.Path | None = option(
        None,
        "A file for procman's pid, relative to this one, while it runs; a second procman with the same refuses.",
        effect="up",
    )
    output: SiteOutput = option({}, "What concerns the output of all workers.")


class Log(Table):
    """Where the event log goes."""

    format: choices.LogFormat = option("auto", "auto: for people in a terminal, else JSON.")
    file: fields.Path | None = option(None, "A file, relative to this one; not given: the standard error stream.")
