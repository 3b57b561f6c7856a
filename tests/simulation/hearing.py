"""What each event means for the books of a site. It trusts nobody but the kernel's facts."""

from __future__ import annotations

from typing import assert_never

from procman.plan import Recycle
from procman.policy.events import (
    Checked,
    Demanded,
    Due,
    Event,
    Execed,
    Exited,
    Extended,
    Forked,
    HelperEnded,
    HelperFailed,
    HelperReady,
    Left,
    Load,
    Loaded,
    LoadFailed,
    MainPid,
    Outgrown,
    OutputLost,
    Ready,
    ReopenLog,
    Said,
    ShutDown,
    StartFailed,
    State,
    Strays,
    TimePassed,
    Touched,
    TreeEnded,
    Unready,
)
from procman.policy.events.requests import Asked, Departed, Down, Reload, Request, Rollback, ShowPlan, ShowStatus
from tests.simulation.books import Run
from tests.simulation.pulse_book import Felt, feel, look
from tests.simulation.site import SiteBook
from tests.simulation.verdicts import exited, failed_to_start, over, run_of


def hear(site: SiteBook, event: Event, now: float) -> None:
    """Note what an event means."""
    site.now, site.event = now, event
    site.changed, site.told, site.replanned, site.dismissed = set(), [], False, []
    site.passed_launches, site.passed_guard = {}, None
    site.more_strays = False
    site.operator.begin()
    site.trial.verdict = ""
    if not site.ending.begun:
        site.trial.due(
            now,
            site.groups,
            {name: site.wanted(group) for name, group in site.groups.items()},
            site.zygotes.coming,
        )
    _note(site, event)
    site.go_back()


def _note(site: SiteBook, event: Event) -> None:
    """Note what it means for the groups."""
    match event:
        case StartFailed() | Exited() | TreeEnded():
            _ended(site, event)
        case Load():
            site.load_again = site.loading
            site.loading = True
        case Loaded() | LoadFailed():
            _loaded(site, event)
        case ShutDown(_, at_once):
            _wished(site, at_once)
        case Asked(client, request):
            _asked(site, client, request)
        case TimePassed():
            _time_passed(site)
        case Strays() | Left():
            _counted(site, event)
        case HelperEnded() | HelperReady() | HelperFailed():
            _told_of_helper(site, event)
        case Forked() | Execed() | Ready() | Unready() | Checked() | Said() | Extended() | MainPid() | Outgrown():
            _felt(site, event)
        case OutputLost() | ReopenLog() | Departed() | Due() | Demanded() | Touched():
            pass  # the last two are `runs.py`'s to check
        case _:
            assert_never(event)


def _ended(site: SiteBook, fact: StartFailed | Exited | TreeEnded) -> None:
    match fact:
        case StartFailed():
            failed_to_start(site, fact)
        case Exited():
            exited(site, fact)
        case TreeEnded(pid):
            over(site, site.by_pid.pop(pid))


def _felt(site: SiteBook, fact: Forked | MainPid | Felt | Outgrown) -> None:
    if isinstance(fact, MainPid):
        run = run_of(site, fact.worker)
        assert run.pid is not None, "who has a leader has a pid"
        run.pid, site.by_pid[fact.pid] = fact.pid, site.by_pid.pop(run.pid)
        if run.weighed != Recycle():
            run.weighed = Recycle(0.0)  # by its old pid, which is wrong
        return
    if isinstance(fact, Forked):
        run = site.by_pid[fact.pid] = run_of(site, fact.worker)
        run.pid, run.spawned_at = fact.pid, site.now
        return
    group = site.groups.get(fact.worker.group)
    slot = group.find(fact.worker) if group and fact.worker.task in group.slots else None
    if slot is None or slot.run is None or slot.run.worker != fact.worker:
        return
    if not isinstance(fact, Outgrown):
        feel(slot, slot.run, fact, site.now)
    elif slot.state is State.RUNNING:
        _outgrown(site, fact, slot.run)


