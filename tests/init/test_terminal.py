"""`procman init` on a terminal: the command gets it, with job control, and nobody loses it."""

from __future__ import annotations

import shlex

import pytest

from tests.init.running import ECHO, INIT
from tests.init.terminals import Screen, screen

MODES = pytest.mark.parametrize("mode", [[], ["-c"]], ids=["session", "single-child"])
BASH = ("bash", "--norc", "--noediting", "-i")
PROCMAN = shlex.join(INIT)
ECHOES = shlex.join(ECHO)


@MODES
def test_a_shell_has_job_control(mode: list[str]) -> None:
    with screen([*INIT, *mode, "--", *BASH]) as shown:
        assert "job control" not in shown.until("$ ")
        shown.type('echo "flags [$-]"\n')
        assert "m" in shown.until("]").partition("[")[2]
        shown.type("sh -c 'echo begun; exec sleep 300'\n")
        shown.until("begun\n")
        shown.type("\x1a")  # Ctrl-Z
        shown.until("Stopped")
        shown.type("kill -KILL %1; disown -a; exit 3\n")
        shown.rest()
        assert shown.status() == 3


@MODES
def test_ctrl_c_ends_the_command_with_130(mode: list[str]) -> None:
    with screen([*INIT, *mode, "sh", "-c", "echo ready; exec sleep 300"]) as shown:
        shown.until("ready\n")
        shown.type("\x03")
        assert (shown.status(), shown.rest().replace("^C", "")) == (130, "")


@MODES
def test_ctrl_backslash_ends_the_command_with_131(mode: list[str]) -> None:
    with screen(["prlimit", "--core=0", *INIT, *mode, "sh", "-c", "echo ready; exec sleep 300"]) as shown:
        shown.until("ready\n")
        shown.type("\x1c")
        assert shown.status() == 131


@MODES
def test_what_is_typed_reaches_the_command(mode: list[str]) -> None:
    with screen([*INIT, *mode, "tac"]) as shown:
        shown.type("1\n2\n3\n\x04")
        assert (shown.rest(), shown.status()) == ("3\n2\n1\n", 0)


def test_the_hang_up_of_the_hand_over_is_swallowed_and_a_later_one_forwarded() -> None:
    with screen([*INIT, "-v", *ECHO]) as shown:
        said = shown.until("ready")
        assert "swallowed signal 1 of the terminal's hand-over" in said
        assert "swallowed signal 18 of the terminal's hand-over" in said
        shown.hang_up()


def test_signals_after_the_hand_over_are_all_forwarded() -> None:
    from os import kill
    from signal import SIGCONT, SIGHUP

    with screen([*INIT, *ECHO]) as shown:
        shown.until("ready ")
        shown.until("\n")
        for number in (SIGHUP, SIGCONT, SIGHUP):
            kill(shown.pid, number)
            assert shown.until("\n") == f"{int(number)}\n"


@MODES
def test_a_terminal_that_goes_away_ends_the_command_by_hang_up(mode: list[str]) -> None:
    with screen([*INIT, *mode, "sh", "-c", "echo ready; exec sleep 300"]) as shown:
        shown.until("ready\n")
        shown.hang_up()
        assert shown.status() == 129


def prompt(shown: Screen) -> None:
    shown.until("$ ")


@MODES
@pytest.mark.parametrize("key", ["\x1a", "kill -TSTP"], ids=["Ctrl-Z", "signal"])
def test_under_a_shell_it_is_a_job_like_any_other(mode: list[str], key: str) -> None:
    words = shlex.join(mode)
    with screen(BASH) as shown:
        prompt(shown)
        if key == "\x1a":
            shown.type(f"{PROCMAN} {words} sh -c 'echo begun; while read line; do echo got $line; done'\n")
            shown.until("begun\n")
            shown.type("one\n")
            shown.until("got one\n")
            shown.type("\x1a")
        else:
            shown.type(f"{PROCMAN} {words} {ECHOES} 1 &\n")
            shown.until("ready")
            shown.type("kill -TSTP %1; wait %1; jobs\n")
        shown.until("Stopped")
        prompt(shown)
        if key == "\x1a":
            shown.type("fg\n")
            shown.until("done'\n")
            shown.type("two\n")
            shown.until("got two\n")
            shown.type("\x03")
        else:
            shown.type("kill -INT %1; fg\n")
        prompt(shown)
        shown.type("echo still here\n")
        shown.until("still here\n")


def test_a_script_has_the_foreground_back_after_a_single_child() -> None:
    with screen(["sh", "-c", f"{PROCMAN} -c true; echo now; read line; echo got $line"]) as shown:
        shown.until("now\n")
        shown.type("hello\n")
        assert (shown.rest(), shown.status()) == ("got hello\n", 0)


@MODES
def test_a_command_in_the_background_does_not_take_the_terminal(mode: list[str]) -> None:
    with screen(BASH) as shown:
        prompt(shown)
        shown.type(f"{PROCMAN} {shlex.join(mode)} sh -c 'echo background' & wait; read line; echo got $line\n")
        shown.until("background\n")
        shown.type("mine\n")
        shown.until("got mine\n")


def test_a_single_child_brought_to_the_foreground_can_read() -> None:
    with screen(BASH) as shown:
        prompt(shown)
        shown.type(f"{PROCMAN} -c sh -c 'echo begun; read line; echo got $line' &\n")
        shown.until("begun\n")
        shown.type("\nwait %1; jobs\n")
        shown.until("Stopped")
        shown.type("fg\n")
        shown.until("$line'\n")
        shown.type("hello\n")
        shown.until("got hello\n")
