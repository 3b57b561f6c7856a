"""A site that follows its files: edits, renames, checkouts, links that are exchanged; and groups that follow theirs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from procman.watched import is_noise, pattern, root_of, steps_of
from tests.site.running import WITHOUT_RIGHTS, Site, up
from tests.site.sites import FOREVER, group, site_of

DB = group("db", FOREVER)


def api(number: int) -> str:
    return group("api", FOREVER, f'env = {{ N = "{number}" }}')


@contextmanager
def watched(folder: Path, text: str | None, *, workers: int = 2) -> Iterator[Site]:
    """A site that is watched, once it is: the watcher has looked at what changed before it watched."""
    with up(folder, text, "--watch", "--set", "site.control=false") as site:
        site.until("worker.running", count=workers)
        site.until("helper.ready")
        yield site


def replace(file: Path, text: str) -> None:
    """As editors and configuration management do it."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(text, encoding="utf-8")
    new.rename(file)


def test_a_file_that_is_written_or_replaced_is_applied_and_the_others_do_not_move(tmp_path: Path) -> None:
    with watched(tmp_path, site_of(api(1), DB)) as site:
        before = site.pids()
        site.file.write_text(site_of(api(2), DB), encoding="utf-8")
        site.until("worker.running", "api:0", count=2)
        replace(site.file, site_of(api(3), DB))
        site.until("worker.running", "api:0", count=3)
        assert site.pids()["db:0"] == before["db:0"]
        assert len(site.told("config.applied")) == 2


def test_a_broken_file_is_reported_and_its_repair_applied(tmp_path: Path) -> None:
    with watched(tmp_path, site_of(api(1), DB)) as site:
        replace(site.file, "schema = ")
        site.until("config.rejected")
        replace(site.file, site_of(api(2), DB))
        site.until("worker.running", "api:0", count=2)


def test_included_files_are_watched_too(tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text(api(1), encoding="utf-8")
    with watched(tmp_path, 'include = ["more.toml"]\n' + site_of(DB)) as site:
        replace(tmp_path / "more.toml", api(2))
        site.until("worker.running", "api:0", count=2)


def test_a_git_checkout_is_one_reload(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        name = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *name, *words], check=True, capture_output=True)

    files = [tmp_path / f"{number}.toml" for number in range(20)]

    def write(version: int) -> str:
        for number, file in enumerate(files):
            file.write_text(group(f"g{number}", FOREVER, f'env = {{ N = "{version}" }}'), encoding="utf-8")
        return 'include = ["[0-9]*.toml"]\n' + site_of(DB)

    (tmp_path / "site.toml").write_text(write(1), encoding="utf-8")
    git("init", "-q", "-b", "one")
    git("add", "site.toml", *(file.name for file in files))
    git("commit", "-q", "-m", "one")
    git("checkout", "-q", "-b", "two")
    write(2)
    git("commit", "-q", "-a", "-m", "two")
    git("checkout", "-q", "one")
    with watched(tmp_path, None, workers=21) as site:
        git("checkout", "-q", "two")
        site.until("worker.running", count=41)
        assert len(site.told("config.applied")) == 1


def test_the_link_of_a_config_map_is_followed(tmp_path: Path) -> None:
    mount = tmp_path / "mount"

    def project(version: int) -> None:
        data = mount / f"..{version}"
        data.mkdir(parents=True)
        (data / "site.toml").write_text(site_of(api(version), DB), encoding="utf-8")
        (mount / "..new").symlink_to(data.name)
        (mount / "..new").rename(mount / "..data")

    project(1)
    (mount / "site.toml").symlink_to("..data/site.toml")
    with watched(mount, None) as site:
        project(2)
        shutil.rmtree(mount / "..1")
        site.until("worker.running", "api:0", count=2)
        project(3)
        site.until("worker.running", "api:0", count=3)


