"""What a fork would break is refused or told before anything is forked; a fork that fails is a failed start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prefork.program import run


@pytest.mark.parametrize(
    "loop",
    [
        "loop = asyncio.new_event_loop()",
        "loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop)",
        "loop = asyncio.Runner(); loop.get_loop()",
    ],
)
def test_an_event_loop_that_exists_before_the_call_is_refused(tmp_path: Path, loop: str) -> None:
    body = f"""
        import asyncio
        {loop}
        try:
            fork_processes(1)
        except RuntimeError as error:
            say(str(error).partition(":")[0])
        loop.close()
        """
    ended = run(body, tmp_path)
    assert ([*ended], ended.err) == (["fork_processes was called after an asyncio event loop was made"], "")


def test_a_running_event_loop_is_refused(tmp_path: Path) -> None:
    body = """
        import asyncio
        async def main():
            try:
                fork_processes(1)
            except RuntimeError as error:
                say(str(error).partition(":")[0])
        asyncio.run(main())
        """
    assert [*run(body, tmp_path)] == ["fork_processes was called after an asyncio event loop was made"]


def test_a_loop_that_is_closed_or_that_nobody_has_any_more_is_no_obstacle(tmp_path: Path) -> None:
    body = """
        import asyncio
        asyncio.run(asyncio.sleep(0))
        asyncio.new_event_loop()
        say(fork_processes(1))
        """
    assert [*run(body, tmp_path, warnings="ignore")] == ["0"]


def test_asyncio_is_not_loaded_to_find_out(tmp_path: Path) -> None:
    body = """
        fork_processes(1)
        say(*{"asyncio", "pydantic", "socket", "multiprocessing", "random"} & {*sys.modules})
        """
    assert [*run(body, tmp_path)] == [""]


def test_other_threads_are_told_of_by_name_before_anything_is_forked(tmp_path: Path) -> None:
    body = """
        import threading
        for name in "mailer", "metrics":
            threading.Thread(target=threading.Event().wait, name=name, daemon=True).start()
        try:
            fork_processes(1)
        except RuntimeWarning as warning:
            say(str(warning).partition(".")[0], task_id())
        """
    assert [*run(body, tmp_path)] == ["fork_processes was called with 2 other threads running: mailer, metrics None"]


def test_the_warning_points_to_who_called(tmp_path: Path) -> None:
    body = """
        import threading
        threading.Thread(target=threading.Event().wait, name="mailer", daemon=True).start()
        say("child", fork_processes(1))
        """
    ended = run(body, tmp_path, warnings="default::RuntimeWarning")
    assert ([*ended], ended.code) == (["child 0"], 0)
    assert ended.err.splitlines()[0].startswith("<string>:")


def test_a_loop_that_runs_in_another_thread_is_that_threads(tmp_path: Path) -> None:
    body = """
        import asyncio, threading
        loop, running = asyncio.new_event_loop(), threading.Event()
        loop.call_soon(running.set)
        threading.Thread(target=loop.run_forever, daemon=True).start()
        running.wait()
        say(fork_processes(1))
        """
    assert [*run(body, tmp_path, warnings="ignore")] == ["0"]


def test_another_thread_than_the_main_one_is_refused(tmp_path: Path) -> None:
    body = """
        import threading
        def call():
            try:
                fork_processes(1)
            except RuntimeError as error:
                say(error)
        thread = threading.Thread(target=call, name="mailer")
        thread.start()
        thread.join()
        """
    assert [*run(body, tmp_path)] == ["fork_processes must be called in the main thread, not in 'mailer'"]


def test_a_fork_that_is_forbidden_ends_the_children_that_there_are_and_says_why(tmp_path: Path) -> None:
    body = """
        forks = []
        def forbid(event, _arguments):
            if event == "os.fork":
                forks.append(event)
                if len(forks) > 1:
                    raise RuntimeError("one fork is enough")
        sys.addaudithook(forbid)
        try:
            fork_processes(2)
        except RuntimeError as error:
            say(error, childless())
            os._exit(3)
        signal.pause()
        """
    ended = run(body, tmp_path)
    assert ([*ended], ended.code) == (["one fork is enough True"], 3)


def test_a_fork_that_fails_is_retried_within_the_restarts_and_is_the_cause_of_giving_up(tmp_path: Path) -> None:
    body = """
        import ctypes, errno, resource
        import procman.prefork.fork_processes
        tell()
        if os.getuid() == 0:  # who may start as many processes as he likes
            os.setgroups([])
            os.setresgid(54321, 54321, 54321)
            os.setresuid(54321, 54321, 54321)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        try:
            fork_processes(1, max_restarts=1)
        except RuntimeError as error:
            say(error, error.__cause__.errno == errno.EAGAIN)
        """
    failed = (
        "tornado.general WARNING child 0 "
        "cannot start: cannot fork: EAGAIN, Resource temporarily unavailable, restarting"
    )
    retried = failed.replace(", restarting", "; 1 restart spent, restarting")
    assert [*run(body, tmp_path)] == [
        "tornado.general INFO Starting 1 processes",
        failed,
        retried,
        "Too many child restarts, giving up True",
    ]
