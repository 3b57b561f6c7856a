"""The whole site at one instant, as a plain value: what `procman status` shows. Changes nothing."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING
from procman.policy.events import State
from procman.policy.events.requests import GroupStatus, SiteStatus, WorkerStatus
from procman.policy.worker.worker import LIVE, Worker

if TYPE_CHECKING:
    from procman.choices import Role
    from procman.policy.group.slot import Slot
    from procman.policy.group.supervisor import Supervisor
    from procman.policy.site.operator import Site


def snapshot(site: Site, now: float) -> SiteStatus:
    """How everything is. A group that the configuration no longer names is there until it is down."""
    plan = site.plan
    return SiteStatus(
        site=plan.name if plan else "",
        phase=site.phase.value,
        digest=site.digest,
        files=plan.sources if plan else (),
        groups=tuple(_group(group, now) for group in site.groups.values()),
        workers=tuple(
            _worker(worker, _role(slot, worker), worker.id.task in group.hand.held, now)
            for group in site.groups.values()
            for slot in group.slots
            for worker in slot.workers
        ),
        commit=plan.origin.commit if plan else "",
        dirty=plan is not None and plan.origin.dirty,
        strays=site.census.strays,
        lost_lines=site.losses.lines,
        lost_bytes=site.losses.bytes,
    )


def _group(group: Supervisor, now: float) -> GroupStatus:
    policy = group.plan.restart
    group.budget.forget(policy, now)
    note, awaited = "", ", ".join(group.waits_for)
    if group.blocked:
        note = f"blocked: {group.blocked}"
    elif group.gave_up and group.failure:
        note = f"has given up: {group.failure.text}"
    elif group.coming:
        note = "imports its new code"
    elif group.refused:
        note = f"runs on with the old code: {group.refused}"
    elif awaited:
        note = f"waits for {awaited}"
    elif group.plan.rests and not group.runs.on:
        note = "waits for a first connection" if group.plan.on_demand else "waits for its schedule"
    plan, used = group.plan, group.budget.used
    left = max(0, policy.max_restarts - used)
    return GroupStatus(plan.name, plan.workers, group.hand.file_workers, used, left, note, plan.rests)


def _role(slot: Slot, worker: Worker) -> Role:
    if slot.other is not worker:
        return ""
    return "successor" if worker.id.generation > slot.worker.id.generation else "predecessor"


def _worker(worker: Worker, role: Role, held: bool, now: float) -> WorkerStatus:
    last = worker.last
    return WorkerStatus(
        group=worker.id.group,
        task=worker.id.task,
        generation=worker.id.generation,
        state=worker.state.value,
        pid=worker.pid,
        uptime_s=now - worker.started_at if worker.state in LIVE else None,
        delay_s=max(0.0, worker.deadline - now) if worker.deadline is not None else None,
        held=held and worker.state is State.STOPPED,
        last_exit=last.how if last else None,
        last_exit_s=now - last.at if last else None,
        role=role,
        unready=worker.pulse.unready if worker.state is State.RUNNING else "",
        doing=worker.pulse.doing if worker.state in LIVE else "",
        says=worker.pulse.status if worker.state in LIVE else "",
    )
