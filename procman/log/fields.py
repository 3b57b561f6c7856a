"""The contract of the JSON log: every event, every field, its type and its meaning, in two tables.

`schemas/event.schema.json` is generated from here, and every line that the tests produce is held against it.
The core writes lines without looking here; it never imports this module.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, get_args

from procman.choices import Cause, Level, OnExhausted
from procman.policy.events import State

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_SECONDS = {"type": "number", "minimum": 0}
_NAMES = {"type": "array", "items": {"type": "string"}}
_STATE = {"enum": [state.value for state in State]}

FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "ts": (
        {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
        "When: RFC 3339, UTC, microseconds. Lines of one decision have the same time.",
    ),
    "level": ({"enum": list(get_args(Level))}, "How much it matters."),
    "event": ({}, "What happened."),
    "site": ({"type": ["string", "null"]}, "The site's name; null until a configuration has named it."),
    "reason": (_TEXT, "Why, for people. Its words may change; empty where the event says it all."),
    "truncated": ({"const": True}, "Present where a text or a list of this line was cut to keep it within 4096 bytes."),
    "group": (_TEXT, "The group's name."),
    "task": (_COUNT, "The task id: which of the group's workers, from 0; kept over restarts."),
    "generation": (_COUNT, "Which run of the task it is; 1 is the first."),
    "pid": (
        {"type": ["integer", "null"], "minimum": 1},
        "A process: the worker's, null while it has none, or procman's own.",
    ),
    "from": (_STATE, "The worker's state before."),
    "to": (_STATE, "The worker's state from now on."),
    "exit_code": (_COUNT, "What a worker exited with, if no signal ended it; what procman itself ends with."),
    "signal": (
        _TEXT,
        "The signal that ended, or was sent to, the worker: `SIGKILL`, or `signal 36` for one without a name.",
    ),
    "cause": (
        {"enum": list(get_args(Cause))},
        "What stands behind the signal, where it is known: `oom` (the kernel was out of memory), `core` (dumped).",
    ),
    "uptime_s": (_SECONDS, "How long the run lasted, in seconds."),
    "cpu_s": (_SECONDS, "Processor time of the run and its reaped children, in seconds."),
    "max_rss_bytes": (_COUNT, "The most memory that the run, or one of its reaped children, had resident."),
    "restarts": (_COUNT, "Automatic restarts of the group that count on its budget now."),
    "budget_left": (_COUNT, "How many more the budget allows."),
    "delay_s": (_SECONDS, "How long until the restart, in seconds; 0 is at once."),
    "max_restarts": (_COUNT, "The group's budget."),
    "window_s": ({"type": ["number", "null"]}, "The window of the budget, in seconds; null is the group's whole life."),
    "on_exhausted": ({"enum": list(get_args(OnExhausted))}, "What follows for the site."),
    "digest": (_TEXT, "The identity of the configuration."),
    "commit": (_TEXT, "The git commit that the configuration in force is checked out from."),
    "dirty": ({"type": "boolean"}, "Whether its files are not what that commit has."),
    "files": (_NAMES, "The files of the configuration."),
    "file": (
        _TEXT,
        "A file of procman's own, or a directory: of its log, of the plans that it keeps, of what it watches.",
    ),
    "groups": (_COUNT, "How many groups the configuration has."),
    "runs": (_COUNT, "How many runs of a job."),
    "workers": (_COUNT, "How many workers the configuration has, or the group is to have."),
    "file_workers": (_COUNT, "How many workers the configuration says, where an operator says otherwise."),
    "version": (_TEXT, "procman's version."),
    "orphans": (_COUNT, "How many processes were reaped that were no worker."),
    "started": (_NAMES, "Groups that are new."),
    "stopped": (_NAMES, "Groups that are gone."),
    "restarted": (_NAMES, "Groups whose workers are replaced."),
    "scaled": (_NAMES, "Groups with more or fewer workers than before."),
    "changed": (_NAMES, "Groups whose other settings changed, with nothing replaced."),
    "diagnostics": (_TEXT, "Every error with its place and its hint, for people, over several lines."),
    "dropped": (_TEXT, "The event that could not be handled."),
    "processes": (_COUNT, "How many processes are left that are no workers."),
    "helper": (_TEXT, "Which of procman's own child processes."),
    "lines": (_COUNT, "How many lines were lost, of the log or, in all, of workers in this outlet."),
    "bytes": (_COUNT, "How many bytes those lines had."),
    "outlet": (_TEXT, "Where workers' lines go: `stdout`, a file's path, or a socket's."),
    "tail": (_NAMES, "The last lines of the worker on stderr, where procman reads them."),
}

_ALWAYS = ("ts", "level", "event", "site", "reason")
_WORKER = ("group", "task", "generation", "pid", "from", "to")
_RUN = ("exit_code", "signal", "cause", "uptime_s", "cpu_s", "max_rss_bytes", "tail")
_IDENTITY = ("digest", "commit", "dirty")
"""Of the configuration in force, on all `site.*` and `config.*` events: the commit only where there is one."""
_RETRY = ("restarts", "budget_left", "delay_s")


class Event(NamedTuple):
    """What an event means, the fields that it always has, and those that it may have."""

    meaning: str
    fields: tuple[str, ...]
    optional: tuple[str, ...] = ()


EVENTS: dict[str, Event] = {
    **{f"worker.{state}": Event(f"A worker is {state} now.", _WORKER, (*_RUN, *_RETRY)) for state in State},
    "worker.ready": Event("A running worker is ready again.", ("group", "task", "generation", "pid")),
    "worker.unready": Event(
        "A running worker is not ready any more; it runs on.", ("group", "task", "generation", "pid")
    ),
    "worker.main_pid": Event(
        "A worker has named another process of its tree as its leader; a warning if that is not followed.",
        ("group", "task", "generation", "pid"),
    ),
    "site.loading": Event("procman has begun and reads the configuration.", ("files", "pid", "version")),
    "site.started": Event("The configuration is valid; its groups start.", ("digest", "files", "groups", "workers")),
    "site.stopping": Event("Every worker is asked to end.", ("digest", "exit_code")),
    "site.strays": Event("More processes than before have left their workers' trees without a trace.", ("processes",)),
    "site.draining": Event("No worker is left, but others are, and are ended.", ("processes",)),
    "site.stopped": Event("procman ends; the reason is the site's, or its first failure.", ("exit_code", "orphans")),
    "site.internal_error": Event("A defect of procman. It goes on, without the event.", ("dropped",)),
    "group.failed": Event(
        "A worker failed for good: the budget is spent, or it cannot start.",
        ("group", "restarts", "max_restarts", "window_s", "on_exhausted"),
    ),
    "group.blocked": Event("A group waits for what can no longer come.", ("group",)),
    "group.missed": Event("Runs of a scheduled job never came to be; said once for all of them.", ("group", "runs")),
    "group.skipped": Event("A run of a scheduled job is left out, since the last one goes on.", ("group",)),
    "group.halted": Event("Workers are not replaced any further: one has failed.", ("group",)),
    "group.scaled": Event("An operator wants another number of workers.", ("group", "workers", "file_workers")),
    "group.signalled": Event("An operator has sent a signal to workers of the group.", ("group", "signal")),
    "control.unavailable": Event("There can be no control socket where it should be; the site runs without.", ()),
    "cgroup.unavailable": Event("The site has no cgroup of its own; it runs without.", ()),
    "cgroup.abandoned": Event("An earlier procman and its guard were killed, and others live on.", ("processes",)),
    "sockets.failed": Event("A socket cannot be had as it is to be; starts that are to be given it fail.", ()),
    "config.applied": Event(
        "The configuration was read again and is in force.",
        ("digest", "started", "stopped", "restarted", "scaled", "changed"),
    ),
    "config.rejected": Event("The configuration has errors; what runs is not touched.", (), ("digest", "diagnostics")),
    "output.lost": Event(
        "Lines of workers could not be written, and were dropped; more may be.", ("outlet", "lines", "bytes")
    ),
    "output.resumed": Event(
        "What lines lost is marked in their place, others are written.", ("outlet", "lines", "bytes")
    ),
    "config.proved": Event("The configuration has stood its probation.", ("digest",)),
    "config.failed": Event("The configuration has not stood its probation.", ("digest",)),
    "config.rolled_back": Event(
        "A good configuration of before is in force again.",
        ("digest", "started", "stopped", "restarted", "scaled", "changed"),
    ),
    "plans.failed": Event(
        "A good plan cannot be kept: after procman's next start nobody can go back to it.", ("file",)
    ),
    "plans.ignored": Event("Something among the plans that were kept is none, and is left out.", (), ("file",)),
    "helper.ended": Event("A helper has ended that should not, and is started again.", ("helper", "delay_s")),
    "helper.ready": Event("A zygote has imported its program, and can fork workers.", ("helper",)),
    "helper.failed": Event("A zygote cannot import its program, or no fork of it is safe.", ("helper",)),
    "watch.blind": Event("A directory that matters to the watcher cannot be read.", ("file",)),
    "termination_log.failed": Event("The line that says why could not be written to its file.", ("file",)),
    "log.moved": Event("The log goes on in a file.", ("file",)),
    "log.failed": Event("The log's file cannot be opened; the log stays where it is.", ("file",)),
    "log.lost": Event("Lines were dropped here, since nobody took them in time.", ("lines",)),
}


for _name, _event in EVENTS.items():
    if _name.startswith(("site.", "config.")):
        _more = [name for name in _IDENTITY if name not in (*_event.fields, *_event.optional)]
        EVENTS[_name] = _event._replace(optional=(*_event.optional, *_more))


def schema() -> dict[str, Any]:
    """The JSON Schema of one line."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of procman's log",
        "type": "object",
        "properties": {
            name: {**({"enum": list(EVENTS)} if name == "event" else kind), "description": meaning}
            for name, (kind, meaning) in FIELDS.items()
        },
        "required": list(_ALWAYS),
        "oneOf": [_schema_of(name, event) for name, event in EVENTS.items()],
    }


def schema_text() -> str:
    """The schema as `schemas/event.schema.json` has it."""
    return json.dumps(schema(), indent=2) + "\n"


def _schema_of(name: str, event: Event) -> dict[str, Any]:
    allowed = [*_ALWAYS, *event.fields, *event.optional, "truncated"]
    properties: dict[str, Any] = {"event": {"const": name}}
    if "to" in event.fields:
        properties["to"] = {"const": name.removeprefix("worker.")}
    return {
        "description": event.meaning,
        "properties": properties,
        "required": list(event.fields),
        "propertyNames": {"enum": allowed},
    }
