"""Every signal that can be caught reaches the command, or its group, one for one; job control stops procman too."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from signal import SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU

import pytest

from tests.init.running import ECHO, Running, descendants, field, listens, release, running, until

JOB_CONTROL = [SIGTSTP, SIGTTIN, SIGTTOU]
FORWARDED = sorted(signal.valid_signals() - {SIGKILL, SIGSTOP, SIGCHLD, SIGINT, *JOB_CONTROL})
MODES = pytest.mark.parametrize("mode", [["-v"], ["-c"]], ids=["session", "single-child"])


def ready(init: Running) -> int:
    """The pid of the echo, once it hears everything."""
    word, pid = init.line().split()
    assert word == "ready"
    return int(pid)


def end(init: Running) -> list[str]:
    """Interrupt the echo until it ends; what it had not said yet."""
    init.send(SIGINT)
    said = init.line()
    init.send(SIGINT)
    return [said, *init.rest()]


@MODES
def test_every_signal_is_forwarded_one_for_one(mode: list[str]) -> None:
    with running(*mode, *ECHO) as init:
        ready(init)
        heard = []
        for number in FORWARDED:
            init.send(number)
            heard.append(int(init.line()))
        assert heard == FORWARDED
        assert (end(init), init.status()) == (["2", "2"], 0)


def test_real_time_signals_keep_their_number_of_times() -> None:
    with running(*ECHO) as init:
        ready(init)
        for _ in range(50):
            init.send(signal.SIGRTMIN)
        assert [init.line() for _ in range(50)] == [str(int(signal.SIGRTMIN))] * 50
        assert end(init) == ["2", "2"]


def test_a_child_signal_is_not_forwarded() -> None:
    with running(*ECHO) as init:
        ready(init)
        init.send(SIGCHLD)
        assert end(init) == ["2", "2"]


@pytest.mark.parametrize(
    ("rewrites", "sent", "heard"),
    [
        (["15:2"], [SIGTERM, SIGQUIT, SIGHUP], [SIGINT, SIGQUIT, SIGHUP]),
        (["15:10", "10:15", "3:3"], [SIGTERM, signal.SIGUSR1, SIGQUIT], [signal.SIGUSR1, SIGTERM, SIGQUIT]),
        (["1:31", "31:1"], [1, 31], [31, 1]),
        (["15:3", "15:1"], [SIGTERM], [SIGHUP]),
        (["15:0", "28:0"], [SIGTERM, 28, SIGHUP], [SIGHUP]),
    ],
)
@MODES
def test_signals_are_rewritten_or_dropped(
    mode: list[str], rewrites: list[str], sent: list[int], heard: list[int]
) -> None:
    with running(*mode, *(f"--rewrite={rewrite}" for rewrite in rewrites), *ECHO, "1000") as init:
        ready(init)
        said = []
        for number in sent:
            init.send(number)
            if number not in (28, SIGTERM) or "15:0" not in rewrites:
                said.append(int(init.line()))
        assert said == heard


def test_signals_reach_the_whole_group_by_default() -> None:
    with running("sh", "-c", f"trap '' TERM; {' '.join(ECHO)} & wait; wait") as init:
        ready(init)
        init.send(SIGTERM)
        assert init.line() == "15"


def test_a_single_child_is_signalled_alone() -> None:
    with running("-c", "sh", "-c", f"trap 'echo shell' TERM; {' '.join(ECHO)} & wait; wait") as init:
        echo = ready(init)
        init.send(SIGTERM)
        assert init.line() == "shell"
        os.kill(echo, SIGHUP)
        assert init.line() == "1"


@pytest.mark.parametrize(("mode", "own"), [([], True), (["-c"], False)], ids=["session", "single-child"])
def test_the_child_leads_a_session_or_else_a_group_never_that_of_procman(mode: list[str], own: bool) -> None:
    with running(*mode, *ECHO) as init:
        child = ready(init)
        assert (os.getpgid(child), os.getsid(child)) == (child, child if own else os.getsid(init.pid))
        assert os.getpgid(init.pid) == init.pid


@pytest.mark.parametrize("number", JOB_CONTROL)
def test_job_control_stops_the_group_and_procman_until_cont(number: int) -> None:
    with running(*ECHO) as init:
        child = ready(init)
        init.send(number)
        assert init.stopped_by() == SIGSTOP
        stopped = field(child, "State")
        init.send(SIGCONT)
        assert (stopped, init.line()) == ("T (stopped)", "18")
        assert end(init) == ["2", "2"]


@pytest.mark.parametrize("number", JOB_CONTROL)
def test_job_control_goes_to_a_single_child_as_it_is_and_stops_procman(number: int) -> None:
    with running("-c", *ECHO) as init:
        ready(init)
        init.send(number)
        heard = init.line()
        assert (heard, init.stopped_by()) == (str(int(number)), SIGSTOP)
        init.send(SIGCONT)
        assert init.line() == "18"


def test_a_rewritten_job_control_signal_stops_procman_all_the_same() -> None:
    with running("-r", "21:15", "-r", "20:0", *ECHO) as init:
        ready(init)
        init.send(SIGTTIN)
        assert (init.line(), init.stopped_by()) == ("15", SIGSTOP)
        init.send(SIGCONT)
        assert init.line() == "18"
        init.send(SIGTSTP)
        assert init.stopped_by() == SIGSTOP
        init.send(SIGCONT)
        assert init.line() == "18"


def test_a_signal_that_comes_before_the_command_has_begun_is_not_lost() -> None:
    for _ in range(25):
        with running("sleep", "300") as init:
            until(lambda: listens(init.pid))
            init.send(SIGTERM)
            assert init.status() == 128 + SIGTERM


def test_signals_pending_since_before_procman_reach_the_command() -> None:
    program = (
        "import os, signal, sys; all = {1, 2, 3, 10, 12, 15, 40};"
        "signal.pthread_sigmask(signal.SIG_BLOCK, all);"
        "[os.kill(os.getpid(), number) for number in all]; os.execv(sys.argv[1], sys.argv[1:])"
    )
    with running(*ECHO, before=[sys.executable, "-c", program]) as init:
        ready(init)
        assert [init.line() for _ in range(7)] == ["1", "2", "3", "10", "12", "15", "40"]


@pytest.mark.parametrize(
    ("mode", "heard"),
    [([], ["15", "12"]), (["-r15:1"], ["1", "12"]), (["-r15:0"], ["12"]), (["-c"], ["12"])],
    ids=["session", "rewritten", "dropped", "single-child"],
)
def test_what_is_left_of_the_group_gets_term_at_the_end(mode: list[str], heard: list[str], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with running(*mode, "sh", "-c", f"{' '.join(ECHO)} & read line <{gate}; exit 5") as init:
        echo = ready(init)
        release(gate)
        assert init.status() == 5
        os.kill(echo, signal.SIGUSR2)
        assert sorted(init.line() for _ in heard) == sorted(heard)
        os.kill(echo, SIGKILL)


def test_procman_sleeps_while_nothing_happens() -> None:
    with running(*ECHO) as init:
        ready(init)
        os.kill(init.pid, SIGHUP)
        assert init.line() == "1"
        before = switches(init.pid)
        signal.sigtimedwait({signal.SIGUSR1}, 1.5)
        assert switches(init.pid) - before <= 1  # the way back into its wait, at most


def switches(pid: int) -> int:
    return int(field(pid, "voluntary_ctxt_switches")) + int(field(pid, "nonvoluntary_ctxt_switches"))


def test_words_that_nobody_reads_are_no_signal_to_forward(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with running("-v", "sh", "-c", f"exec {' '.join(ECHO)} 2>{tmp_path}/err", before=NO_READER) as init:
        os.close(write)
        ready(init)
        init.send(SIGHUP)
        assert init.line() == "1"
        assert end(init) == ["2", "2"]


NO_READER = (sys.executable, "-c", "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 2); os.execv(sys.argv[1], sys.argv[1:])")  # fmt: skip  # noqa: E501


def test_nothing_else_is_started() -> None:
    with running(*ECHO) as init:
        child = ready(init)
        assert descendants(init.pid) == [child]
