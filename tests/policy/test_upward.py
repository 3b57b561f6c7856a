"""What is told upwards: ready once all that can be is, reading while it reads, stopping once and for all."""

from __future__ import annotations

from procman.plan import Plan
from procman.policy.events import Load, Loaded, LoadFailed, Report
from tests.policy.drive import Drive, group


def reports(drive: Drive) -> list[tuple[str, str]]:
    return [(one.state, one.status) for one in drive.actions if isinstance(one, Report)]


def test_it_is_ready_once_all_groups_are_and_what_follows_is_only_its_status() -> None:
    drive = Drive(group("a"), group("b", kind="job"), group("c", after=(("b", "completed"),)))
    assert reports(drive)[0] == ("starting", "reading the configuration")
    assert reports(drive)[-1] == ("starting", "2 of 3 groups ready")
    drive.die("b:0", 0)
    assert reports(drive)[-1] == ("ready", "3 of 3 groups ready")
    del drive.actions[:]
    drive.die("a:0", 1)
    drive.die("a:0", 1)
    drive.sleep(1.0)
    assert {state for state, _ in reports(drive)} == {"ready"}
    assert reports(drive)[-1] == ("ready", "3 of 3 groups ready")


def test_what_can_never_be_ready_keeps_nobody_waiting() -> None:
    ignored = group("a")._replace(restart=group().restart._replace(max_restarts=0, on_exhausted="ignore"))
    drive = Drive(ignored, group("b", after=(("a", "completed"),)), group("c"))
    assert reports(drive)[-1] == ("starting", "2 of 3 groups ready")
    drive.die("a:0", 1)  # b is blocked by that
    assert reports(drive)[-1] == ("ready", "3 of 3 groups ready")


def test_it_is_reading_its_configuration_until_that_is_applied_or_rejected() -> None:
    drive = Drive(group("a"))
    for answer in (Loaded(Plan("site", (group("a"),)), "digest"), LoadFailed("no", "no")):
        del drive.actions[:]
        drive.tell(Load())
        assert reports(drive) == [("reloading", "1 of 1 groups ready")]
        drive.tell(answer)
        assert reports(drive)[1:] == [("ready", "1 of 1 groups ready")]


def test_a_site_that_stops_says_so_once() -> None:
    drive = Drive(group("a"), group("b"))
    drive.stop()
    drive.die("a:0", 0)
    assert reports(drive)[-1] == ("stopping", "stopping")
    drive.die("b:0", 0)
    assert [state for state, _ in reports(drive)].count("stopping") == 1
