"""`procman init` as process 1 of a pid namespace, or in its stead: orphans, the end, and its own parent's end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.init.running import DEADLINE_S, ECHO, INIT, OWN_PIDS, listens, release, run, running, until

needs_namespaces = pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run([*OWN_PIDS, "true"], capture_output=True, check=False).returncode != 0,
    reason="no right to make a pid namespace",
)

ORPHANS = (
    "import os\n"
    "for _ in range({count}):\n"
    "    if not (pid := os.fork()):\n"
    "        os.fork() or os._exit(0)\n"
    "        os._exit(0)\n"
    "    os.waitpid(pid, 0)\n"
)
"""Makes orphans that end, and waits for their parents only."""

ZOMBIES = """
import os
def is_zombie(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(") ")[2][0] == "Z"
    except OSError:  # reaped meanwhile
        return False
while any(is_zombie(pid) for pid in os.listdir("/proc") if pid.isdigit()):
    os.sched_yield()
print("no zombie")
"""


@needs_namespaces
def test_as_process_1_five_thousand_orphans_leave_no_zombie() -> None:
    program = ORPHANS.format(count=5_000) + ZOMBIES
    done = run(sys.executable, "-S", "-c", program, before=OWN_PIDS, timeout=5 * DEADLINE_S)
    assert done == (0, "no zombie\n", "")


@pytest.mark.parametrize("flag", ["-s", "--subreaper"])
def test_a_subreaper_reaps_orphans_too(flag: str) -> None:
    program = ORPHANS.format(count=200) + (
        "init = os.getppid()\n"
        "while open(f'/proc/{init}/task/{init}/children').read().split() != [str(os.getpid())]:\n"
        "    os.sched_yield()\n"
        "print('alone')\n"
    )
    assert run(flag, sys.executable, "-S", "-c", program) == (0, "alone\n", "")


@pytest.mark.parametrize(("flags", "adopted"), [([], False), (["-s"], True), (["-s", "--no-subreaper"], False)])
def test_orphans_become_children_of_a_subreaper_only(flags: list[str], adopted: bool) -> None:
    program = (
        "import os, sys\n"
        "init = os.getppid()\n"
        "read, write = os.pipe()\n"
        "if not os.fork():\n"
        "    middle = os.getpid()\n"
        "    if not os.fork():\n"
        "        while os.getppid() == middle: os.sched_yield()\n"
        "        os.write(write, b'yes' if os.getppid() == init else b'no')\n"
        "    os._exit(0)\n"
        "print(os.read(read, 9).decode())\n"
    )
    assert run(*flags, sys.executable, "-S", "-c", program).out == ("yes\n" if adopted else "no\n")


@needs_namespaces
@pytest.mark.parametrize("before", [OWN_PIDS, ()], ids=["process 1", "subreaper"])
def test_reaped_orphans_are_told_when_asked_for(before: tuple[str, ...]) -> None:
    program = ORPHANS.format(count=3) + (
        "init = os.getppid()\n"
        "while open(f'/proc/{init}/task/{init}/children').read().split() != [str(os.getpid())]:\n"
        "    os.sched_yield()\n"
    )
    said = run("-s", "--warn-on-reap", sys.executable, "-S", "-c", program, before=before).err.splitlines()
    assert [line.rstrip("0123456789") for line in said] == ["procman: reaped the orphan "] * 3


def test_who_wants_orphans_reaped_and_cannot_is_told_so() -> None:
    expected = "procman: not process 1 and no subreaper: orphans are not reaped here (hint: --subreaper)"
    assert run("-w", "true") == (0, "", f"{expected}\n")
    assert run("-v", "true").err.splitlines()[0] == expected
    assert run("-w", "-s", "true") == (0, "", "")
    assert run("true") == (0, "", "")


@needs_namespaces
@pytest.mark.parametrize("mode", [[], ["-c"]], ids=["session", "single-child"])
def test_process_1_forwards_signals_from_outside_its_namespace(mode: list[str]) -> None:
    with running(*mode, *ECHO, before=OWN_PIDS) as init:
        assert init.line().startswith("ready ")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.kill(child_of(init.pid), number)
            assert init.line() == str(int(number))
        assert init.status() == 0


@needs_namespaces
def test_process_1_ends_with_128_plus_n_and_everything_with_it() -> None:
    command = "setsid sh -c 'trap \"\" TERM HUP; echo deaf; while :; do sleep 300; done' & wait"
    with running("sh", "-c", command, before=OWN_PIDS) as init:
        assert init.line() == "deaf"
        os.kill(child_of(init.pid), signal.SIGTERM)
        assert (init.status(), init.rest()) == (143, [])


@needs_namespaces
def test_a_signal_to_process_1_before_the_command_has_begun_is_not_lost() -> None:
    for _ in range(15):
        with running("sleep", "300", before=OWN_PIDS) as init:
            until(lambda: child_of(init.pid) > 0)
            one = child_of(init.pid)
            until(lambda: listens(one))  # noqa: B023
            os.kill(one, signal.SIGTERM)
            assert init.status() == 143


@needs_namespaces
def test_process_1_does_not_stop_for_job_control() -> None:
    with running(*ECHO, before=OWN_PIDS) as init:
        assert init.line().startswith("ready ")
        one = child_of(init.pid)
        for number in (signal.SIGTSTP, signal.SIGCONT):
            os.kill(one, number)
        assert init.line() == "18"


def child_of(pid: int) -> int:
    """The only child of a process; 0 if there is none yet."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0


# --- draining --------------------------------------------------------------------------------------------------

SLOW = "trap 'read line <{gate}; echo drained; exit' TERM; echo ready; while :; do read line <{never}; done"


def slow_group(place: Path) -> list[str]:
    """A command that ends and leaves one in its group that ends when the gate is opened after TERM."""
    for name in ("gate", "never", "end"):
        os.mkfifo(place / name)
    slow = SLOW.format(gate=place / "gate", never=place / "never")
    return ["sh", "-c", f'sh -c "{slow}" & read line <{place}/end; exit 4']


@pytest.mark.parametrize("before", [OWN_PIDS, ()], ids=["process 1", "elsewhere"])
@needs_namespaces
def test_draining_waits_for_what_is_left_of_the_group(before: tuple[str, ...], tmp_path: Path) -> None:
    with running("--drain", "30s", *slow_group(tmp_path), before=before) as init:
        assert init.line() == "ready"
        release(tmp_path / "end")
        release(tmp_path / "gate")
        assert (init.line(), init.status()) == ("drained", 4)


def test_draining_ends_at_its_deadline(tmp_path: Path) -> None:
    with running("--drain", "50ms", *echo_left(tmp_path)) as init:
        echo = int(init.line().split()[1])
        release(tmp_path / "end")
        assert (init.status(), init.line()) == (4, "15")
        os.kill(echo, signal.SIGKILL)


def echo_left(place: Path) -> list[str]:
    os.mkfifo(place / "end")
    return ["sh", "-c", f"{' '.join(ECHO)} & read line <{place}/end; exit 4"]


def test_while_draining_signals_still_reach_the_group(tmp_path: Path) -> None:
    with running("--drain", "30s", *echo_left(tmp_path)) as init:
        assert init.line().startswith("ready ")
        release(tmp_path / "end")
        assert init.line() == "15"
        init.send(signal.SIGINT)
        assert init.line() == "2"
        init.send(signal.SIGINT)
        assert (init.line(), init.status()) == ("2", 4)


def test_draining_with_nothing_left_takes_no_time() -> None:
    assert run("--drain", "1h", "sh", "-c", "exit 6").status == 6


def test_draining_after_a_single_child_waits_without_a_term(tmp_path: Path) -> None:
    with running("-c", "--drain", "30s", *echo_left(tmp_path)) as init:
        echo = int(init.line().split()[1])
        release(tmp_path / "end")
        for _ in range(2):
            os.kill(echo, signal.SIGINT)
            assert init.line() == "2"
        assert init.status() == 4


# --- the parent's end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["USR1", "SIGTERM"])
def test_the_parents_end_reaches_the_command_as_the_signal_asked_for(name: str) -> None:
    number = signal.Signals["SIG" + name.removeprefix("SIG")]
    with subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *INIT, "-p", name, *ECHO, "1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        echo = int(parent.stdout.readline().split()[1])
        parent.kill()
        heard = parent.stdout.readline()
        os.kill(echo, signal.SIGINT)
        assert (heard, parent.stdout.read()) == (f"{int(number)}\n", "2\n")


def test_without_the_option_the_parents_end_is_no_news() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *INIT, *ECHO, "1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        echo = int(parent.stdout.readline().split()[1])
        parent.kill()
        parent.wait(DEADLINE_S)
        os.kill(echo, signal.SIGINT)
        assert parent.stdout.read() == "2\n"


def test_nothing_of_ctypes_is_loaded_unless_asked_for() -> None:
    for flags, loaded in (([], False), (["-s"], True)):
        maps = run(*flags, "sh", "-c", "cat /proc/$PPID/maps").out
        assert ("_ctypes" in maps) is loaded
