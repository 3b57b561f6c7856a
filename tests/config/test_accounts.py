"""As whom workers are to run: names to numbers when the site is loaded."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from procman.plan import Launch
from tests.config.sites import LEAST, group_of, heads, load

NOBODY = pwd.getpwnam("nobody")
NUMBER_ALONE = 54321
"""A uid that has no entry in the user database."""


def launch(folder: Path, text: str) -> Launch:
    return group_of(folder, LEAST + text + "\n").launch


def identity(folder: Path, text: str) -> tuple[int | None, int | None, tuple[int, ...] | None]:
    privileges = launch(folder, text).privileges
    assert privileges is not None
    return privileges.uid, privileges.gid, privileges.groups


@pytest.mark.parametrize("written", ['"nobody"', str(NOBODY.pw_uid), f'"{NOBODY.pw_uid}"'])
def test_a_user_comes_with_the_groups_and_the_environment_of_the_database(tmp_path: Path, written: str) -> None:
    groups = tuple(sorted(set(os.getgrouplist("nobody", NOBODY.pw_gid))))
    assert identity(tmp_path, f"user = {written}") == (NOBODY.pw_uid, NOBODY.pw_gid, groups)
    expected = {"HOME": NOBODY.pw_dir, "USER": "nobody", "LOGNAME": "nobody", "SHELL": NOBODY.pw_shell}
    assert dict(launch(tmp_path, f"user = {written}").env) == expected


def test_what_the_site_says_of_the_environment_wins_over_the_database(tmp_path: Path) -> None:
    (tmp_path / "web.env").write_text("SHELL=/bin/false\n", encoding="utf-8")
    env = dict(launch(tmp_path, 'user = "nobody"\nenv_file = "web.env"\nenv.HOME = "/srv"').env)
    assert env == {"HOME": "/srv", "USER": "nobody", "LOGNAME": "nobody", "SHELL": "/bin/false"}


def test_a_user_without_an_entry_has_its_number_the_named_group_and_nothing_of_the_cores_user(tmp_path: Path) -> None:
    text = f"user = {NUMBER_ALONE}\ngroup = 5"
    assert identity(tmp_path, text) == (NUMBER_ALONE, 5, ())
    assert dict(launch(tmp_path, text).env) == {"HOME": "/", "USER": None, "LOGNAME": None, "SHELL": None}


def test_groups_that_are_named_are_all_that_there_are(tmp_path: Path) -> None:
    root = grp.getgrnam("root").gr_gid
    assert identity(tmp_path, 'user = "nobody"\nsupplementary_groups = []') == (NOBODY.pw_uid, NOBODY.pw_gid, ())
    assert identity(tmp_path, 'supplementary_groups = ["root", 7]') == (None, None, tuple(sorted({root, 7})))
    groups = tuple(sorted(set(os.getgrouplist("nobody", root))))
    assert identity(tmp_path, 'user = "nobody"\ngroup = "root"') == (NOBODY.pw_uid, root, groups)


def test_no_user_is_nothing_at_all(tmp_path: Path) -> None:
    assert launch(tmp_path, "").privileges is None


WRONG = [
    ('user = "${WHO}"', 'site.toml:4:8: there is no user "no-such-user" on this machine'),
    ('group = "no-such-group"', 'site.toml:4:9: there is no group "no-such-group" of users on this machine'),
    (
        'supplementary_groups = [5, "no-such-group"]',
        'site.toml:4:28: there is no group "no-such-group" of users on this machine',
    ),
    ("user = -1", "site.toml:4:8: -1 is neither a name nor an id"),
    (f"user = {2**32 - 1}", f"site.toml:4:8: {2**32 - 1} is neither a name nor an id"),
    ("user = true", "site.toml:4:8: true is neither a name nor an id"),
    (
        f"user = {NUMBER_ALONE}",
        f"site.toml:4:8: the user database has no uid {NUMBER_ALONE}, so the group is not known either",
    ),
]


@pytest.mark.parametrize(("text", "head"), WRONG)
def test_an_account_that_cannot_be_is_told_once_with_its_place(tmp_path: Path, text: str, head: str) -> None:
    assert heads(load(tmp_path, LEAST + text + "\n", environ={"WHO": "no-such-user"})) == [head]


def test_an_unknown_user_of_the_defaults_is_told_where_it_is_written(tmp_path: Path) -> None:
    text = LEAST + '[defaults]\nuser = "no-such-user"\n[group.b]\ncommand = "b"\n'
    assert heads(load(tmp_path, text)) == ['site.toml:5:8: there is no user "no-such-user" on this machine']
