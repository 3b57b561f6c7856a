"""The good plans that are kept for a rollback after procman's next start, and what can go wrong with them."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procman.control.plans import Plans
from procman.policy.events import GoodPlan
from tests.control.test_real import Operated, operated
from tests.control.test_reload import CRASH, PROBATION, reload
from tests.output.disks import root_only, small_disk
from tests.site.running import up
from tests.site.sites import FOREVER, group, site_of

KEPT = 5


def version(number: int) -> str:
    return site_of(group("api", FOREVER, f'env = {{ N = "{number}" }}'))


def number_in_force(one: Operated) -> str:
    """What the running worker has been told."""
    (worker,) = json.loads(one.run("status", "--json").stdout)["workers"]
    words = Path(f"/proc/{worker['pid']}/environ").read_bytes().split(b"\0")
    return next(word for word in words if word.startswith(b"N=")).decode()


def files(folder: Path) -> list[str]:
    return sorted((path.name for path in (folder / "test.plans").iterdir()), key=lambda name: (len(name), name))


def run_through(tmp_path: Path, *numbers: int) -> Path:
    """A site that had all these versions, one after the other, and is down; its runtime directory."""
    with operated(tmp_path, version(numbers[0]), 1) as one:
        for number in numbers[1:]:
            assert reload(one, version(number)).returncode == 0
        return one.folder


def test_rollback_works_after_a_restart_of_procman_and_goes_further_back_each_time(tmp_path: Path) -> None:
    run_through(tmp_path, 1, 2, 3)
    with operated(tmp_path, version(3), 1) as one:
        for expected in ("N=2", "N=1"):
            done = one.run("rollback")
            assert (done.returncode, done.stderr.splitlines()[0]) == (0, "rollback: restarted: api")
            assert number_in_force(one) == expected
        again = one.run("rollback")
        assert (again.returncode, "there is no plan to go back to" in again.stderr) == (1, True)


def test_what_was_changed_while_procman_was_down_can_be_taken_back(tmp_path: Path) -> None:
    run_through(tmp_path, 1)
    with operated(tmp_path, version(2), 1) as one:
        assert one.run("rollback").returncode == 0
        assert number_in_force(one) == "N=1"


def test_the_last_five_are_kept_each_for_its_user_alone(tmp_path: Path) -> None:
    folder = run_through(tmp_path, *range(1, 9))
    assert files(folder) == [f"{number}.json" for number in range(4, 9)]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder / "test.plans").iterdir()]
    assert (modes, stat.S_IMODE((folder / "test.plans").stat().st_mode)) == ([0o600] * KEPT, 0o700)


def test_a_plan_that_has_not_proved_itself_is_not_kept(tmp_path: Path) -> None:
    rules = PROBATION.format("1h")
    with operated(tmp_path, site_of(group("api", FOREVER), site=rules), 1) as one:
        assert reload(one, site_of(group("api", "exit 3", CRASH), site=rules)).returncode == 1
        assert files(one.folder) == ["1.json"]


def test_no_secret_is_in_them(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2", encoding="utf-8")
    option = f'env = {{ TOKEN = {{ secret = {{ file = "{secret}" }} }} }}'
    with operated(tmp_path, site_of(group("api", FOREVER, option)), 1) as one:
        text = (one.folder / "test.plans" / "1.json").read_text(encoding="utf-8")
        assert (str(secret) in text, "hunter2" in text) == (True, False)


def test_garbage_among_them_is_told_and_left_out(tmp_path: Path) -> None:
    folder = run_through(tmp_path, 1, 2) / "test.plans"
    for name in ("2.json", "notes"):
        (folder / name).write_bytes(b"\x00\xff" * 99)
    with operated(tmp_path, version(2), 1) as one:
        said = one.site.until("plans.ignored")
        assert (said["reason"], said["file"]) == ("procman has not written 2.json, notes", str(folder))
        assert one.run("rollback").returncode == 0
        assert (number_in_force(one), files(one.folder)) == ("N=1", ["notes", "1.json"])


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{}\n{}", b'{"digest":"0","checksum":0}\n{"plan":{}}', b"[" * 99999, b"1\n\xff"],
    ids=["nothing", "no digest", "wrong sum", "deep", "no text"],
)
def test_no_garbage_is_read_and_none_is_in_the_way(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "3.json").write_bytes(garbage)
    (tmp_path / "7.json").mkdir()
    os.mkfifo(tmp_path / "8.json")
    (tmp_path / "9.json").symlink_to("3.json")
    plans, good = Plans(str(tmp_path)), (GoodPlan("b", "{}"), GoodPlan("a", "{}"))
    recalled, said = plans.recall()
    assert (recalled, said and said.reason) == ((), "procman has not written 3.json, 7.json, 8.json and 1 more")
    assert plans.keep(good) is None
    again, said = Plans(str(tmp_path)).recall()
    assert (again, said and said.reason) == (good, "procman has not written 7.json")


@settings(max_examples=200)
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), max_size=5))
def test_what_is_to_be_kept_is_what_is_recalled(histories: list[list[str]]) -> None:
    with TemporaryDirectory() as folder:
        plans = Plans(folder)
        for names in histories:
            good = tuple(GoodPlan(name, f'{{"plan":"{name}"}}') for name in names)
            assert plans.keep(good) is None
            assert Plans(folder).recall() == (good, None)


def test_a_file_that_somebody_has_changed_is_no_plan_any_more(tmp_path: Path) -> None:
    file = run_through(tmp_path, 1) / "test.plans" / "1.json"
    file.write_text(file.read_text(encoding="utf-8").replace("sleep 3600", "sleep 3601"), encoding="utf-8")
    with operated(tmp_path, version(2), 1) as one:
        assert one.site.until("plans.ignored")["reason"] == "procman has not written 1.json"
        assert one.run("rollback").returncode == 1


def test_where_they_cannot_be_kept_it_is_told_and_the_site_runs(tmp_path: Path) -> None:
    folder = tmp_path / "sites"
    folder.mkdir(mode=0o700)
    (folder / "test.plans").touch()
    with operated(tmp_path, version(1), 1) as one:
        said = one.site.until("plans.failed")
        assert said["reason"] == "cannot keep a good plan for after a restart: Not a directory"
        (folder / "test.plans").unlink()
        assert reload(one, version(2)).returncode == 0
        assert files(folder) == ["1.json", "2.json"]
        assert len(one.site.told("plans.failed")) == 1


@root_only
def test_a_plan_that_a_disk_has_no_room_for_leaves_nothing_there(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        plans = Plans(str(disk / "test.plans"))
        told = plans.keep([GoodPlan("one", "x" * 100_000)])
        assert (told is not None, files(disk)) == (True, [])
        assert (plans.keep([GoodPlan("two", "x" * 1000)]), files(disk)) == (None, ["1.json"])


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounts a disk of its own")
def test_a_full_disk_costs_one_line_and_not_the_site(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    mount = f'mount -t tmpfs -o size=4k,mode=700 none {folder} && exec "$@"'
    before, env = ("unshare", "-m", "sh", "-c", mount, "-"), {"PROCMAN_RUNTIME_DIR": str(folder)}
    with up(tmp_path, version(1), before=before, env=env) as site:
        site.until("worker.running", "api:0")
        said = site.until("plans.failed")
        assert said["reason"] == "cannot keep a good plan for after a restart: No space left on device"
        site.reload(version(2))
        site.until("worker.running", "api:0", count=2)
        assert site.stop() == 0
