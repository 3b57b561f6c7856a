"""What the watcher is told, what it says, and which groups run anew when their files change."""

from __future__ import annotations

from procman.plan import GroupPlan, Origin, Plan, ReloadPlan, Restart
from procman.policy.events import (
    EndHelper,
    HelperEnded,
    HelperReady,
    Load,
    Loaded,
    RunHelper,
    RunLoader,
    Touched,
    WatchList,
)
from procman.policy.events.requests import Asked, Operate, Rollback, Selector
from tests.policy.drive import Drive, changed, group


def orders(site: Drive) -> list[RunHelper | EndHelper]:
    return [a for a in site.actions if isinstance(a, (RunHelper, EndHelper)) and a.name == "watch"]


def test_the_watcher_is_told_what_matters_and_ended_when_nothing_does() -> None:
    site = Drive(group("a", watch=("/src/**/*.py",)), group("b"))
    site.reload(group("a"), reload=ReloadPlan(watch=True), sources=("/site.toml",))
    site.reload(
        group("a"), reload=ReloadPlan(watch=True), origin=Origin(includes=("/conf.d/*",)), sources=("/site.toml",)
    )
    site.reload(group("a"), origin=Origin(includes=("/conf.d/*",)))
    assert orders(site) == [
        RunHelper("watch", WatchList((), (("a", ("/src/**/*.py",)),))),
        RunHelper("watch", WatchList(("/site.toml",), ())),
        RunHelper("watch", WatchList(("/site.toml",), (), ("/conf.d/*",))),
        EndHelper("watch"),
    ]


def test_a_watcher_that_is_at_work_again_has_the_configuration_read_since_nobody_has_watched_it() -> None:
    site = Drive(group("a", watch=("/src/*.py",)))
    site.tell(HelperReady("watch"))
    assert site.actions.count(RunLoader()) == 1
    site.tell(HelperEnded("watch", "it was killed", 0.0))
    site.tell(HelperReady("watch"))
    assert site.actions.count(RunLoader()) == 2


OLD = group("a", watch=("/src/*.py",))
NEW = changed(OLD)


def read(site: Drive, group: GroupPlan) -> None:
    """The loader has come back with this."""
    site.tell(Loaded(Plan("site", (group,)), "old" if group == OLD else "new"))


def gone_back() -> Drive:
    """Runs what it ran before its files changed, since an operator wanted it; its watcher has died, and is back."""
    site = Drive(OLD)
    site.tell(HelperReady("watch"))
    site.tell(Load())
    read(site, NEW)
    site.die("a:0", signal=15)
    site.tell(Asked(1, Rollback(), wait=False))
    site.die("a:0", signal=15)
    site.tell(HelperEnded("watch", "it was killed", 0.0))
    site.tell(HelperReady("watch"))
    return site


def test_what_was_gone_back_from_is_not_tried_again_because_the_watcher_is_back() -> None:
    site = gone_back()
    read(site, NEW)
    assert (site.state("a:0"), len(site.starts)) == ("running", 3)
    site.tell(Load())  # as a change of the files, or an operator, would have it
    read(site, NEW)
    assert site.state("a:0") == "stopping"


def test_what_has_changed_while_there_was_no_watcher_is_applied() -> None:
    site = gone_back()
    read(site, OLD)
    site.tell(HelperEnded("watch", "it was killed", 0.0))
    site.tell(HelperReady("watch"))
    read(site, NEW)
    assert site.state("a:0") == "stopping"


def test_who_asks_for_a_reload_is_heard_although_the_watcher_only_looks() -> None:
    site = gone_back()
    site.tell(Load())
    read(site, NEW)
    assert site.state("a:0") == "running"
    read(site, NEW)
    assert site.state("a:0") == "stopping"


def test_a_group_that_is_touched_runs_anew_and_no_other_does() -> None:
    site = Drive(group("a"), group("b"))
    site.tell(Touched("a"))
    assert site.signals == [(0.0, "a:0", 15, "tree")]
    site.die("a:0", 0)
    assert [name for _, name in site.starts] == ["a:0", "b:0", "a:0"]


def test_what_was_stopped_by_hand_stays_down_when_it_is_touched() -> None:
    site = Drive(group("a", workers=2))
    site.tell(Asked(1, Operate("stop", (Selector("a", 1),)), wait=False))
    site.die("a:1", 0)
    site.tell(Touched("a"))
    site.die("a:0", 0)
    assert [name for _, name in site.starts] == ["a:0", "a:1", "a:0"]
    assert (site.state("a:0"), site.state("a:1")) == ("running", "stopped")


def test_a_group_that_has_failed_starts_again_when_it_is_touched() -> None:
    site = Drive(group("a", restart=Restart(when="never", on_exhausted="stop")), group("b"))
    site.die("a:0", 1)
    assert site.state("a:0") == "failed"
    site.tell(Touched("a"))
    assert site.state("a:0") == "running"


def test_a_group_that_is_gone_is_not_touched() -> None:
    site = Drive(group("a"))
    site.tell(Touched("b"))
    assert site.signals == []
