"""As whom a worker runs and what it may do: set by the forked child, refused with a reason, never left out."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from procman.kernel.spawn.fork import answer
from procman.kernel.spawn.privileges import assume
from procman.kernel.spawn.spawn import Spawner
from procman.plan import Limit, Privileges
from procman.policy.events import Exited, Forked, StartFailed, WorkerId
from tests.kernel.playing import SLEEP, Stage, launch, play, spawn

NOBODY = 65534
STRANGER = 54321
"""Somebody without rights."""
PR_SET_DUMPABLE = 4
NET_RAW, SETUID, NET_BIND_SERVICE, CHOWN = 13, 7, 10, 0

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a worker to another user")


def privileges(wanted: dict[str, Any]) -> Privileges:
    """Of what has been through JSON."""
    wanted = {name: tuple(value) if isinstance(value, list) else value for name, value in wanted.items()}
    wanted["limits"] = tuple(Limit(*limit) for limit in wanted.get("limits", ()))
    return Privileges(**wanted)


def become_a_stranger() -> None:
    """Have no rights, like a core that somebody else than root has started."""
    if os.geteuid() == 0:
        os.setgroups(())
        os.setresgid(STRANGER, STRANGER, STRANGER)
        os.setresuid(STRANGER, STRANGER, STRANGER)
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # as a process that was exec'd by the stranger


def outcomes(wanted: list[dict[str, Any]], command: list[str], as_stranger: bool = False) -> list[list[str] | None]:
    """Start the command with each of these: what was wrong, or None; what it writes is the scene's output."""
    if as_stranger:
        become_a_stranger()
    stage = Stage()
    found: list[list[str] | None] = []
    for one in wanted:
        cwd = one.pop("cwd", "/")
        stage.events.clear()
        stage.perform(spawn(*command, cwd=cwd, privileges=privileges(one)))
        stage.until(Exited)
        failed = [fact for fact in stage.events if isinstance(fact, StartFailed)]
        found.append([failed[0].stage, failed[0].reason] if failed else None)
    return found


def started(wanted: list[dict[str, Any]], command: str, as_stranger: bool = False) -> list[list[str]]:
    """What the command, one for each of these, writes: its lines, each without runs of blanks."""
    played = play(outcomes, wanted, ["sh", "-c", f"{command}; echo"], as_stranger)
    assert played.value == [None] * len(wanted)
    return [[" ".join(line.split()) for line in block.splitlines()] for block in played.output.strip().split("\n\n")]


IDENTITY = "grep -E '^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb):' /proc/self/status"


def identity(uid: int, gid: int, groups: str, capabilities: int, bounding: str, ambient: int) -> list[str]:
    """What `IDENTITY` writes. Real, effective, saved and file system ids are one: there is no way back."""
    held = f"{capabilities:016x}"
    return [
        f"Uid: {uid} {uid} {uid} {uid}",
        f"Gid: {gid} {gid} {gid} {gid}",
        f"Groups: {groups}".strip(),
        f"CapInh: {ambient:016x}",
        f"CapPrm: {held}",
        f"CapEff: {held}",
        f"CapBnd: {bounding}",
        f"CapAmb: {ambient:016x}",
    ]


