"""As whom each group's workers run: names to numbers, by the machine's user and group database, once, when loading.

Tolerant of wrong types in the document: those are the model's to report.
"""

from __future__ import annotations

import grp
import os
import pwd
from typing import NamedTuple

from procman.config.scalars.rights import parse_account, parse_owner
from procman.config.scalars.values import BadValueError, nearest, show
from procman.config.text.document import Document, Path, Problem


class Identity(NamedTuple):
    """What a group's `user`, `group` and `supplementary_groups` come to; None: as the core."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    env: tuple[tuple[str, str | None], ...] = ()
    """What the user's environment has, unless the site says otherwise; None: what is to be removed."""
    owners: tuple[tuple[int | None, int | None], ...] = ()
    """To whom the files of its `listen` sockets are to belong, one for each."""


class Identities(NamedTuple):
    """The identities by group, and what is wrong with them."""

    of: dict[str, Identity]
    problems: list[Problem]


class _UnknownError(Exception):
    pass


def read_identities(document: Document) -> Identities:
    """Look up all users and groups that the document names."""
    found = Identities({}, [])
    groups = document.at(("group",))
    for name in groups if isinstance(groups, dict) else ():
        reader = _Reader(document, ("group", name), found.problems)
        try:
            found.of[name] = reader.identity()._replace(owners=reader.owners())
        except _UnknownError:
            continue  # a problem of it has been told
    return found


class _Reader:
    """Reads one group's identity."""

    def __init__(self, document: Document, path: Path, problems: list[Problem]) -> None:
        self._document, self._path, self._problems = document, path, problems

    def identity(self) -> Identity:
        gid = self._gid((*self._path, "group"))
        listed = self._document.at((*self._path, "supplementary_groups"))
        groups: tuple[int, ...] | None = None
        if isinstance(listed, list):
            paths = [(*self._path, "supplementary_groups", index) for index in range(len(listed))]
            groups = tuple(sorted({one for path in paths if (one := self._gid(path)) is not None}))
        path = (*self._path, "user")
        user = self._account(path)
        if user is None:
            return Identity(None, gid, groups)
        try:
            entry = pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
        except KeyError:
            return Identity(*self._number_alone(user, path, gid), groups or (), _environment_of_nobody())
        gid = entry.pw_gid if gid is None else gid
        if groups is None:
            groups = tuple(sorted(set(os.getgrouplist(entry.pw_name, gid))))
        return Identity(entry.pw_uid, gid, groups, _environment(entry))

    def owners(self) -> tuple[tuple[int | None, int | None], ...]:
        """The owner of each entry of `listen`, as numbers."""
        path = (*self._path, "listen")
        listed = self._document.at(path)
        paths = [(*path, index) for index in range(len(listed))] if isinstance(listed, list) else [path]
        return tuple([self._owner((*one, "owner")) for one in paths])

    def _owner(self, path: Path) -> tuple[int | None, int | None]:
        try:
            user, group = parse_owner(value) if (value := self._document.at(path)) is not None else (None, None)
        except BadValueError:
            raise _UnknownError from None
        try:
            uid = pwd.getpwnam(user).pw_uid if isinstance(user, str) else user
        except KeyError:
            self._reject(f"there is no user {show(user)}", str(user), [entry.pw_name for entry in pwd.getpwall()], path)
            raise _UnknownError from None
        return uid, self._gid_of(group, path)

    def _number_alone(self, user: int | str, path: Path, gid: int | None) -> tuple[int, int]:
        """A user who has no entry: a number will do, with a group."""
        if isinstance(user, str):
            self._reject(f"there is no user {show(user)}", user, [entry.pw_name for entry in pwd.getpwall()], path)
        elif gid is None:
            message = f"the user database has no uid {user}, so the group is not known either"
            self._problems.append(Problem(message, f"name one, for example group = {user}", path))
        else:
            return user, gid
        raise _UnknownError

    def _gid(self, path: Path) -> int | None:
        return self._gid_of(self._account(path), path)

    def _gid_of(self, group: int | str | None, path: Path) -> int | None:
        if not isinstance(group, str):
            return group
        try:
            return grp.getgrnam(group).gr_gid
        except KeyError:
            self._reject(f"there is no group {show(group)} of users", group, [e.gr_name for e in grp.getgrall()], path)
            raise _UnknownError from None

    def _account(self, path: Path) -> int | str | None:
        value = self._document.at(path)
        if value is None:
            return None
        try:
            return parse_account(value)
        except BadValueError:
            raise _UnknownError from None

    def _reject(self, message: str, name: str, known: list[str], path: Path) -> None:
        near = nearest(name, known)
        hint = f'did you mean "{near}"?' if near else "create it, or give a number"
        self._problems.append(Problem(f"{message} on this machine", hint, path))


def _environment(entry: pwd.struct_passwd) -> tuple[tuple[str, str | None], ...]:
    home, shell = entry.pw_dir or "/", entry.pw_shell or "/bin/sh"
    return ("HOME", home), ("USER", entry.pw_name), ("LOGNAME", entry.pw_name), ("SHELL", shell)


def _environment_of_nobody() -> tuple[tuple[str, str | None], ...]:
    """Nothing of the core's user is left; as in container engines, the home is the root directory."""
    return ("HOME", "/"), ("USER", None), ("LOGNAME", None), ("SHELL", None)
