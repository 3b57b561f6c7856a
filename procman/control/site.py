"""A site's place on its machine: its name, which one procman at most has, its control socket and its pid file.

All of it is taken when the first plan is there, before anything is started, and let go at the end. It stands between
the loop and the kernel, and handles what concerns operators; it decides nothing.
"""

# No pathlib in the core.
# ruff: noqa: PTH101, PTH108, PTH211

from __future__ import annotations

import _socket
import os
import stat
from collections.abc import Callable, Mapping

from procman.control import place
from procman.control.place import HeldError, Lock, PlaceError
from procman.control.plans import Plans
from procman.control.server import Server
from procman.kernel.loop import Kernel
from procman.lean import suppress
from procman.plan import Plan
from procman.policy.events import Action, Event, GoodPlan, KeepPlans, Loaded, LoadFailed, Notice
from procman.policy.events.requests import Answer


class TakenError(Exception):
    """The site cannot be run like this; what is wrong, and the hint."""


class Controlled:
    """`loop.Kernel` with operators: requests come in through the kernel's facts, answers go out here."""

    __slots__ = ("_answer", "_kernel", "_locks", "_paths", "_plans", "_server", "_taken", "_there")

    def __init__(
        self, kernel: Kernel, server: Server, answer: Callable[[Answer], None], there: Callable[[str, str], None]
    ) -> None:
        """`answer` takes the answers, in the order of the records. `there` is told where socket and log are, once the
        place is taken; empty: there is none.
        """
        self._kernel, self._server, self._answer, self._there = kernel, server, answer, there
        self._locks: list[Lock] = []
        self._paths: list[str] = []
        """Sockets and links, to be taken away at the end."""
        self._plans: Plans | None = None
        self._taken = False

    def now(self) -> float:
        """See `loop.Kernel`."""
        return self._kernel.now()

    def wait(self, deadline: float | None) -> Event:
        """See `loop.Kernel`. A first plan whose site cannot be had becomes an error of the configuration."""
        event = self._kernel.wait(deadline)
        if isinstance(event, Loaded) and not self._taken:
            try:
                self._take(event.plan, os.environ)
                self._taken = True
            except TakenError as error:
                reason, hint = error.args
                return LoadFailed(reason, f"procman: error: {reason}\nhint: {hint}\n")
            return event._replace(good=self._recall())
        return event

    def perform(self, action: Action) -> None:
        """See `loop.Kernel`."""
        if isinstance(action, Answer):
            self._answer(action)
        elif isinstance(action, KeepPlans):
            self._say(self._plans.keep(action.plans) if self._plans else None)
        else:
            self._kernel.perform(action)

    def close(self) -> None:
        """Let go of everything that a successor wants to have."""
        self._server.close()
        for path in self._paths:
            with suppress(OSError):
                os.unlink(path)
        for lock in self._locks:
            lock.release()

    def _take(self, plan: Plan, env: Mapping[str, str]) -> None:
        """Take the name, the socket and the pid file. Raises TakenError, with nothing taken."""
        try:
            folder = self._folder(plan, env)
            if folder is not None:
                self._lock(f"{folder}/{plan.name}.lock", plan.name)
                self._plans = Plans(f"{folder}/{plan.name}{place.PLANS}")
            if plan.pid_file:
                self._lock(plan.pid_file, plan.name, mode=0o644)
            path = plan.control or (f"{folder}/{plan.name}{place.SUFFIX}" if folder and plan.control is None else None)
            if path is not None:
                if plan.control:
                    self._lock(f"{path}.lock", plan.name)
                self._server.listen(self._socket(path, plan), plan.name, open_to_group=plan.control_group is not None)
                if folder is not None and plan.control:
                    self._link(path, f"{folder}/{plan.name}{place.SUFFIX}")
            self._there(path or "", plan.log.file or "")
        except TakenError:
            while self._locks:
                self._locks.pop().release()
            raise

    def _recall(self) -> tuple[GoodPlan, ...]:
        """The good plans of before, whoever has run the site then."""
        good, said = self._plans.recall() if self._plans else ((), None)
        self._say(said)
        return good

    def _say(self, notice: Notice | None) -> None:
        self._server.write([notice] if notice else [])

    def _folder(self, plan: Plan, env: Mapping[str, str]) -> str | None:
        """The directory of all sites; None, and a warning, where there can be none."""
        path = place.directory(env, os.geteuid())
        try:
            place.prepare(path, os.geteuid())
        except PlaceError as error:
            if plan.control is None:
                self._server.write([Notice("control.unavailable", "warning", f"no control socket: {error}")])
            return None
        return path

    def _lock(self, path: str, site: str, mode: int = 0o600) -> None:
        try:
            self._locks.append(Lock(path, mode))
        except HeldError as error:
            who = f", by procman {error.pid}" if error.pid else ""
            hint = "run a second copy under another name: `procman up --name NAME …`"
            raise TakenError(f"{site} is run already{who} ({path})", hint) from None
        except OSError as error:
            hint = "name another place in [site], one that is free and can be written"
            raise TakenError(f"cannot write {path}: {error.strerror}", hint) from None

    def _socket(self, path: str, plan: Plan) -> _socket.socket:
        """A socket that listens there, which nobody but its user can open, not for a moment."""
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            _remove_stale(path)
            with place.Reach(path) as address:
                sock.bind(address)
            self._paths.append(path)
            if plan.control_group is not None:
                os.chown(path, -1, _gid(plan.control_group))
                os.chmod(path, 0o660)
            sock.listen(128)
        except OSError as error:
            sock.close()
            hint = "name another place in [site] control, or have none: control = false"
            raise TakenError(f"cannot make the control socket {path}: {error.strerror or error}", hint) from None
        finally:
            os.umask(before)
        return sock

    def _link(self, path: str, name: str) -> None:
        """Let it be found by the site's name as well."""
        with suppress(OSError):
            _remove_stale(name)
            os.symlink(path, name)
            self._paths.append(name)


def _remove_stale(path: str) -> None:
    """Take away what a dead procman has left there (the lock is ours); what is no socket of its is not touched."""
    with suppress(FileNotFoundError):
        mode = os.lstat(path).st_mode
        if stat.S_ISSOCK(mode) or stat.S_ISLNK(mode):
            os.unlink(path)


def _gid(group: int | str) -> int:
    if isinstance(group, int):
        return group
    from grp import getgrnam  # which nobody else in the core needs

    try:
        return getgrnam(group).gr_gid
    except KeyError:
        hint = "create it, or give a number, in [site] control_group"
        raise TakenError(f"there is no group `{group}` on this machine", hint) from None
