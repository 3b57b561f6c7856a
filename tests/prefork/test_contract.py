"""The ancestor's contract, line by line: what programs that use `tornado.process.fork_processes` rely on."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
from pathlib import Path

import procman
from tests.prefork.program import ROOT, events, program, run


def test_its_first_two_arguments_are_those_of_the_ancestor_and_the_rest_are_keywords() -> None:
    parameters = inspect.signature(procman.fork_processes).parameters.values()
    assert [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == [
        ("num_processes", inspect.Parameter.empty),
        ("max_restarts", None),
    ]
    assert {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} == {"window", "backoff", "grace", "log"}


def test_importing_procman_loads_nothing_else() -> None:
    program = "import sys; before = {*sys.modules}; import procman; print(*sorted({*sys.modules} - before))"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r}); {program}"]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30).stdout == b"procman\n"


def test_the_task_id_is_returned_and_known_in_each_child_and_none_in_the_parent(tmp_path: Path) -> None:
    lines = run(
        """
        say("before", task_id())
        try:
            say("child", fork_processes(3), task_id())
        except SystemExit:
            say("parent", task_id())
        """,
        tmp_path,
    )
    assert sorted(lines) == ["before None", "child 0 0", "child 1 1", "child 2 2", "parent None"]


def test_none_zero_and_less_are_one_for_each_cpu_that_may_be_used(tmp_path: Path) -> None:
    body = """
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        for number in (None, 0, -1):
            try:
                say(number, fork_processes(number))
            except SystemExit:
                continue
            break
        """
    assert [*run(body, tmp_path)] == ["None 0", "0 0", "-1 0"]


def test_children_are_forked_in_the_order_of_their_ids(tmp_path: Path) -> None:
    run('fork_processes(4, log="events")', tmp_path)
    begun = [event["task"] for event in events(tmp_path / "events") if event["event"] == "worker.running"]
    assert begun == [0, 1, 2, 3]


def test_a_second_call_in_a_child_fails(tmp_path: Path) -> None:
    body = """
        fork_processes(1)
        try:
            fork_processes(1)
        except AssertionError:
            say("refused")
        """
    assert [*run(body, tmp_path)] == ["refused"]


def test_a_second_call_in_the_parent_after_the_first_has_ended_works(tmp_path: Path) -> None:
    body = """
        try:
            say("first", fork_processes(1))
        except SystemExit:
            say("second", fork_processes(1))
        """
    assert [*run(body, tmp_path)] == ["first 0", "second 0"]


def test_when_all_have_exited_normally_the_parent_exits_with_zero_by_way_of_its_finally_and_atexit(
    tmp_path: Path,
) -> None:
    body = """
        import atexit
        parent = os.getpid()
        atexit.register(lambda: os.getpid() == parent and say("atexit"))
        try:
            fork_processes(2)
        except SystemExit as end:
            say("SystemExit", end.code)
            raise
        finally:
            if os.getpid() == parent:
                say("finally")
        """
    ended = run(body, tmp_path)
    assert ([*ended], ended.code, ended.err) == (["SystemExit 0", "finally", "atexit"], 0, "")


def test_warnings_alone_reach_stderr_by_default(tmp_path: Path) -> None:
    body = """
        if fork_processes(2) == 1 and once("failed"):
            os._exit(9)
        """
    ended = run(body, tmp_path)
    pid = ended.err.partition("(pid ")[2].partition(")")[0]
    assert (ended.err, ended.code) == (f"child 1 (pid {pid}) exited with status 9, restarting\n", 0)


def test_what_was_printed_before_the_forks_is_printed_once(tmp_path: Path) -> None:
    assert [*run('print("hello")\nfork_processes(3)', tmp_path)] == ["hello"]


def test_other_children_of_the_parent_are_reaped_and_ignored(tmp_path: Path) -> None:
    body = """
        tell()
        stranger = os.fork()
        if stranger == 0:
            os._exit(5)
        try:
            task = fork_processes(1)
        except SystemExit:
            try:
                os.waitpid(stranger, 0)
            except ChildProcessError:
                say("reaped")
        """
    assert [*run(body, tmp_path)] == [
        "tornado.general INFO Starting 1 processes",
        "tornado.general INFO child 0 (pid PID) exited normally",
        "reaped",
    ]


def test_a_stopped_child_is_no_ended_one(tmp_path: Path) -> None:
    """The parent, in a handler of its own, waits for the stop; then it is back in procman's hands until USR2."""
    body = """
        def see_it_stop(*_):
            global child
            child = os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOWAIT).si_pid
            say("stopped")

        signal.signal(signal.SIGUSR1, see_it_stop)
        signal.signal(signal.SIGUSR2, lambda *_: os.kill(child, signal.SIGCONT))
        fork_processes(1)
        say("began")
        os.kill(os.getppid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGSTOP)
        say("went on")
        """
    with program(body, tmp_path) as it:
        it.wait_for("began", "stopped")
        it.signal(signal.SIGUSR2)
        assert (it.rest(), it.code, it.err) == (["went on"], 0, "")


def test_asyncio_and_its_subprocesses_work_in_the_children(tmp_path: Path) -> None:
    body = """
        task = fork_processes(2)
        import asyncio

        async def main():
            child = await asyncio.create_subprocess_exec("sh", "-c", f"exit {40 + task}")
            say("status", await asyncio.wait_for(child.wait(), 20))

        asyncio.run(main())
        """
    ended = run(body, tmp_path)
    assert (sorted(ended), ended.code, ended.err) == (["status 40", "status 41"], 0, "")


def test_the_parent_has_one_thread_when_it_forks(tmp_path: Path) -> None:
    body = """
        fork_processes(2)
        say([line for line in open(f"/proc/{os.getppid()}/status") if line.startswith("Threads")][0].split()[1])
        """
    assert [*run(body, tmp_path, warnings="ignore")] == ["1", "1"]


def test_a_tornado_ioloop_that_exists_before_the_call_is_refused(tmp_path: Path) -> None:
    body = """
        from tornado.ioloop import IOLoop
        loop = IOLoop(make_current=False)
        try:
            fork_processes(1)
        except RuntimeError as error:
            say(str(error).partition(":")[0])
        loop.close()
        """
    assert [*run(body, tmp_path)] == ["fork_processes was called after an asyncio event loop was made"]