def _outgrown(site: SiteBook, fact: Outgrown, run: Run) -> None:
    """Its turn to be replaced comes, unless a replacement has halted."""
    if fact.rss is None:
        run.aged_at, run.aged_again = site.now, True
    turns = site.turns[fact.worker.group]
    if not turns.is_due(run) and not (turns.halted and turns.old):
        turns.want([run])


def _counted(site: SiteBook, fact: Strays | Left) -> None:
    if isinstance(fact, Left):
        site.ending.drained = site.ending.drained or fact.processes == 0
    else:
        site.more_strays, site.strays = fact.processes > site.strays, fact.processes


def _time_passed(site: SiteBook) -> None:
    for group in site.groups.values():
        for slot in group.all_slots():
            look(slot, site.now)
    site.ending.look(site.now)


def _told_of_helper(site: SiteBook, fact: HelperEnded | HelperReady | HelperFailed) -> None:
    match fact:
        case HelperEnded():
            _fell(site, fact)
        case HelperReady():
            _imported(site, fact)
        case HelperFailed():
            site.zygotes.failed(fact)
            site.trial.refused(site.zygotes.refused & site.groups.keys())


def _fell(site: SiteBook, fact: HelperEnded) -> None:
    if site.ending.drained_from is not None:
        return
    if fact.name == "guard" and site.guard is not None:
        site.guard_falls.fell(site.now, fact.draw)
    elif fact.name == "pump":
        site.pump.falls.fell(site.now, fact.draw)
    site.zygotes.fell(fact, site.groups, site.now)


def _imported(site: SiteBook, fact: HelperReady) -> None:
    name = site.zygotes.ready(fact, site.groups)
    if name is not None:
        site.changed.add(name)
        site.failures.pop(name, None)
        site.replace_stale(site.groups[name])


def _loaded(site: SiteBook, answer: Loaded | LoadFailed) -> None:
    site.loading, site.load_again = site.load_again, False
    reset = site.operator.loaded(isinstance(answer, Loaded))
    if site.ending.begun:
        site.loading = False
        return
    if isinstance(answer, Loaded):
        site.trial.lost = False  # if it is, this plan comes in its place
        for group in site.groups.values() if reset else ():
            group.forget_hand()
        site.apply(answer.plan)
        site.trial.begin(answer, site.now)
    elif site.plan is None and not site.loading:
        site.ending.owed = 78


def _asked(site: SiteBook, client: int, request: Request) -> None:
    if isinstance(request, Reload):
        _reload(site, client, request.reset)
    elif isinstance(request, Down):
        if request.now or site.ending.down_at is None:
            _wished(site, request.now)
    elif isinstance(request, ShowPlan):
        site.operator.refused = site.plan is None
    elif not isinstance(request, ShowStatus):
        running = site.plan is not None and not site.ending.begun
        named = {group.name for group in site.plan.groups} if site.plan is not None and running else set()
        if isinstance(request, Rollback):
            site.go_back()
            plan = site.trial.by_hand() if running else None
            site.operator.refused = plan is None
            if plan is not None:
                site.apply(plan)
            return
        groups = {name: site.groups[name] for name in named}
        alone = None if site.plan is None else site.plan.exit_code_from
        for name in site.operator.hear(request, groups, alone, site.renews):
            site.failures.pop(name, None)
        for name, task in site.operator.restarted:
            slot = site.groups[name].slots.get(task)
            if slot is not None and slot.run is not None and slot.run.pid is not None:
                site.replace(name, [slot.run])


def _reload(site: SiteBook, client: int, reset: bool) -> None:
    site.operator.refused = site.ending.begun
    if not site.operator.refused:
        site.operator.reload(client, reset, again=site.loading)
        site.load_again = site.loading
        site.loading = True


def _wished(site: SiteBook, at_once: bool) -> None:
    site.ending.wished(at_once, site.now)
    site.trial.close()
    if site.ending.drained_from is None:
        if site.plan is None:
            site.ending.owed = 0
        site.end(0)
