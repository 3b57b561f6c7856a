"""Beyond the ancestor: nobody is orphaned, whatever ends the parent, and nobody is killed before the grace is over."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.prefork.program import children, events, program, run


def test_sigterm_to_the_parent_ends_the_children_and_then_the_parent_by_sigterm(tmp_path: Path) -> None:
    with program(children(), tmp_path) as it:
        it.wait_for("ready 0", "ready 1")
        it.signal(signal.SIGTERM)
        assert (sorted(it.rest()), it.code, it.err) == (["asked 0", "asked 1"], -signal.SIGTERM, "")


def test_the_parent_dies_after_its_children(tmp_path: Path) -> None:
    still_there = 'say("parent", "is there" if os.getppid() == parent else "is gone"); os._exit(0)'
    with program(children("1", then=still_there), tmp_path) as it:
        it.wait_for("ready 0")
        it.signal(signal.SIGTERM)
        assert (it.rest(), it.code) == (["asked 0", "parent is there"], -signal.SIGTERM)


def test_sigint_to_the_parent_is_a_keyboard_interrupt_once_the_children_have_ended(tmp_path: Path) -> None:
    body = """
        try:
            fork_processes(2)
            say("ready")
            signal.pause()
        except KeyboardInterrupt:
            say("interrupted", task_id(), childless())
        """
    with program(body, tmp_path) as it:
        it.wait_for("ready")
        it.wait_for("ready")
        it.signal(signal.SIGINT)
        assert (it.rest(), it.code, it.err) == (["interrupted None True"], 0, "")


def test_an_ignored_sigint_stays_ignored(tmp_path: Path) -> None:
    body = children('1, log="events"', before="signal.signal(signal.SIGINT, signal.SIG_IGN)")
    with program(body, tmp_path) as it:
        it.wait_for("ready 0")
        it.signal(signal.SIGINT)
        it.signal(signal.SIGTERM)
        assert (it.rest(), it.code) == (["asked 0"], -signal.SIGTERM)
    assert [event["reason"] for event in events(tmp_path / "events") if event["event"] == "site.stopping"] == [
        "SIGTERM"
    ]


def test_a_deaf_child_is_killed_when_its_grace_is_over(tmp_path: Path) -> None:
    with program(children('1, grace="300ms", log="events"', then="pass"), tmp_path) as it:
        it.wait_for("ready 0")
        it.signal(signal.SIGTERM)
        assert (it.rest(), it.code) == (["asked 0"], -signal.SIGTERM)
        assert it.err.endswith("is killed: still there after 300ms of grace\n")
    ended = [event for event in events(tmp_path / "events") if "signal" in event]
    assert [(event["from"], event["signal"]) for event in ended] == [("killing", "SIGKILL")]


def test_a_stopped_child_hears_that_it_is_to_end(tmp_path: Path) -> None:
    with program(children('1, grace="1h"'), tmp_path) as it:
        it.wait_for("ready 0")
        child = int(Path(f"/proc/{it.pid}/task/{it.pid}/children").read_text(encoding="ascii"))
        os.kill(child, signal.SIGSTOP)
        it.signal(signal.SIGTERM)
        assert (it.rest(), it.code) == (["asked 0"], -signal.SIGTERM)


def test_a_second_signal_half_a_second_later_kills_at_once(tmp_path: Path) -> None:
    """The child is the clock: asked to end, it says when more than half a second has passed."""
    clock = 'signal.sigtimedwait([], 0.6); say("later")'
    with program(children('1, grace="1h"', then=clock), tmp_path) as it:
        it.wait_for("ready 0")
        it.signal(signal.SIGTERM)
        it.wait_for("later")
        it.signal(signal.SIGTERM)
        assert (it.rest(), it.code) == ([], -signal.SIGTERM)


def test_a_parent_that_is_killed_takes_its_children_with_it(tmp_path: Path) -> None:
    with program(children(), tmp_path) as it:
        it.wait_for("ready 0", "ready 1")
        it.signal(signal.SIGKILL)
        assert (sorted(it.rest()), it.code) == (["asked 0", "asked 1"], -signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restarted_child_is_ended_too(tmp_path: Path, number: signal.Signals) -> None:
    body = children().replace('say("ready"', 'once(str(task)) and os._exit(1)\n    say("ready"')
    with program(body, tmp_path) as it:
        it.wait_for("ready 0", "ready 1")
        it.signal(number)
        assert (sorted(it.rest()), it.code) == (["asked 0", "asked 1"], -number)


def test_giving_up_ends_the_other_children_first(tmp_path: Path) -> None:
    body = """
        read, write = os.pipe()
        try:
            task = fork_processes(3, max_restarts=0)
        except RuntimeError as error:
            say(error, childless())
            sys.exit(4)
        if task == 0:
            os.read(read, 1), os.read(read, 1)
            os._exit(1)
        signal.signal(signal.SIGTERM, lambda *_: (say("asked", task), os._exit(0)))
        os.write(write, b".")
        while True:
            signal.pause()
        """
    ended = run(body, tmp_path)
    assert (sorted(ended[:2]), ended[2:], ended.code) == (
        ["asked 1", "asked 2"], ["Too many child restarts, giving up True"], 4
    )  # fmt: skip


def test_a_program_that_waits_for_its_next_restart_ends_at_once(tmp_path: Path) -> None:
    body = """
        tell()
        fork_processes(1, backoff={"initial": "1h", "max": "1h", "jitter": 0})
        os._exit(1)
        """
    with program(body, tmp_path) as it:
        it.wait_for("tornado.general WARNING child 0 (pid PID) exited with status 1, restarting in 1h")
        it.signal(signal.SIGTERM)
        assert (it.rest(), it.code) == (["tornado.general INFO SIGTERM: ending all processes"], -signal.SIGTERM)


def test_a_waiting_parent_wakes_for_nothing(tmp_path: Path) -> None:
    body = """
        fork_processes(1)
        def switches():
            signal.sigtimedwait([], 0.6)
            return [line for line in open(f"/proc/{os.getppid()}/status") if line.startswith("voluntary")]
        say(switches() == switches())
        """
    assert [*run(body, tmp_path, warnings="ignore")] == ["True"]
