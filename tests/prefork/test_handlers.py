"""The program's own signal handlers, mask and threads: they go on working, and what they raise is not lost."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.prefork.program import children, program, run


def test_an_exception_of_one_of_the_programs_handlers_ends_the_children_and_goes_on(tmp_path: Path) -> None:
    body = """
        def fail(*_):
            raise KeyError("from a handler")
        signal.signal(signal.SIGUSR1, fail)
        try:
            fork_processes(2)
        except KeyError as error:
            say(error, task_id(), childless())
            os._exit(3)
        say("ready")
        signal.pause()
        """
    with program(body, tmp_path) as it:
        it.wait_for("ready")
        it.wait_for("ready")
        it.signal(signal.SIGUSR1)
        assert (it.rest(), it.code) == (["'from a handler' None True"], 3)


def test_a_further_exception_meanwhile_only_takes_away_the_grace(tmp_path: Path) -> None:
    own = 'signal.signal(signal.SIGUSR1, lambda *_: {}[os.getpid() == parent and "nothing"])'
    with program(children('1, grace="1h"', then="pass", before=own), tmp_path) as it:
        it.wait_for("ready 0")
        it.signal(signal.SIGUSR1)
        it.wait_for("asked 0")
        it.signal(signal.SIGUSR1)
        assert (it.rest(), it.code, it.err.splitlines()[-1]) == ([], 1, "KeyError: 'nothing'")


def test_the_other_handlers_of_the_program_run_in_the_parent_and_it_goes_on(tmp_path: Path) -> None:
    own = 'signal.signal(signal.SIGUSR1, lambda *_: say("heard in the parent", os.getpid() == parent))'
    with program(children("1", before=own), tmp_path) as it:
        it.wait_for("ready 0")
        it.signal(signal.SIGUSR1)
        it.wait_for("heard in the parent True")
        it.signal(signal.SIGTERM)
        assert (it.rest(), it.code) == (["asked 0"], -signal.SIGTERM)


def test_a_signal_is_heard_whichever_thread_the_kernel_gives_it_to(tmp_path: Path) -> None:
    """The main thread blocks SIGTERM, so another gets it; to the main thread it is never delivered, before or after."""
    body = """
        import threading
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        fork_processes(1)
        say("ready")
        say("asked", signal.sigwait([signal.SIGTERM]))
        """
    with program(body, tmp_path, warnings="ignore") as it:
        it.wait_for("ready")
        it.signal(signal.SIGTERM)
        assert (it.rest(), it.code) == (["asked 15"], 0)


def test_deaths_are_heard_in_a_program_that_blocks_sigchld(tmp_path: Path) -> None:
    body = """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        say("child", fork_processes(2))
        """
    ended = run(body, tmp_path)
    assert (sorted(ended), ended.code) == (["child 0", "child 1"], 0)


def test_what_a_child_is_sent_before_the_call_has_returned_is_for_its_own_handler(tmp_path: Path) -> None:
    body = """
        os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
        signal.signal(signal.SIGTERM, lambda *_: say("own handler"))
        fork_processes(1)
        if once("failed"):
            os._exit(1)
        """
    ended = run(body, tmp_path)
    assert ([*ended], ended.code) == (["own handler", "own handler"], 0)


def test_a_signal_to_the_parent_is_not_for_the_children_that_it_still_has_to_fork(tmp_path: Path) -> None:
    """Two have died; SIGINT comes while the first is restarted, so that the second's restart is decided on as well."""
    body = """
        class Interrupt(logging.Handler):
            def emit(self, record):
                if "restarting" in record.getMessage() and once("interrupted"):
                    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
                    os.kill(os.getpid(), signal.SIGINT)

        logging.getLogger("tornado.general").addHandler(Interrupt())
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            task = fork_processes(2, grace="300ms")
            if once(f"failed {task}"):
                os._exit(1)
            signal.pause()
        except KeyboardInterrupt:
            say("interrupted", task_id(), childless())
        """
    assert [*run(body, tmp_path)] == ["interrupted None True"]


def test_a_handler_of_the_program_runs_when_the_children_have_ended_and_the_parent_exits_with_zero(
    tmp_path: Path,
) -> None:
    own = 'signal.signal(signal.SIGTERM, lambda *_: say("handled", os.getpid() == parent))'
    with program(children(before=own), tmp_path) as it:
        it.wait_for("ready 0", "ready 1")
        it.signal(signal.SIGTERM)
        lines = it.rest()
        assert (sorted(lines[:2]), lines[2:], it.code) == (["asked 0", "asked 1"], ["handled True"], 0)


def test_a_child_that_the_program_itself_has_reaped_counts_as_failed(tmp_path: Path) -> None:
    """Nobody can tell any more how it ended; 255 is what asyncio says as well."""
    body = """
        def steal(*_):
            child = int(open("pid").read())
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

        tell()
        signal.signal(signal.SIGUSR1, steal)
        fork_processes(1)
        if once("pid"):
            with open("pid", "w") as file:
                file.write(str(os.getpid()))
            os.kill(os.getppid(), signal.SIGUSR1)
            signal.pause()
        """
    assert [*run(body, tmp_path)] == [
        "tornado.general INFO Starting 1 processes",
        "tornado.general WARNING child 0 (pid PID) exited with status 255, restarting",
        "tornado.general INFO child 0 (pid PID) exited normally",
    ]
