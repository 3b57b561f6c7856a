"""The core is killed, and nobody can stop the workers any more but the guard."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from procman.kernel.guard import account
from procman.kernel.guard.guard import Guard
from procman.kernel.proc import hierarchy, processes
from procman.kernel.spawn.spawn import Spawner
from procman.plan import Stop
from procman.policy.events import GuardRules
from tests.cli.procmans import DEADLINE_S, Procman, on_pipe

NAME = f"guarded-{os.getpid()}"
GRACE_S = 1.0
GROUP = '[group.{}]\ncommand = {}\nstop = {{ signal = "{}", grace = "{}s", scope = "{}" }}\n'


def group(name: str, command: list[str], stop: str = "TERM", grace: float = GRACE_S, scope: str = "tree") -> str:
    return GROUP.format(name, json.dumps(command), stop, grace, scope)


def site(folder: Path, *groups: str, orphans: str = "end") -> str:
    """The path of a site file with these groups in it."""
    text = f'schema = 1\n[site]\nname = "{NAME}"\norphans = "{orphans}"\n' + "".join(groups)
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def shell(script: str) -> list[str]:
    """A worker that runs this; `READY` says on stderr, which is the log's stream, that it is where it should be."""
    return ["sh", "-c", script.replace("$", "$$").replace("READY", "echo ready >&2")]


def directories() -> list[Path]:
    """The site's cgroups that are there."""
    try:
        return sorted(Path(hierarchy.home()).glob(f"procman-{NAME}*"))
    except OSError:  # no cgroup v2
        return []


def guards(procman: Procman) -> list[int]:
    """The guards among its children."""
    children = Path(f"/proc/{procman.pid}/task/{procman.pid}/children").read_text(encoding="ascii").split()
    names = {int(pid): Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() for pid in children}
    return [pid for pid, name in names.items() if name == "procman-guard"]


def guard_of(procman: Procman) -> int:
    """Its guard, once that is on guard."""
    procman.until(lambda: len(guards(procman)) == 1)
    return guards(procman)[0]


def gone(pids: list[int]) -> Callable[[], bool]:
    """Whether all of them are; the dead whom nobody has reaped are."""
    return lambda: all(_state(pid) in ("", "Z") for pid in pids)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
    except OSError:
        return ""


def kill_core(procman: Procman) -> tuple[float, str]:
    """SIGKILL to the core alone: how long all that it had started went on, and what they said in that time."""
    before, began = len(procman.text), time.monotonic()
    procman.process.kill()
    procman.process.wait(DEADLINE_S)
    procman.read_to_the_end()  # each of them holds the log's stream, or has ended
    procman.until(lambda: procman.descendants() == [])
    return time.monotonic() - began, procman.text[before:]


@pytest.mark.parametrize("number", ["TERM", "USR1"])
def test_a_worker_gets_its_groups_stop_signal(tmp_path: Path, number: str) -> None:
    worker = f"trap 'echo heard {number} >&2; exit 0' {number}; READY; while :; do sleep 300 & wait; done"
    path = site(tmp_path, group("api", shell(worker), number, 60))
    with on_pipe("up", path) as procman:
        procman.wait_for("^ready$")
        guard_of(procman)
        took, said = kill_core(procman)
    assert (f"heard {number}" in said, took < 30) == (True, True)


def test_a_deaf_worker_has_its_grace_and_is_killed_with_all_its_children(tmp_path: Path) -> None:
    deaf = "trap '' TERM; (while :; do sleep 300; done) & READY; while :; do sleep 300; done"
    with on_pipe("up", site(tmp_path, group("api", shell(deaf)))) as procman:
        procman.wait_for("^ready$")
        guard_of(procman)
        took, _ = kill_core(procman)
    assert GRACE_S <= took < GRACE_S + 10