def bounding_set() -> str:
    """That of the tests' own process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(line.split()[1] for line in lines if line.startswith("CapBnd:"))


@root_only
def test_a_worker_of_another_user_has_nothing_of_root_and_no_way_back() -> None:
    wanted = [
        {"uid": NOBODY, "gid": NOBODY, "groups": [NOBODY]},
        {"uid": NOBODY, "gid": 7, "groups": []},
        {"uid": STRANGER, "gid": STRANGER, "groups": [5, 7]},
    ]
    expected = [
        identity(NOBODY, NOBODY, str(NOBODY), 0, bounding_set(), 0),
        identity(NOBODY, 7, "", 0, bounding_set(), 0),
        identity(STRANGER, STRANGER, "5 7", 0, bounding_set(), 0),
    ]
    assert expected == started(wanted, IDENTITY)


@root_only
def test_the_capabilities_that_are_kept_are_all_that_a_worker_and_its_programs_can_have() -> None:
    nobody = {"uid": NOBODY, "gid": NOBODY, "groups": []}
    kept = [[NET_BIND_SERVICE], [SETUID, NET_RAW], []]
    expected = []
    for user, uid in ((nobody, NOBODY), ({}, 0)):
        for numbers in kept:
            mask = sum(1 << number for number in numbers)
            groups = "" if user else " ".join(map(str, os.getgroups()))
            expected.append(identity(uid, uid, groups, mask, f"{mask:016x}", mask))
    wanted = [{**user, "capabilities": numbers} for user in (nobody, {}) for numbers in kept]
    assert expected == started(wanted, IDENTITY)


@root_only
def test_the_directory_is_entered_as_the_user(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wanted = [{"uid": NOBODY, "gid": NOBODY, "groups": [], "cwd": str(closed)}]
    expected = [["cwd", f"working directory {closed}: permission denied"]]
    assert expected == play(outcomes, wanted, ["true"]).value


LIMITS = {
    "as": ("Max address space", 1 << 30),
    "core": ("Max core file size", 0),
    "cpu": ("Max cpu time", 100),
    "data": ("Max data size", 1 << 29),
    "fsize": ("Max file size", 1 << 20),
    "locks": ("Max file locks", 5),
    "memlock": ("Max locked memory", 1 << 12),
    "msgqueue": ("Max msgqueue size", 1 << 10),
    "nice": ("Max nice priority", 0),
    "nofile": ("Max open files", 20),
    "nproc": ("Max processes", 50),
    "rss": ("Max resident set", 1 << 28),
    "rtprio": ("Max realtime priority", 0),
    "rttime": ("Max realtime timeout", 1_000_000),
    "sigpending": ("Max pending signals", 10),
    "stack": ("Max stack size", 1 << 20),
}
"""Each limit by name, with its line in /proc/PID/limits and a value that everybody may set."""


@pytest.mark.parametrize("as_stranger", [False, True])
def test_every_limit_can_be_set_by_name(as_stranger: bool) -> None:
    wanted: list[dict[str, Any]] = [{"limits": [(name, value, value) for name, (_, value) in LIMITS.items()]}]
    (lines,) = started(wanted, "cat /proc/self/limits", as_stranger)
    found = {line: lines_value(lines, line) for line, _ in LIMITS.values()}
    assert {line: [str(value)] * 2 for line, value in LIMITS.values()} == found


def lines_value(lines: list[str], name: str) -> list[str]:
    """Soft and hard of a line of /proc/PID/limits."""
    return next(line for line in lines if line.startswith(name)).removeprefix(name).split()[:2]


def test_a_soft_limit_alone_leaves_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    expected = [["20", str(hard)], ["30", "40"]]
    wanted: list[dict[str, Any]] = [{"limits": [("nofile", 20)]}, {"limits": [("nofile", 30, 40)]}]
    assert expected == started(wanted, "ulimit -Sn; ulimit -Hn")


def test_nice_the_oom_score_the_cpus_and_no_new_privileges_are_the_workers() -> None:
    cpu = min(os.sched_getaffinity(0))
    score = int(Path("/proc/self/oom_score_adj").read_text(encoding="utf-8")) + 1
    wanted: list[dict[str, Any]] = [
        {"nice": 19, "oom_score_adj": score, "cpu_affinity": [cpu], "no_new_privileges": True},
        {"nice": 18},
    ]
    command = "nice; cat /proc/self/oom_score_adj; grep -E 'NoNewPrivs|Cpus_allowed_list' /proc/self/status"
    bound, other = started(wanted, command, True)
    assert bound == ["19", str(score), "NoNewPrivs: 1", f"Cpus_allowed_list: {cpu}"]
    assert (other[0], other[2]) == ("18", "NoNewPrivs: 0")


@root_only
def test_what_root_may_do_is_done_before_the_user_is_changed() -> None:
    wanted = [{"uid": NOBODY, "gid": NOBODY, "groups": [], "nice": -5, "limits": [("nofile", 20)]}]
    assert started(wanted, "id -u; nice; ulimit -n") == [[str(NOBODY), "-5", "20"]]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"uid": 0, "gid": 0, "groups": [0]}, "user: cannot become uid 0 without CAP_SETGID, as uid {me}"),
    ({"uid": 0}, "user: cannot become uid 0 without CAP_SETUID, as uid {me}"),
    ({"gid": 0}, "group: cannot become gid 0 without CAP_SETGID, as uid {me}"),
    ({"groups": [0]}, "supplementary_groups: cannot be set without CAP_SETGID, as uid {me}"),
    (
        {"limits": [("nofile", 20, 200)]},
        "limits.nofile: cannot raise the hard limit above 100 without CAP_SYS_RESOURCE",
    ),
    ({"limits": [("nofile", 200)]}, "limits.nofile: cannot raise the hard limit above 100 without CAP_SYS_RESOURCE"),
    ({"limits": [("nofile", -1)]}, "limits.nofile: the kernel allows no more than {nr_open} (fs.nr_open)"),
    ({"nice": -20}, "nice: cannot go from {nice} to -20 without CAP_SYS_NICE"),
    ({"oom_score_adj": -1000}, "oom_score_adj: cannot go from {oom} to -1000 without CAP_SYS_RESOURCE"),
    ({"cpu_affinity": [4000, 4001]}, "cpu_affinity: of the CPUs 4000,4001 none can be used; procman has {cpus}"),
    (
        {"capabilities": []},
        "capabilities: cannot drop others without CAP_SETPCAP; no_new_privileges = true needs it not",
    ),
    (
        {"capabilities": [CHOWN, NET_BIND_SERVICE], "no_new_privileges": True, "limits": [("nofile", 0, 0)]},
        "capabilities: procman itself has no CAP_CHOWN, CAP_NET_BIND_SERVICE",
    ),
]


def refusals() -> list[list[str] | None]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    return outcomes([dict(wanted) for wanted, _ in REFUSED], ["true"], True)


def test_what_is_not_permitted_is_a_failed_set_up_that_names_the_option() -> None:
    facts = {
        "me": STRANGER if os.geteuid() == 0 else os.geteuid(),
        "nr_open": Path("/proc/sys/fs/nr_open").read_text(encoding="utf-8").strip(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "oom": Path("/proc/self/oom_score_adj").read_text(encoding="utf-8").strip(),
        "cpus": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
    }
    expected = [["setup", reason.format(**facts)] for _, reason in REFUSED]
    assert expected == play(refusals).value


def own_user() -> list[list[str] | None]:
    become_a_stranger()
    me = {"uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "capabilities": []}
    return outcomes([{**me, "no_new_privileges": True}], ["true"])


def test_a_site_of_the_user_who_starts_it_needs_no_rights() -> None:
    assert play(own_user).value == [None]


def order_of_a_refusal() -> list[str]:
    become_a_stranger()
    stage = Stage()
    stage.perform(spawn(*SLEEP, privileges=Privileges(nice=-20)))
    stage.until(Exited)
    return stage.names()


def test_a_refused_start_is_forked_then_failed_then_exited() -> None:
    assert play(order_of_a_refusal).value == ["Forked", "StartFailed", "Exited"]


def core_before_and_after() -> list[Any]:
    def itself() -> list[Any]:
        limits = [resource.getrlimit(number) for number in range(resource.RLIMIT_NOFILE + 8)]
        state = [limits, os.getresuid(), os.getresgid(), os.getgroups(), os.getpriority(os.PRIO_PROCESS, 0)]
        status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        kept = [
            line for line in status if line.startswith(("Cap", "NoNewPrivs", "Umask", "SigBlk", "SigIgn", "SigCgt"))
        ]
        score = Path("/proc/self/oom_score_adj").read_text(encoding="utf-8")
        return [state, kept, score, sorted(os.sched_getaffinity(0)), dict(os.environ), str(Path.cwd())]

    stage = Stage()
    before = itself()
    everything = Privileges(
        nice=19,
        oom_score_adj=1000,
        cpu_affinity=(min(os.sched_getaffinity(0)),),
        limits=tuple(Limit(name, value, value) for name, (_, value) in LIMITS.items()),
        no_new_privileges=True,
        parent_death_signal=signal.SIGKILL,
    )
    if os.geteuid() == 0:
        everything = everything._replace(uid=NOBODY, gid=NOBODY, groups=(), capabilities=())
    stage.perform(spawn("true", umask=0o777, env=(("A", "1"), ("PATH", None)), pass_env=(), privileges=everything))
    stage.until(Exited)
    return [stage.names(), before, itself()]


def test_nothing_of_the_core_itself_ever_changes() -> None:
    names, before, after = play(core_before_and_after).value
    assert names == ["Forked", "Execed", "Exited"]
    assert before == after


def killed_core() -> int:
    """A core, a child of this scene, starts a worker and is killed: the signal that ends the worker."""
    heard, tell = os.pipe()
    core = os.fork()
    if core == 0:
        wanted = Privileges(parent_death_signal=signal.SIGUSR1, no_new_privileges=True)
        if os.geteuid() == 0:  # a change of user undoes it
            wanted = wanted._replace(uid=NOBODY, gid=NOBODY, groups=(), capabilities=(NET_RAW,))
        pid, pipe = Spawner().fork(WorkerId("api", 0, 1), launch(*SLEEP, privileges=wanted))
        os.set_blocking(pipe, True)
        assert answer(pipe) is None
        os.write(tell, str(pid).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    worker = int(os.read(heard, 64))
    os.waitpid(core, 0)
    _, status = os.waitpid(worker, 0)  # the scene's process is a subreaper
    return os.WTERMSIG(status)


def test_a_worker_hears_its_parent_death_signal_when_the_core_is_killed() -> None:
    assert play(killed_core).value == signal.SIGUSR1


def core_gone_already() -> int:
    pid = os.fork()
    if pid == 0:
        assume(Privileges(parent_death_signal=signal.SIGUSR1), core=os.getppid() + 1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status)


def test_a_core_that_ended_before_the_child_could_ask_is_noticed() -> None:
    assert play(core_gone_already).value == signal.SIGUSR1


def paths_taken() -> list[bool]:
    spawner = Spawner()
    fields: list[dict[str, Any]] = [
        {},
        {"umask": 0, "env": (("A", None),), "pass_env": ("PATH",), "cwd": "/tmp"},
        {"privileges": Privileges(limits=(Limit("core", 0),))},
    ]
    return [spawner.must_fork(launch("true", **one)) for one in fields]


def test_the_fast_path_is_left_only_for_privileges() -> None:
    assert play(paths_taken).value == [False, False, True]


def cleared_environment(path: str) -> None:
    stage = Stage()
    env = (("PORT", "80"), ("LC_TIME", None))
    stage.perform(spawn("env", env=env, spawn=path, pass_env=("PATH", "LC_*", "NOT_SET")))
    stage.until(Exited)


@pytest.mark.parametrize("path", ["vfork", "fork"])
def test_a_cleared_environment_holds_what_is_passed_what_is_set_and_who_it_is(path: str) -> None:
    given = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LC_TIME": "C", "HOME": "/root", "SECRET": "1", "PATHS": "2"}
    expected = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PORT": "80"}
    lines = play(cleared_environment, path, env=given).output.splitlines()
    environment = dict(line.split("=", 1) for line in lines)
    assert expected == {name: value for name, value in environment.items() if not name.startswith("PROCMAN_")}


def end_of_a_stopped_child() -> list[Any]:
    """The core goes on while a child is on its way, however long that takes."""
    stage = Stage()
    stage.perform(spawn(*SLEEP, privileges=Privileges(nice=19, no_new_privileges=True)))
    (forked,) = stage.until(Forked)
    os.kill(forked.pid, signal.SIGSTOP)  # before, in, or after its set-up
    stage.perform(spawn("true", task=1))
    (ended,) = stage.until(Exited)
    os.kill(forked.pid, signal.SIGKILL)
    (killed,) = stage.until(Exited)
    return [ended.exit_code, killed.pid == forked.pid, killed.signal]


def test_a_child_that_hangs_in_its_set_up_holds_up_nobody() -> None:
    assert play(end_of_a_stopped_child).value == [0, True, signal.SIGKILL]
