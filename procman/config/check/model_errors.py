"""pydantic's errors to problems in our own words, with the key or the value that was probably meant. Pure."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from procman.config import model
from procman.config.model import environment
from procman.config.model.output import Output, Sink
from procman.config.scalars.limits import Limits
from procman.config.scalars.table import Table
from procman.config.scalars.values import BadValueError, nearest, show
from procman.config.text.document import Document, Path, Problem, dotted

_SYNONYMS = {
    "cmd": "command", "exec": "command", "execstart": "command", "run": "command", "program": "command",
    "args": "command", "argv": "command", "instances": "workers", "replicas": "workers", "numprocs": "workers",
    "num_processes": "workers", "processes": "workers", "count": "workers", "scale": "workers",
    "environment": "env", "environ": "env", "environmentfile": "env_file", "dotenv": "env_file",
    "directory": "cwd", "dir": "cwd", "working_dir": "cwd", "working_directory": "cwd", "workingdirectory": "cwd",
    "depends_on": "after", "requires": "after", "needs": "after", "autorestart": "when", "policy": "when",
    "retries": "max_restarts", "startretries": "max_restarts", "limit": "max_restarts", "max_retries": "max_restarts",
    "interval": "window", "period": "window", "delay": "backoff", "stopsignal": "signal", "stop_signal": "signal",
    "killsignal": "signal", "stopwaitsecs": "grace", "timeout": "grace", "graceful_timeout": "grace",
    "stop_grace_period": "grace", "autostart": "enabled",
    "exitcodes": "success", "success_codes": "success", "type": "kind",
    "uid": "user", "run_as": "user", "runas": "user", "gid": "group", "supplementarygroups": "supplementary_groups",
    "extra_groups": "supplementary_groups", "rlimits": "limits", "ulimits": "limits", "limitnofile": "nofile",
    "nofiles": "nofile", "limitcore": "core", "limitnproc": "nproc", "limitmemlock": "memlock",
    "nonewprivileges": "no_new_privileges", "no_new_privs": "no_new_privileges", "ambientcapabilities": "capabilities",
    "capabilityboundingset": "capabilities", "caps": "capabilities", "cap_add": "capabilities",
    "cpuaffinity": "cpu_affinity", "cpuset": "cpu_affinity", "cpus": "cpu_affinity", "oomscoreadjust": "oom_score_adj",
    "priority": "nice", "passenvironment": "pass_env", "pdeathsig": "parent_death_signal",
}  # fmt: skip
"""What other process managers call our options."""

_EXAMPLES = {
    "command": 'for example: command = ["python3", "-m", "http.server"]',
    "schema": "put `schema = 1` at the top of the file",
    "path": 'for example: { path = "prod.env" }',
    "address": 'for example: { address = "tcp://127.0.0.1:8000" }',
}
_HOMES: tuple[tuple[type[Table], str], ...] = (
    (model.Group, "[group.{}]"),
    (model.Restart, "[group.{}.restart]"),
    (model.Stop, "[group.{}.stop]"),
    (model.Backoff, "[group.{}.restart.backoff]"),
    (Limits, "[group.{}.limits]"),
    (model.Listen, "[group.{}.listen]"),
    (model.SiteOptions, "[site]"),
    (model.Log, "[log]"),
    (model.Site, "the top of the file, before the first [table]"),
)


def problems_of(error: ValidationError, document: Document) -> list[Problem]:
    """One problem for each of the errors, with the path at which it was written."""
    problems = [_problem(details, document) for details in error.errors(include_url=False)]
    # A misspelt key is not missing as well.
    misspelt = {(problem.path[:-1], problem.hint) for problem in problems}
    return [problem for problem in problems if (problem.path, f"did you mean `{_missed(problem)}`?") not in misspelt]


def _missed(problem: Problem) -> str:
    """The key that a problem says is missing; empty for other problems."""
    _, has_no, key = problem.message.partition(" has no `")
    return key.removesuffix("`") if has_no else ""


def _problem(details: ErrorDetails, document: Document) -> Problem:
    path = _written(details["loc"], document)
    is_key = details["loc"][-1:] == ("[key]",)
    match details["type"]:
        case "value_error" if isinstance(bad := details.get("ctx", {}).get("error"), BadValueError):
            return Problem(bad.message, bad.hint, _written((*path, *bad.at), document), "key" if is_key else "value")
        case "extra_forbidden":
            return _unknown(path, details["input"])
        case "missing":
            return _missing(path)
        case "literal_error":
            return _choice(path, details["input"], re.findall(r"'([^']*)'", details["ctx"]["expected"]))
        case "model_type" | "dict_type" | "model_attributes_type":
            name = dotted(path)
            hint = f"write [{name}] above its keys, or {path[-1]} = {{ key = value }}"
            hint = "each group is headed [group.NAME]" if path == ("group",) else hint
            return Problem(f"`{name}` is a table, not {show(details['input'])}", hint, path)
        case _:
            return Problem(details["msg"], "", path)


def _written(loc: tuple[int | str, ...], document: Document) -> Path:
    """The path in the file: without what pydantic adds, and without the index that one item alone does not have."""
    path: Path = ()
    for step in loc:
        if step in ("[key]", "[text]", "[table]") or (
            isinstance(step, int) and not isinstance(document.at(path), list)
        ):
            continue
        path = (*path, step)
    return path


def _unknown(path: Path, value: Any) -> Problem:
    key, table = str(path[-1]), _table(path[:-1])
    where = f" in [{dotted(path[:-1])}]" if len(path) > 1 else ""
    what = f"unknown table [{dotted(path)}]" if isinstance(value, dict) else f"unknown key `{key}`{where}"
    return Problem(what, _unknown_hint(key, value, path, table), path, "key")


def _unknown_hint(key: str, value: Any, path: Path, table: type[Table]) -> str:
    known = _keys(table)
    if len(path) == 1 and isinstance(value, dict) and "command" in value:
        return f"a group is headed [group.{key}]"
    meant = _SYNONYMS.get(key.lower().replace("-", "_"), key)
    if meant in known:
        return f"did you mean `{meant}`?"
    if meant in model.tables_below(model.Site):
        return f"`{meant}` is a table of its own: [{meant}]"
    if table is Output and meant in _keys(Sink):
        return f"it belongs in `to`: to = {{ {meant} = … }}"
    group = str(path[1]) if path[0] == "group" and len(path) > 2 else "NAME"
    home = next((home.format(group) for other, home in _HOMES if meant in _keys(other)), None)
    if home and path[0] == "defaults":
        home = home.replace("[group.NAME.", "[defaults.")
    if home:
        return f"`{meant}` belongs in {home}"
    near = nearest(key, known)
    return f"did you mean `{near}`?" if near else f"known here: {', '.join(known)}; a key of your own begins with x-"


def _missing(path: Path) -> Problem:
    key = str(path[-1])
    where = f"[{dotted(path[:-1])}] has no" if len(path) > 1 else "the file has no"
    return Problem(f"{where} `{key}`", _EXAMPLES.get(key, ""), path[:-1], "key")


def _choice(path: Path, value: Any, choices: list[str]) -> Problem:
    near = nearest(value, choices) if isinstance(value, str) and len(value) < 100 else None
    listed = ", ".join(f'"{choice}"' for choice in choices)
    hint = (f'did you mean "{near}"? ' if near else "") + f"it is one of {listed}"
    return Problem(f"`{path[-1]}` cannot be {show(value)}", hint, path)


def _table(path: Path) -> type[Table]:
    """The model of the table at a path."""
    steps = [step for step in path if isinstance(step, str)]
    table: type[Table] = model.Site
    if steps[:1] == ["group"] and len(steps) > 1:
        table, steps = model.Group, steps[2:]
    if table is model.Group and steps[:1] == ["env"]:
        return environment.SecretFile if steps[2:] == ["secret"] else environment.Secret
    for step in steps:
        table = model.tables_below(table).get(step, table)
    return table


def _keys(table: type[Table]) -> list[str]:
    return [field.alias or name for name, field in table.model_fields.items()]
