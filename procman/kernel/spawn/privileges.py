"""As whom a worker runs and what it may do: all that is set between fork and exec, by the forked child itself.

It changes the process that calls it, for good, and nothing else: never the core. What the machine does not permit is
`Refused`, with the option's name; nothing is left out silently, and nothing goes on as root that was to be another.

prctl and capset are had by ctypes, imported in the child alone: the core would carry it as a megabyte, and an exec'd
Python between core and worker would take three times as long. That, and all that is imported here, is so before the
user is changed, who may not be allowed to read Python's library.
"""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH123

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from procman.lean import TYPE_CHECKING, suppress
from procman.plan import Limit, Privileges
from procman.words import capability_name

if TYPE_CHECKING:
    from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_SETUID = 7
_UNLIMITED = -1  # RLIM_INFINITY, in a plan as in `resource`
_RLIMIT_LOCKS = 10  # `resource` does not know it, and Linux has not heeded it since 2.4.25

_Prctl = Callable[..., int]


class Refused(Exception):  # noqa: N818 - it says what has happened
    """An option could not be had; the reason names it: `nice: cannot go from 0 to -5 without CAP_SYS_NICE`."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(code, reason)
        self.errno, self.reason = code or errno.EPERM, reason


def assume(wanted: Privileges, core: int) -> None:
    """Become what is wanted, a child of the process `core`. Raises Refused, and then nothing may be exec'd."""
    needs_ctypes = wanted.capabilities is not None or wanted.no_new_privileges or wanted.parent_death_signal is not None
    prctl = _prctl_of_libc() if needs_ctypes else _no_prctl
    # First what the core's rights are needed for, then the rights, then what a change of rights would undo.
    if wanted.nice is not None:
        _set_nice(wanted.nice)
    if wanted.oom_score_adj is not None:
        _set_oom_score_adj(wanted.oom_score_adj)
    if wanted.cpu_affinity is not None:
        _set_affinity(wanted.cpu_affinity)
    for limit in wanted.limits:
        _set_limit(limit)
    if wanted.capabilities is not None:
        _bound_capabilities(wanted, prctl)
    _change_identity(wanted)
    if wanted.capabilities is not None:
        _take_capabilities(wanted.capabilities, prctl)
    if wanted.no_new_privileges and prctl(_PR_SET_NO_NEW_PRIVS, 1):
        _refuse("no_new_privileges")
    if wanted.parent_death_signal is not None:
        if prctl(_PR_SET_PDEATHSIG, wanted.parent_death_signal):
            _refuse("parent_death_signal")
        if os.getppid() != core:  # it ended before it was asked about
            os.kill(os.getpid(), wanted.parent_death_signal)


# --- use of the machine ----------------------------------------------------------------------------------


def _set_nice(nice: int) -> None:
    former = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except PermissionError as error:
        raise Refused(error.errno, f"nice: cannot go from {former} to {nice} without CAP_SYS_NICE") from None


def _set_oom_score_adj(score: int) -> None:
    former = None
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:
            former = int(file.read())
            file.write(b"%d" % score)
    except OSError as error:
        why = f"/proc/self/oom_score_adj: {error.strerror}"
        if former is not None and isinstance(error, PermissionError):
            why = f"cannot go from {former} to {score} without CAP_SYS_RESOURCE"
        raise Refused(error.errno, f"oom_score_adj: {why}") from None


def _set_affinity(cpus: tuple[int, ...]) -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpus)
    except (OSError, ValueError, OverflowError) as error:
        wanted, may = (",".join(map(str, sorted(some))) for some in (cpus, allowed))
        code = getattr(error, "errno", None) or errno.EINVAL
        raise Refused(code, f"cpu_affinity: of the CPUs {wanted} none can be used; procman has {may}") from None


def _set_limit(limit: Limit) -> None:
    import resource

    number = _RLIMIT_LOCKS if limit.name == "locks" else getattr(resource, f"RLIMIT_{limit.name.upper()}")
    _, ceiling = resource.getrlimit(number)
    hard = _higher(limit.soft, ceiling) if limit.hard is None else limit.hard
    try:
        resource.setrlimit(number, (limit.soft, hard))
    except (OSError, ValueError) as error:  # resource makes ValueErrors of EINVAL and EPERM
        raise Refused(errno.EPERM, f"limits.{limit.name}: {_why_no_limit(limit.name, hard, ceiling, error)}") from None


def _higher(one: int, other: int) -> int:
    return _UNLIMITED if _UNLIMITED in (one, other) else max(one, other)


