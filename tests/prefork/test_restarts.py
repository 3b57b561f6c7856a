"""The ancestor's contract, continued: who is restarted, how often, and what the log says of it."""

from __future__ import annotations

from pathlib import Path

from tests.prefork.program import run


def test_a_child_that_exits_with_zero_is_not_restarted(tmp_path: Path) -> None:
    body = """
        tell()
        fork_processes(1)
        """
    assert [*run(body, tmp_path)] == [
        "tornado.general INFO Starting 1 processes",
        "tornado.general INFO child 0 (pid PID) exited normally",
    ]


def test_a_child_that_fails_is_restarted_under_its_id_and_returns_from_the_same_call(tmp_path: Path) -> None:
    endings = {
        "sys.exit(3)": "exited with status 3",
        "1 / 0": "exited with status 1",
        "os._exit(255)": "exited with status 255",
        "os.kill(os.getpid(), signal.SIGKILL)": "killed by signal 9",
        "os.kill(os.getpid(), signal.SIGTERM)": "killed by signal 15",
    }
    for number, (ending, how) in enumerate(endings.items()):
        directory = tmp_path / str(number)
        directory.mkdir()
        body = f"""
            tell()
            sys.excepthook = lambda *_: None
            task = fork_processes(2)
            say("child", task, task_id())
            if task == 1 and once("failed"):
                open("pid", "w").write(str(os.getpid()))
                {ending}
            if task == 1:
                say("a new pid", os.getpid() != int(open("pid").read()))
            """
        lines = run(body, directory)
        assert sorted(line for line in lines if line.startswith("child")) == ["child 0 0", "child 1 1", "child 1 1"]
        assert lines.count("a new pid True") == 1
        assert lines.count(f"tornado.general WARNING child 1 (pid PID) {how}, restarting") == 1


def test_the_restarts_are_counted_over_all_children_and_a_failure_beyond_them_raises(tmp_path: Path) -> None:
    for number, (argument, failures) in enumerate({"0": 1, "2": 3, "None": 101}.items()):
        directory = tmp_path / str(number)
        directory.mkdir()
        body = f"""
            try:
                task = fork_processes(1, {argument})
            except RuntimeError as error:
                say(error, task_id(), error.__cause__)
                os._exit(0)
            say("fails")
            os._exit(1)
            """
        assert [*run(body, directory)] == [
            *failures * ["fails"],
            "Too many child restarts, giving up None None",
        ]


def test_the_restarts_are_shared_by_the_children(tmp_path: Path) -> None:
    body = """
        task = fork_processes(3, max_restarts=2)
        if once(f"failed {task}"):
            os._exit(1)
        signal.pause()
        """
    ended = run(body, tmp_path)
    assert (ended.code, ended.err.splitlines()[-1]) == (1, "RuntimeError: Too many child restarts, giving up")


def test_the_failure_that_makes_it_give_up_is_logged_as_the_others_are(tmp_path: Path) -> None:
    body = """
        tell()
        try:
            fork_processes(1, 1)
        except RuntimeError:
            os._exit(0)
        os._exit(7)
        """
    assert [*run(body, tmp_path)] == [
        "tornado.general INFO Starting 1 processes",
        "tornado.general WARNING child 0 (pid PID) exited with status 7, restarting",
        "tornado.general WARNING child 0 (pid PID) exited with status 7, restarting",
    ]
