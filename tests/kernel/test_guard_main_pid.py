"""The core is killed, and a worker has another leader than the process that procman started (MAINPID)."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman.kernel.guard import account
from procman.kernel.guard.account import Entry
from procman.kernel.guard.guarded import Tree
from procman.kernel.proc import processes
from procman.kernel.proc.processes import Process
from tests.cli.procmans import on_pipe
from tests.kernel.test_guard import group, guard_of, kill_core, site
from tests.site.sites import python

SPEAKER = """\
import os, signal, socket, sys

def name_main(pid):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(f"MAINPID={pid}\\nREADY=1".encode(), os.environ["NOTIFY_SOCKET"])

def serve(name, *, ends):
    def hear(number, _):
        os.write(2, f"{name} {signal.Signals(number).name}\\n".encode())
        if number in ends:
            os._exit(0)
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, hear)
    os.write(2, b"serves\\n")
    while True:
        signal.pause()
"""
BOTH = "(signal.SIGUSR1, signal.SIGTERM)"
WRAPPER = f"""\
{SPEAKER}
pid = os.fork()
if pid == 0:
    APART
    serve("main", ends={BOTH})
name_main(pid)
serve("wrapper", ends=(signal.SIGTERM,))
"""
DAEMON = f"""\
{SPEAKER}
if os.fork() == 0:
    os.setsid()
    pid = os.fork()
    if pid == 0:
        serve("main", ends={BOTH})
    name_main(pid)
    os._exit(0)
os.wait()
"""
NOTIFY = "ready = { notify = true }\n"
TOGETHER, ALONE = WRAPPER.replace("APART", "pass"), WRAPPER.replace("APART", "os.setsid()")


@pytest.mark.parametrize(
    ("program", "scope", "heard"),
    [
        (TOGETHER, "tree", {"main SIGUSR1", "wrapper SIGUSR1", "wrapper SIGTERM"}),
        (TOGETHER, "leader", {"main SIGUSR1", "wrapper SIGTERM"}),
        (ALONE, "tree", {"main SIGUSR1", "wrapper SIGUSR1", "wrapper SIGTERM"}),
        (ALONE, "leader", {"main SIGUSR1", "wrapper SIGTERM"}),
        (DAEMON, "tree", {"main SIGUSR1"}),
    ],
)
def test_the_process_that_was_named_is_stopped_as_its_worker_is_and_then_whoever_is_left(
    tmp_path: Path, program: str, scope: str, heard: set[str]
) -> None:
    path = site(tmp_path, group("api", python(program.replace("$", "$$")), "USR1", 60, scope) + NOTIFY)
    with on_pipe("up", path) as procman:
        procman.wait_for("worker.running")
        procman.wait_for("^serves$", 1 if program is DAEMON else 2)
        guard_of(procman)
        took, said = kill_core(procman)
    lines = said.split("\n")[:-1]
    assert (sorted(lines), lines[-1] in ("wrapper SIGTERM", "main SIGUSR1")) == (sorted(heard), True)
    assert took < 30


def test_the_number_of_a_leader_is_nobodys_sign_once_another_process_has_it() -> None:
    me = processes.read("self")
    assert me is not None
    rule, now, before = account.rule(15, "tree", 8.0), me.started, me.started - 1

    def numbers(line: bytes, *there: Process) -> list[int]:
        return Tree(Entry(line)).numbers({one.pid: one for one in there})

    assert numbers(account.line(me.pid, rule, now), me) == [me.pid]
    assert numbers(account.line(me.pid, rule, before), me) == []
    assert numbers(account.line(me.pid, rule, before)) == [me.pid]  # a group outlives its leader
    assert numbers(account.line(1, rule, now, me.pid, now), me) == [me.pid, 1]
    assert numbers(account.line(1, rule, now, me.pid, before), me) == [1]