ESCAPES = {
    "a child in a session of its own": "setsid sh -c 'READY; exec sleep 300' & wait",
    "a daemon that double-forked": "(setsid sh -c 'READY; exec sleep 300' &); exec sleep 300",
    "one with nothing in its environment": "env -i setsid sh -c 'READY; exec sleep 300' & wait",
    "one that is stopped": "sh -c 'READY; kill -STOP $$; exec sleep 300' & wait",
    "one that outlived its leader's end": "trap 'exit 0' TERM; (trap '' TERM; READY; sleep 300; sleep 300) & wait",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_nobody_of_a_workers_tree_lives_on(tmp_path: Path, name: str) -> None:
    with on_pipe("up", site(tmp_path, group("api", shell(ESCAPES[name])))) as procman:
        procman.wait_for("^ready$")
        guard_of(procman)
        below = list(processes.below({procman.pid}, processes.everybody(), set()))
        assert len(below) >= 3
        kill_core(procman)
        procman.until(gone(below))


def test_a_worker_that_has_no_environment_at_all_is_known_by_its_pid(tmp_path: Path) -> None:
    with on_pipe("up", site(tmp_path, group("api", ["env", "-i", "sleep", "300"]))) as procman:
        pid = json.loads(procman.wait_for(r'^.*"worker.running".*$')[0].group())["pid"]
        guard_of(procman)
        procman.until(lambda: Path(f"/proc/{pid}/environ").read_bytes() == b"")
        kill_core(procman)
        procman.until(gone([pid]))


def test_with_scope_leader_only_the_leader_hears_the_stop_signal(tmp_path: Path) -> None:
    worker = (
        "(trap 'echo child USR1 >&2' USR1; trap 'echo child TERM >&2; exit 0' TERM; READY; "
        "while :; do sleep 300 & wait; done) & "
        "trap 'echo leader USR1 >&2; exit 0' USR1; READY; while :; do wait; done"
    )
    with on_pipe("up", site(tmp_path, group("api", shell(worker), "USR1", 60, "leader"))) as procman:
        procman.wait_for("^ready$", 2)
        guard_of(procman)
        _, said = kill_core(procman)
    assert said.split("\n")[:2] == ["leader USR1", "child TERM"]


def test_a_reload_changes_the_rules_of_those_who_run(tmp_path: Path) -> None:
    worker = shell("trap 'echo heard INT >&2; exit 0' INT; READY; while :; do sleep 300 & wait; done")
    path = site(tmp_path, group("api", worker, "TERM", 60))
    with on_pipe("up", path) as procman:
        procman.wait_for("^ready$")
        guard = guard_of(procman)
        site(tmp_path, group("api", worker, "INT", 60))
        procman.process.send_signal(signal.SIGHUP)
        procman.wait_for("config.applied")
        assert guards(procman) == [guard]
        assert "heard INT" in kill_core(procman)[1]


def test_a_guard_that_is_killed_is_replaced_and_the_new_one_knows_all(tmp_path: Path) -> None:
    path = site(tmp_path, group("api", ["sleep", "300"]) + "workers = 3\n")
    with on_pipe("up", path) as procman:
        procman.wait_for("worker.running", 3)
        first = guard_of(procman)
        os.kill(first, signal.SIGKILL)
        (line,) = procman.wait_for(r'^.*"helper.ended".*$')
        told = json.loads(line.group())
        assert (told["helper"], told["reason"], told["delay_s"]) == (
            "guard",
            "the guard was killed by SIGKILL; it is started again at once",
            0,
        )
        assert guard_of(procman) != first
        took, _ = kill_core(procman)
    assert took < 30


def test_an_orderly_end_leaves_no_guard_and_says_nothing_of_it(tmp_path: Path) -> None:
    with on_pipe("up", site(tmp_path, group("api", ["sleep", "300"]))) as procman:
        procman.wait_for("worker.running")
        guard = guard_of(procman)
        procman.process.terminate()
        assert procman.wait() == 0
        assert _state(guard) == ""
        assert "helper" not in procman.text


def test_a_site_that_keeps_its_orphans_has_no_guard(tmp_path: Path) -> None:
    with on_pipe("up", site(tmp_path, group("api", ["sleep", "300"]), orphans="keep")) as procman:
        procman.wait_for("worker.running")
        procman.until(lambda: len(procman.descendants()) == 1)  # out of sight while it execs
        (worker,) = procman.descendants()
        procman.process.kill()
        procman.process.wait(DEADLINE_S)
        assert _state(worker) in ("S", "R")
        os.kill(worker, signal.SIGKILL)
        procman.until(gone([worker]))
    for place in directories():
        hierarchy.remove(str(place))
    assert directories() == []


def test_a_stranger_who_is_marked_with_the_sites_name_is_left_alone(tmp_path: Path) -> None:
    command = ["sleep", "300"]
    with on_pipe("up", site(tmp_path, group("api", command))) as procman:
        procman.wait_for("worker.running")
        guard_of(procman)
        stranger = subprocess.Popen(command, env={**os.environ, "PROCMAN_SITE": NAME}, start_new_session=True)
        try:
            kill_core(procman)
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()


def test_a_thousand_workers_are_ended_too(tmp_path: Path) -> None:
    path = site(tmp_path, group("api", ["sleep", "300"]) + "workers = 1000\n")
    with on_pipe("up", path) as procman:
        procman.wait_for("worker.running", 1000)
        guard_of(procman)
        took, _ = kill_core(procman)
    assert took < 30


def test_a_guard_has_nothing_of_the_core_hears_nothing_and_sleeps(tmp_path: Path) -> None:
    with on_pipe("up", site(tmp_path, group("api", ["sleep", "300"]))) as procman:
        procman.wait_for("worker.running")
        guard = guard_of(procman)
        procman.until(lambda: _status(guard)["State"].startswith("S"))
        for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
            os.kill(guard, number)
        files = sorted(str(file.readlink()) for file in Path(f"/proc/{guard}/fd").iterdir())
        before = _status(guard)["voluntary_ctxt_switches"]
        procman.process.send_signal(signal.SIGHUP)
        procman.wait_for("config.applied")
        assert _status(guard)["voluntary_ctxt_switches"] == before
        assert files == ["/dev/null", "/dev/null", "/memfd:procman-guard (deleted)", "anon_inode:[pidfd]"]
        assert (os.getsid(guard), guards(procman)) == (guard, [guard])
        assert Path(f"/proc/{guard}/cwd").readlink() == Path("/")
        procman.process.terminate()
        assert procman.wait() == 0


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


# --- the account -------------------------------------------------------------------------------------------


def records(guard: Guard) -> list[list[str]]:
    """What the guard would read, but for when it was noted."""
    text = os.pread(guard._file, 1 << 16, 0).decode()
    assert all(len(line) + 1 == len(account.EMPTY) for line in text.splitlines())
    return [words[:5] + words[6:] for words in map(str.split, text.splitlines())]


def test_the_account_has_a_record_for_each_who_is_there_and_its_present_rule() -> None:
    ended: list[Any] = []
    guard = Guard(Spawner(), ended.append)
    guard.told(4_194_304)
    guard.follow(GuardRules("shop", (("api", Stop(2, 1e300, "leader")),)))
    try:
        guard.told(11, "api")
        guard.told(12, "db")
        assert records(guard) == [
            ["4194304", "9", "tree", "0", "0.000", "0", "0"],
            ["11", "2", "leader", "0", "10000000.000", "0", "0"],
            ["12", "9", "tree", "0", "0.000", "0", "0"],
        ]
        guard.forget(11)
        guard.forget(99)
        guard.told(13, "db")
        guard.follow(GuardRules("shop", (("db", Stop()),), ("db",)))
        assert [line[0] for line in records(guard)] == ["4194304", "13", "12"]
        assert records(guard)[1:] == [
            ["13", "15", "tree", "1", "8.000", "0", "0"],
            ["12", "15", "tree", "1", "8.000", "0", "0"],
        ]
        guard.spare({7, 8})
        guard.spare({8})
        assert [line for line in records(guard) if line[:1] in (["7"], ["8"])] == [
            ["8", "0", "tree", "0", "0.000", "0", "0"]
        ]
    finally:
        guard.close()
    assert (guard.pid, ended) == (None, [])


def test_the_guard_imports_next_to_nothing() -> None:
    program = "import sys; sys.path.append('.'); import procman.kernel.guard.guard_process; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", program]
    loaded = set(
        subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S).stdout.decode().split()
    )
    unwanted = {"signal", "typing", "enum", "re", "contextlib", "collections", "procman.kernel.spawn.spawn"}
    assert loaded & unwanted == set()
    assert select.__name__ in loaded
