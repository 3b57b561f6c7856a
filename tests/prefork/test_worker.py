"""`procman.worker`: what a worker asks and says, in a plain run, under a manager, and in children of its own."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.prefork.program import program, run


def test_its_functions_are_those_of_the_package(tmp_path: Path) -> None:
    body = """
        import procman, procman.worker
        for name in "task_id", "ready", "listen_sockets", "stopping":
            say(getattr(procman, name) is getattr(procman.worker, name), name in procman.__all__)
        """
    assert [*run(body, tmp_path)] == ["True True"] * 4


def test_in_a_plain_run_there_is_no_task_no_socket_and_nobody_to_tell(tmp_path: Path) -> None:
    body = """
        from procman import worker
        say(worker.task_id(), worker.ready("at once"), worker.listen_sockets(), bool(worker.stopping()))
        say(*sorted({"socket", "threading", "asyncio"} & {*sys.modules} - {"threading"}))
        """
    assert [*run(body, tmp_path)] == ["None False [] False", ""]


def test_the_task_id_is_that_of_the_site_and_within_fork_processes_its_own(tmp_path: Path) -> None:
    body = """
        os.environ["PROCMAN_TASK_ID"] = "7"
        say("before", task_id())
        try:
            say("child", fork_processes(1), task_id())
        except SystemExit:
            say("parent", task_id())
        """
    assert [*run(body, tmp_path)] == ["before 7", "child 0 0", "parent 7"]


@pytest.mark.parametrize("abstract", [False, True])
def test_ready_is_told_to_the_notify_socket(tmp_path: Path, abstract: bool) -> None:
    place = str(tmp_path / "notify") if not abstract else f"@procman-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind("\0" + place[1:] if abstract else place)
        body = f"""
            import procman
            os.environ["NOTIFY_SOCKET"] = {place!r}
            say(procman.ready(), procman.ready("3 of 4\\nloaded"))
            """
        assert [*run(body, tmp_path)] == ["True True"]
        assert [notified.recv(100), notified.recv(100)] == [b"READY=1", b"READY=1\nSTATUS=3 of 4 loaded"]


def test_ready_says_that_nobody_is_there(tmp_path: Path) -> None:
    body = """
        import procman
        os.environ["NOTIFY_SOCKET"] = "/nowhere/at/all"
        say(procman.ready())
        """
    assert [*run(body, tmp_path)] == ["False"]


SOCKETS = """
    import socket
    for number in 3, 4:
        made = socket.create_server(("127.0.0.1", 0))
        os.dup2(made.fileno(), number) if made.fileno() != number else os.set_inheritable(number, True)
        made.detach()
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="web:admin")
    import procman
    """


def test_listening_sockets_come_in_their_order_and_by_name_and_are_the_same_ones_again(tmp_path: Path) -> None:
    body = SOCKETS + (
        """
    web, admin = procman.listen_sockets()
    say(web.fileno(), admin.fileno(), os.get_inheritable(3), web.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    say(procman.listen_sockets("admin") == [admin], procman.listen_sockets() == [web, admin])
    """
    )
    assert [*run(body, tmp_path)] == ["3 4 False 1", "True True"]


def test_the_sockets_of_another_process_are_not_this_ones(tmp_path: Path) -> None:
    body = SOCKETS + (
        """
    os.environ["LISTEN_PID"] = str(os.getppid())
    say(procman.listen_sockets())
    """
    )
    assert [*run(body, tmp_path)] == ["[]"]


STOPPING = """
    import procman
    {before}
    stopping = procman.stopping()
    say(bool(stopping), stopping.wait(0), procman.stopping() is stopping)
    """


def test_a_worker_that_is_asked_to_stop_is_told_by_flag_event_and_descriptor(tmp_path: Path) -> None:
    body = STOPPING.format(before="pass") + (
        """
    import select, threading
    waiting = [threading.Thread(target=lambda: say("thread", stopping.wait())) for _ in range(2)]
    for thread in waiting:
        thread.start()
    say("ready")
    say("main", stopping.wait(), bool(stopping), stopping.wait(0))
    say("descriptor", select.select([stopping], [], [])[0] == [stopping])
    for thread in waiting:
        thread.join()
    """
    )
    with program(body, tmp_path) as it:
        it.wait_for("ready")
        it.signal(signal.SIGTERM)
        lines = it.rest()
        assert (sorted(lines), it.code) == (
            ["descriptor True", "main True True True", "thread True", "thread True"],
            0,
        )


def test_a_handler_of_before_is_called_as_well(tmp_path: Path) -> None:
    own = 'signal.signal(signal.SIGTERM, lambda number, _: say("handled", number))'
    body = STOPPING.format(before=own) + "\n    os.kill(os.getpid(), signal.SIGTERM)\n    say(bool(stopping))\n"
    assert [*run(body, tmp_path)] == ["False False True", "handled 15", "True"]


def test_a_forked_child_is_asked_for_itself(tmp_path: Path) -> None:
    body = STOPPING.format(before="pass") + (
        """
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGTERM)
        say("child", stopping.wait())
        os._exit(0)
    os.waitpid(pid, 0)
    say("parent", stopping.wait(0))
    """
    )
    assert [*run(body, tmp_path)] == ["False False True", "child True", "parent False"]


def test_the_first_call_is_the_main_threads(tmp_path: Path) -> None:
    body = """
        import procman, threading
        def first():
            try:
                procman.stopping()
            except RuntimeError as error:
                say(error)
        thread = threading.Thread(target=first)
        thread.start()
        thread.join()
        """
    assert [*run(body, tmp_path)] == [
        "stopping() was first called in another thread than the main one",
        "hint: call it once in the main thread, at the beginning; after that any thread may",
    ]