def _why_no_limit(name: str, hard: int, ceiling: int, error: Exception) -> str:
    if name == "nofile":
        with suppress(OSError, ValueError), open("/proc/sys/fs/nr_open", "rb") as file:
            most = int(file.read())
            if hard > most or hard == _UNLIMITED:
                return f"the kernel allows no more than {most} (fs.nr_open)"
    if _higher(hard, ceiling) != ceiling:
        return f"cannot raise the hard limit above {ceiling} without CAP_SYS_RESOURCE"
    return str(error)


# --- identity --------------------------------------------------------------------------------------------


def _change_identity(wanted: Privileges) -> None:
    """Groups before the user, who could not change them; all of real, effective and saved; then look."""
    was_root = os.geteuid() == 0
    try:
        key, capability = "supplementary_groups", "CAP_SETGID"
        if wanted.groups is not None:
            _set_groups(wanted.groups, os.getgid() if wanted.gid is None else wanted.gid)
        if wanted.gid is not None:
            key = "group"
            os.setresgid(wanted.gid, wanted.gid, wanted.gid)
        if wanted.uid is None:
            return
        key, capability = "user", "CAP_SETUID"
        os.setresuid(wanted.uid, wanted.uid, wanted.uid)
    except OSError as error:
        if wanted.uid not in (None, os.geteuid()):
            key = "user"  # whose groups they are
        what = {"user": f"become uid {wanted.uid}", "group": f"become gid {wanted.gid}"}.get(key, "be set")
        denied = f"without {capability}, as uid {os.geteuid()}"
        why = denied if isinstance(error, PermissionError) else f"({error.strerror})"
        raise Refused(error.errno, f"{key}: cannot {what} {why}") from None
    keeps_setuid = wanted.capabilities is not None and _CAP_SETUID in wanted.capabilities
    if os.getresuid() != (wanted.uid,) * 3 or (was_root and wanted.uid != 0 and not keeps_setuid and _can_go_back()):
        raise Refused(errno.EPERM, f"user: uid {wanted.uid} could become root again (securebits?)")


def _set_groups(groups: tuple[int, ...], gid: int) -> None:
    try:
        os.setgroups(groups)
    except PermissionError:
        if {*os.getgroups(), gid} != {*groups, gid}:  # else it need not: a user's site under that user
            raise


def _can_go_back() -> bool:
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True


# --- capabilities ----------------------------------------------------------------------------------------


def _bound_capabilities(wanted: Privileges, prctl: _Prctl) -> None:
    """While still privileged: what is not kept leaves the bounding set, and what is survives the change of user."""
    prctl(_PR_SET_KEEPCAPS, 1)
    number = 0
    while (has := prctl(_PR_CAPBSET_READ, number)) >= 0:
        if has and number not in (wanted.capabilities or ()) and prctl(_PR_CAPBSET_DROP, number):
            if wanted.no_new_privileges:
                break  # then no program can gain what this process has not
            reason = "capabilities: cannot drop others without CAP_SETPCAP; no_new_privileges = true needs it not"
            raise Refused(errno.EPERM, reason)
        number += 1


def _take_capabilities(kept: tuple[int, ...], prctl: _Prctl) -> None:
    """Have these and no others, as ambient ones too: without that exec drops them for all but root."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = ctypes.c_uint32 * 6  # effective, permitted, inheritable of the lower 32, then of the upper
    own = sets()
    libc.capget(header, own)
    permitted = own[1] | own[4] << 32
    if missing := [capability_name(number) for number in kept if not permitted >> number & 1]:
        raise Refused(errno.EPERM, f"capabilities: procman itself has no {', '.join(missing)}")
    mask = sum(1 << number for number in kept)
    if libc.capset(header, sets(*(mask & 0xFFFFFFFF,) * 3, *(mask >> 32,) * 3)):
        _refuse("capabilities")
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for number in kept:
        if prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number):
            _refuse(f"capabilities: {capability_name(number)}")


# --- prctl -----------------------------------------------------------------------------------------------


def _prctl_of_libc() -> _Prctl:
    try:
        import ctypes
    except ImportError:
        reason = "no_new_privileges, capabilities and parent_death_signal need a Python with ctypes"
        raise Refused(errno.ENOSYS, reason) from None
    function = ctypes.CDLL(None, use_errno=True).prctl
    ulong = ctypes.c_ulong

    def prctl(option: int, first: int = 0, second: int = 0) -> int:
        answer: int = function(option, ulong(first), ulong(second), ulong(0), ulong(0))
        return answer

    return prctl


def _no_prctl(*_: int) -> int:
    raise AssertionError("nothing needs it")


def _refuse(key: str) -> NoReturn:
    import ctypes

    code = ctypes.get_errno()
    raise Refused(code, f"{key}: {os.strerror(code)}")
