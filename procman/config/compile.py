"""Site → Plan: everything resolved, nothing looked up that was not handed in, except that "auto" counts CPUs.

What can be wrong has been said before: this cannot fail.
"""

# ruff: noqa: PTH118, PTH119, PTH120
# paths may be templates, and pathlib would rewrite them.

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, NamedTuple

from procman import plan
from procman.config import model
from procman.config.accounts import Identity
from procman.config.document import Document, Path
from procman.config.envfiles import Pairs, env_path
from procman.config.expand import literal
from procman.config.values import parse_signal


class Surroundings(NamedTuple):
    """What a plan depends on besides its site."""

    document: Document
    """Where each value was written: relative paths are relative to that file."""
    cwd: str
    """The directory in which `up` was started."""
    env_files: dict[str, Pairs]
    identities: dict[str, Identity]
    """By group."""
    cpus: Callable[[], int]
    """Called only if a group has "auto" workers."""


def compile_site(site: model.Site, around: Surroundings) -> plan.Plan:
    """The plan of a valid site."""
    files = [source.path for source in around.document.sources if source.path is not None]
    log_file = site.log.file
    return plan.Plan(
        name=site.site.name or default_name(files[0]),
        groups=tuple(_group(name, group, around) for name, group in site.group.items()),
        stop_timeout=site.site.stop_timeout,
        exit_code_from=site.site.exit_code_from,
        log=plan.LogPlan(site.log.format, log_file and _absolute(_base(("log", "file"), around), log_file)),
        orphans=site.site.orphans,
        termination_log=_path_or_off("termination_log", site.site.termination_log, around),
        control=_path_or_off("control", site.site.control, around),
        control_group=site.site.control_group,
        pid_file=_path_or_off("pid_file", site.site.pid_file, around),
        sources=tuple(dict.fromkeys([*files, *around.env_files])),
    )


def _path_or_off(key: str, path: str | Literal[False] | None, around: Surroundings) -> str | None:
    """A path of `[site]`; "" where it is to be none."""
    return _absolute(_base(("site", key), around), path) if path else "" if path is False else None


def default_name(path: str) -> str:
    """A site's name from its file's: the stem, or the directory's name if the stem says nothing."""
    stem = os.path.basename(path).removesuffix(".toml")
    folder = os.path.basename(os.path.dirname(path))
    name = folder if stem in ("site", "procman") and folder else stem
    letters = "".join(char if char.isascii() and (char.isalnum() or char in "_.-") else "-" for char in name)
    return letters.lstrip("_.-")[:64] or "site"


def _group(name: str, group: model.Group, around: Surroundings) -> plan.GroupPlan:
    auto = group.workers == "auto"
    workers = around.cpus() if group.workers == "auto" else group.workers
    return plan.GroupPlan(
        name=name,
        launch=_launch(name, group, around),
        kind=group.kind,
        workers=workers if group.enabled else 0,
        auto=auto and group.enabled,
        restart=_restart(group),
        stop=plan.Stop(group.stop.signal, group.stop.grace, group.stop.scope),
        after=tuple(group.after.items()),
    )


def _launch(name: str, group: model.Group, around: Surroundings) -> plan.Launch:
    base = around.cwd if group.cwd is None else _base(("group", name, "cwd"), around)
    identity = around.identities[name]
    env = {key: value if value is None else literal(value) for key, value in identity.env}
    for index, file in enumerate(group.env_file):
        source = around.document.origin(_env_file_path(name, index, around.document))[0]
        env.update((key, literal(value)) for key, value in around.env_files.get(env_path(source, file.path), ()))
    env.update(group.env)
    return plan.Launch(
        command=group.command,
        cwd=_absolute(literal(base), group.cwd or "."),
        env=tuple(env.items()),
        umask=group.umask,
        spawn=group.spawn,
        pass_env=(group.pass_env or ()) if group.clear_env else None,
        privileges=_privileges(group, identity),
    )


def _privileges(group: model.Group, identity: Identity) -> plan.Privileges | None:
    """None where nothing is asked for: such workers take the fast path."""
    limits = ((name.rstrip("_"), limit) for name, limit in group.limits)
    privileges = plan.Privileges(
        uid=identity.uid,
        gid=identity.gid,
        groups=identity.groups,
        nice=group.nice,
        oom_score_adj=group.oom_score_adj,
        cpu_affinity=group.cpu_affinity,
        limits=tuple(plan.Limit(name, *limit) for name, limit in limits if limit is not None),
        no_new_privileges=group.no_new_privileges,
        capabilities=None if group.capabilities is None else tuple(sorted(set(group.capabilities))),
        parent_death_signal=group.parent_death_signal,
    )
    return None if privileges == plan.Privileges() else privileges


def _env_file_path(name: str, index: int, document: Document) -> Path:
    path: Path = ("group", name, "env_file")
    return (*path, index) if isinstance(document.at(path), list) else path


def _restart(group: model.Group) -> plan.Restart:
    restart, backoff = group.restart, group.restart.backoff
    # A job that failed is not run again unless somebody said that it may be.
    is_untold_job = group.kind == "job" and "max_restarts" not in restart.model_fields_set
    return plan.Restart(
        when=restart.when,
        success_codes=tuple(one for one in restart.success if isinstance(one, int)),
        success_signals=tuple(parse_signal(one) for one in restart.success if isinstance(one, str)),
        max_restarts=0 if is_untold_job else restart.max_restarts,
        window=restart.window,
        backoff=None if backoff is None else plan.Backoff(**dict(backoff)),
        reset_after=restart.reset_after,
        strategy=restart.strategy,
        on_exhausted=restart.on_exhausted,
    )


def _base(path: Path, around: Surroundings) -> str:
    return around.document.origin(path)[0].base


def _absolute(base: str, path: str) -> str:
    """A path below a base. `..` stays: behind a symbolic link it is not what it seems."""
    joined = os.path.join(base, path)
    return joined if ".." in path.split("/") else os.path.normpath(joined)
