"""Site → Plan: everything resolved, nothing looked up that was not handed in, except that "auto" counts CPUs.

What can be wrong has been said before: this cannot fail.
"""

from __future__ import annotations

from procman import choices, plan
from procman.config import model
from procman.config.compile.checks import health_of, ready_of
from procman.config.compile.launch import launch_of
from procman.config.compile.paths import absolute, base_of, default_name, path_or_off
from procman.config.compile.restart import recycle_of, restart_of, update_of
from procman.config.compile.surroundings import Surroundings

__all__ = ["Surroundings", "compile_site", "default_name"]


def compile_site(site: model.Site, around: Surroundings) -> plan.Plan:
    """The plan of a valid site."""
    files = [source.path for source in around.document.sources if source.path is not None]
    log_file = site.log.file
    return plan.Plan(
        name=site.site.name or default_name(files[0]),
        groups=tuple(_group(name, group, around) for name, group in site.group.items()),
        stop_timeout=site.site.stop_timeout,
        exit_code_from=site.site.exit_code_from,
        log=plan.LogPlan(site.log.format, log_file and absolute(base_of(("log", "file"), around), log_file)),
        reload=plan.ReloadPlan(
            site.site.reload.probation or None,
            site.site.reload.rollback,
            site.site.reload.probation_failures,
            site.site.reload.watch,
        ),
        orphans=site.site.orphans,
        termination_log=path_or_off("termination_log", site.site.termination_log, around),
        control=path_or_off("control", site.site.control, around),
        control_group=site.site.control_group,
        output_ring=site.site.output.ring,
        pid_file=path_or_off("pid_file", site.site.pid_file, around),
        sources=tuple(dict.fromkeys([*files, *around.env_files])),
        origin=around.origin,
    )


def _group(name: str, group: model.Group, around: Surroundings) -> plan.GroupPlan:
    auto = group.workers == "auto"
    workers = around.cpus() if group.workers == "auto" else group.workers
    needs: dict[str, choices.Condition] = dict.fromkeys(group.requires, "ready")
    return plan.GroupPlan(
        name=name,
        launch=launch_of(name, group, around),
        kind=group.kind,
        workers=workers if group.enabled else 0,
        auto=auto and group.enabled,
        restart=restart_of(group),
        stop=plan.Stop(group.stop.signal, group.stop.grace, group.stop.scope, group.stop.drain),
        after=tuple((needs | group.after).items()),
        requires=group.requires,
        watch=tuple([absolute(_base_of_pattern(name, index, around), glob) for index, glob in enumerate(group.watch)]),
        schedule=_schedule(group),
        deadline=group.deadline,
        update=update_of(group),
        recycle=recycle_of(group),
        ready=ready_of(group),
        health=health_of(group),
    )


def _schedule(group: model.Group) -> plan.Schedule | None:
    if group.schedule is None and group.every is None:
        return None
    return plan.Schedule(group.schedule, group.timezone, group.every, group.overlap)


def _base_of_pattern(name: str, index: int, around: Surroundings) -> str:
    return base_of(("group", name, "watch", index), around)