def test_a_watcher_that_is_killed_is_replaced_and_misses_nothing(tmp_path: Path) -> None:
    with watched(tmp_path, site_of(api(1), DB)) as site:
        (helper,) = [pid for pid in site.descendants() if b"procman.watch" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(helper, signal.SIGKILL)
        replace(site.file, site_of(api(2), DB))
        site.until("helper.ended")
        site.until("helper.ready", count=2)
        site.until("worker.running", "api:0", count=2)
        replace(site.file, site_of(api(3), DB))
        site.until("worker.running", "api:0", count=3)
        assert len(site.told("worker.running", "db:0")) == 1


def test_a_group_restarts_when_its_own_files_change_and_no_other_does(tmp_path: Path) -> None:
    source = tmp_path / "src" / "deep"
    source.mkdir(parents=True)
    text = site_of(group("api", FOREVER, 'watch = ["src/**/*.py"]'), DB)
    with watched(tmp_path, text) as site:
        (source / "notes.txt").write_text("nothing", encoding="ascii")
        (source / "app.py").write_text("x = 1\n", encoding="ascii")
        event = site.until("worker.stopping", "api:0")
        assert event["reason"] == "its files changed"
        site.until("worker.running", "api:0", count=2)
        assert len(site.told("worker.running", "db:0")) == 1


def test_patterns_mean_what_a_shell_would_mean() -> None:
    assert pattern("/a/**/*.py").fullmatch("/a/b/c/d.py")
    assert pattern("/a/**/*.py").fullmatch("/a/d.py")
    assert not pattern("/a/*.py").fullmatch("/a/b/d.py")
    assert pattern("/a/**").fullmatch("/a/b/c")
    assert [root_of(glob) for glob in ("/a/**/*.py", "/a/b.py", "/a/*.py", "/a/*/c")] == [
        ("/a", True),
        ("/a", False),
        ("/a", False),
        ("/a", True),
    ]


def test_what_tools_keep_for_themselves_is_noise() -> None:
    noise = ["/a/.git/index", "/a/x/__pycache__/y.pyc", "/a/.b.py.swp", "/a/b.py~", "/a/4913", "/a/.#b.py"]
    assert [is_noise(path, "/a") for path in noise] == [True] * len(noise)
    assert not is_noise("/a/b.py", "/a")
    assert not is_noise("/x/.git/a/b.py", "/x/.git/a")


def test_the_steps_to_a_file_are_its_directories_its_links_and_where_they_lead(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "f").touch()
    (tmp_path / "link").symlink_to("./x/../real")
    steps = [step for step in steps_of(str(tmp_path / "link" / "f")) if step.startswith(f"{tmp_path}/")]
    assert steps == [str(tmp_path / name) for name in ("link", "x", "real", "real/f")]


INCLUDING = 'include = ["conf.d/*.toml"]\n'


def test_a_new_file_that_an_include_means_is_applied_and_so_is_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    with watched(tmp_path, INCLUDING + site_of(DB), workers=1) as site:
        (folder / "notes.txt").write_text("nothing", encoding="ascii")
        replace(folder / "api.toml", api(1))
        site.until("worker.running", "api:0")
        (folder / "api.toml").unlink()
        site.until("worker.stopped", "api:0")
        assert [event["reason"] for event in site.told("config.applied")] == ["", ""]


def test_a_directory_of_includes_may_come_go_and_come_again(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    with watched(tmp_path, INCLUDING + site_of(DB), workers=1) as site:
        for number in (1, 2, 3):
            folder.mkdir()
            replace(folder / "api.toml", api(number))
            site.until("worker.running", "api:0", count=number)
            shutil.rmtree(folder)
            site.until("config.applied", count=2 * number)


def test_a_new_file_with_a_mistake_is_reported_and_its_repair_applied(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    with watched(tmp_path, INCLUDING + site_of(DB), workers=1) as site:
        (tmp_path / "conf.d" / "api.toml").write_text("[group", encoding="utf-8")
        site.until("config.rejected")
        replace(tmp_path / "conf.d" / "api.toml", api(1))
        site.until("worker.running", "api:0")


def test_the_directory_of_the_configuration_may_be_exchanged(tmp_path: Path) -> None:
    def made(name: str, number: int) -> Path:
        folder = tmp_path / name / "deep"
        folder.mkdir(parents=True)
        (folder / "site.toml").write_text(site_of(api(number), DB), encoding="utf-8")
        return folder

    with watched(made("etc", 1), None) as site:
        for number in (2, 3):
            made("etc.new", number)
            (tmp_path / "etc").rename(tmp_path / f"etc.{number}")
            (tmp_path / "etc.new").rename(tmp_path / "etc")
            site.until("worker.running", "api:0", count=number)


@pytest.mark.parametrize("inner", [".", "deep"])
def test_a_groups_directory_may_be_exchanged_or_made_again_and_is_watched_still(tmp_path: Path, inner: str) -> None:
    def make(name: str, number: int) -> None:
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "app.py").write_text(f"x = {number}\n", encoding="ascii")

    make("src", 1)
    with watched(tmp_path, site_of(group("api", FOREVER, f'watch = ["src/{inner}/**/*.py"]'), DB)) as site:
        make("src.new", 2)
        (tmp_path / "src").rename(tmp_path / "src.old")
        (tmp_path / "src.new").rename(tmp_path / "src")
        site.until("worker.running", "api:0", count=2)
        (tmp_path / "src" / "deep" / "app.py").write_text("x = 33\n", encoding="ascii")
        site.until("worker.running", "api:0", count=3)
        (tmp_path / "src.old" / "deep" / "app.py").write_text("x = 4\n", encoding="ascii")
        shutil.rmtree(tmp_path / "src")
        site.until("worker.running", "api:0", count=4)
        make("src", 5)
        site.until("worker.running", "api:0", count=5)
        assert len(site.told("worker.running", "db:0")) == 1


def test_of_very_many_directories_none_is_missed_and_a_look_at_them_is_no_change(tmp_path: Path) -> None:
    """A look at more than half of what inotify keeps in its queue was answered with a look at all of them, for ever."""
    for number in range(9000):
        (tmp_path / "src" / str(number % 90) / str(number)).mkdir(parents=True)
    with watched(tmp_path, site_of(group("api", FOREVER, 'watch = ["src/**/*.py"]'), DB)) as site:
        for count, folder in enumerate(("7/7", "89/8999", "0/90"), 2):
            (tmp_path / "src" / folder / "app.py").write_text("x = 1\n", encoding="ascii")
            site.until("worker.running", "api:0", count=count)
        assert (site.foreign, site.told("helper.ended")) == ([], [])


def test_the_link_to_a_groups_directory_may_be_exchanged(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"release.{number}").mkdir()
        (tmp_path / f"release.{number}" / "app.py").write_text(f"x = {number}\n", encoding="ascii")
    (tmp_path / "current").symlink_to("release.1")
    with watched(tmp_path, site_of(group("api", FOREVER, 'watch = ["current/*.py"]'), DB)) as site:
        (tmp_path / "next").symlink_to("release.2")
        (tmp_path / "next").rename(tmp_path / "current")
        site.until("worker.running", "api:0", count=2)
        (tmp_path / "release.2" / "app.py").write_text("x = 33\n", encoding="ascii")
        site.until("worker.running", "api:0", count=3)


def test_a_directory_that_cannot_be_read_is_told_once_and_watched_when_it_can_be(tmp_path: Path) -> None:
    folders = [tmp_path / "conf.d", tmp_path / "src", tmp_path / "src" / "deep"]
    for folder in folders:
        folder.mkdir()
    text = INCLUDING + site_of(group("api", FOREVER, 'watch = ["src/**/*.py"]'), DB)
    before = WITHOUT_RIGHTS if os.getuid() == 0 else ()
    closed = [folders[0], folders[2]]
    for folder in closed:
        folder.chmod(0o300)
    try:
        with up(tmp_path, text, "--watch", "--set", "site.control=false", before=before) as site:
            site.until("watch.blind", count=2)
            assert sorted(event["file"] for event in site.told("watch.blind")) == sorted(map(str, closed))
            site.until("helper.ready")
            (folders[1] / "app.py").write_text("x = 1\n", encoding="ascii")  # beside it everything is seen
            site.until("worker.running", "api:0", count=2)
            folders[2].chmod(0o700)
            (folders[2] / "app.py").write_text("x = 1\n", encoding="ascii")
            site.until("worker.running", "api:0", count=3)
            (folders[2] / "app.py").write_text("x = 22\n", encoding="ascii")
            site.until("worker.running", "api:0", count=4)
            folders[0].chmod(0o700)
            replace(folders[0] / "more.toml", group("more", FOREVER))
            site.until("worker.running", "more:0")
            (folders[0] / "more.toml").unlink()
            site.until("worker.stopped", "more:0")
            assert len(site.told("watch.blind")) == 2
    finally:
        for folder in closed:
            folder.chmod(0o700)
