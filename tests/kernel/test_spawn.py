"""Starting workers: what fails and how it is told, and what a worker finds when it begins."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from procman.kernel.spawn.starter import draw
from procman.plan import LogPlan
from procman.policy.events import ConfigureLog, Execed, Exited, Forked, StartFailed, TimePassed
from tests.kernel.playing import SLEEP, Stage, kill, play, spawn

PATHS = ("vfork", "fork")

FAILURES: dict[str, tuple[tuple[str, ...], dict[str, Any], tuple[str, str, str]]] = {
    "bare command": (("pythn3",), {}, ("exec", "ENOENT", "pythn3: command not found")),
    "empty command": (("",), {}, ("exec", "ENOENT", ": command not found")),
    "no such file": (("{tmp}/nothing",), {}, ("exec", "ENOENT", "{tmp}/nothing: no such file")),
    "relative file": (("./nothing",), {"cwd": "{tmp}"}, ("exec", "ENOENT", "./nothing: no such file")),
    "dead link": (("{tmp}/link",), {}, ("exec", "ENOENT", "{tmp}/link: a symbolic link to nothing")),
    "below a file": (("{tmp}/plain/x",), {}, ("exec", "ENOTDIR", "{tmp}/plain/x: no such file")),
    "not executable": (("{tmp}/plain",), {}, ("exec", "EACCES", "{tmp}/plain: permission denied")),
    "directory": (("{tmp}",), {}, ("exec", "EACCES", "{tmp}: is a directory")),
    "no interpreter": (
        ("{tmp}/orphan.sh",),
        {},
        ("exec", "ENOENT", "{tmp}/orphan.sh: its interpreter /usr/bin/nope is missing"),
    ),
    "interpreter not executable": (
        ("{tmp}/indirect.sh",),
        {},
        ("exec", "EACCES", "{tmp}/indirect.sh: its interpreter {tmp}/plain: permission denied"),
    ),
    "no interpreter, found on PATH": (
        ("orphan.sh",),
        {"env": (("PATH", "/nowhere:{tmp}"),)},
        ("exec", "ENOENT", "{tmp}/orphan.sh: its interpreter /usr/bin/nope is missing"),
    ),
    "not a program": (
        ("{tmp}/text",),
        {},
        ("exec", "ENOEXEC", "{tmp}/text: not an executable format (a script needs a first line such as #!/bin/sh)"),
    ),
    "endless link": (("{tmp}/loop",), {}, ("exec", "ELOOP", "{tmp}/loop: Too many levels of symbolic links")),
    "too much": (
        ("/bin/true", "x" * 3_000_000),
        {},
        ("exec", "E2BIG", "/bin/true: its arguments and environment are too long"),
    ),
    "NUL byte": (("/bin/true", "a\0b"), {}, ("exec", "EINVAL", "/bin/true: embedded null byte")),
    "no directory": (
        SLEEP,
        {"cwd": "{tmp}/missing"},
        ("cwd", "ENOENT", "working directory {tmp}/missing does not exist"),
    ),
    "directory is a file": (
        SLEEP,
        {"cwd": "{tmp}/plain"},
        ("cwd", "ENOTDIR", "working directory {tmp}/plain is not a directory"),
    ),
}


def filled(value: Any, tmp: str) -> Any:
    """The table's value with its directory put in."""
    if isinstance(value, str):
        return value.replace("{tmp}", tmp)
    if isinstance(value, dict):
        return {key: filled(item, tmp) for key, item in value.items()}
    return tuple(filled(item, tmp) for item in value)


def test_a_thousand_draws_differ_and_are_spread_evenly() -> None:
    drawn = [draw() for _ in range(1000)]
    assert all(0 <= number < 1 for number in drawn)
    assert len(set(drawn)) > 990
    assert all(50 < sum(tenth <= number * 10 < tenth + 1 for number in drawn) < 150 for tenth in range(10))


def failing_starts(tmp: str, path: str) -> list[list[str]]:
    stage = Stage()
    for task, (command, fields, _) in enumerate(FAILURES.values()):
        stage.perform(spawn(*filled(command, tmp), task=task, spawn=path, **filled(fields, tmp)))
    failed = sorted(stage.until(StartFailed, len(FAILURES)), key=lambda fact: fact.worker.task)
    assert all(0 <= fact.draw < 1 for fact in failed)
    return [[fact.stage, os.strerror(fact.errno), fact.reason] for fact in failed]


@pytest.mark.parametrize("path", PATHS)
def test_every_failed_start_says_what_failed_and_why(tmp_path: Path, path: str) -> None:
    for name, text in {
        "plain": "",
        "text": "just words\n",
        "orphan.sh": "#!/usr/bin/nope -x\n",
        "indirect.sh": f"#! {tmp_path}/plain\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o644 if name == "plain" else 0o755)
    (tmp_path / "link").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    expected = [filled(expectation, str(tmp_path)) for _, _, expectation in FAILURES.values()]
    expected = [[stage, os.strerror(getattr(errno, code)), reason] for stage, code, reason in expected]
    assert expected == play(failing_starts, str(tmp_path), path).value


def a_failed_fork_path() -> list[str]:
    stage = Stage()
    stage.perform(spawn("pythn3", spawn="fork"))
    stage.until(Exited)
    return stage.names()


def test_a_forked_start_that_fails_is_forked_then_failed_then_exited() -> None:
    assert play(a_failed_fork_path).value == ["Forked", "StartFailed", "Exited"]


def starts_without_room(path: str) -> list[list[Any]]:
    stage = Stage()
    in_use = len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use, former[1]))
    stage.perform(spawn(*SLEEP, spawn=path))
    resource.setrlimit(resource.RLIMIT_NOFILE, former)
    stage.perform(spawn(*SLEEP, spawn=path))
    stage.until(Execed, 1 if path == "fork" else 2)
    return [[fact.stage, fact.reason] for fact in stage.events if isinstance(fact, StartFailed)]


def test_out_of_descriptors_a_fork_fails_and_works_again_afterwards() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reason = f"cannot fork: EMFILE, Too many open files (ulimit -Hn is {hard})"
    assert play(starts_without_room, "fork").value == [["fork", reason]]


def test_the_fast_path_needs_no_descriptor() -> None:
    assert play(starts_without_room, "vfork").value == []


def starts_without_processes(path: str) -> list[Any]:
    stage = Stage()
    if os.getuid() == 0:
        os.setgid(54321)
        os.setuid(54321)  # no limit holds for root
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    stage.perform(spawn(*SLEEP, spawn=path))
    (failed,) = stage.until(StartFailed)
    return [stage.names(), failed.stage, failed.reason]


@pytest.mark.parametrize("path", PATHS)
def test_a_fork_that_the_kernel_refuses_is_a_failed_start_without_a_process(path: str) -> None:
    expected = [["StartFailed"], "fork", "cannot fork: EAGAIN, Resource temporarily unavailable"]
    assert expected == play(starts_without_processes, path).value


def environments(path: str) -> None:
    stage = Stage()
    stage.perform(ConfigureLog("shop", LogPlan()))
    env = (("GONE", None), ("SET", "a=b#c%d"), ("EMPTY", ""), ("PORT", "80${PROCMAN_TASK_ID}"), ("CASH", "$$${X}$"))
    stage.perform(spawn("env", task=3, env=env, spawn=path))
    stage.until(Exited)


@pytest.mark.parametrize("path", PATHS)
def test_a_worker_has_the_cores_environment_with_its_changes_and_nothing_else(path: str) -> None:
    given = {"PATH": os.environ["PATH"], "GONE": "1", "SET": "old", "KEPT": "x y", "PROCMAN_GROUP": "outer"}
    expected = {
        "PATH": os.environ["PATH"],
        "KEPT": "x y",
        "SET": "a=b#c%d",
        "EMPTY": "",
        "PORT": "803",
        "CASH": "$${X}$",
        "PROCMAN_SITE": "shop",
        "PROCMAN_GROUP": "api",
        "PROCMAN_TASK_ID": "3",
        "PROCMAN_GENERATION": "1",
    }
    lines = play(environments, path, env=given).output.splitlines()
    assert expected == dict(line.split("=", 1) for line in lines)


def templates(tmp: str) -> None:
    stage = Stage()
    words = ("echo", "${PROCMAN_GROUP}.${PROCMAN_TASK_ID}.${PROCMAN_GENERATION}", "$${PROCMAN_GROUP}", "$$$$", "$HOME")
    stage.perform(spawn(*words, task=7))
    stage.until(Exited)
    stage.perform(spawn("pwd", task=7, cwd=f"{tmp}/task-${{PROCMAN_TASK_ID}}"))
    stage.until(Exited)


def test_templates_are_filled_in_for_each_worker(tmp_path: Path) -> None:
    (tmp_path / "task-7").mkdir()
    expected = ["api.7.1 ${PROCMAN_GROUP} $$ $HOME", f"{tmp_path.resolve()}/task-7"]
    assert expected == play(templates, str(tmp_path)).output.splitlines()


def commands_by_path(tmp: str) -> None:
    stage = Stage()
    for path in (f"{tmp}/a:{tmp}/b", f"{tmp}/b", ":/bin"):
        stage.perform(spawn("which-one", env=(("PATH", path),), cwd=f"{tmp}/c"))
        stage.until(Exited)


def test_a_bare_command_is_the_first_that_may_run_on_the_workers_own_path(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which-one").write_text(f"#!/bin/sh\necho {name}\n", encoding="utf-8")
        (tmp_path / name / "which-one").chmod(0o644 if name == "a" else 0o755)
    assert play(commands_by_path, str(tmp_path)).output.split() == ["b", "b", "c"]


def umasks(path: str) -> list[str]:
    os.umask(0o022)
    stage = Stage()
    for umask in (None, 0o077, 0):
        stage.perform(spawn("sh", "-c", "umask", umask=umask, spawn=path))
        stage.until(Exited)
    return [f"{os.umask(0o022):04o}", os.getcwd()]  # noqa: PTH109


@pytest.mark.parametrize("path", PATHS)
def test_a_worker_has_its_umask_and_the_core_keeps_its_own(path: str) -> None:
    played = play(umasks, path)
    assert played.output.split() == ["0022", "0077", "0000"]
    assert ["0022", os.getcwd()] == played.value  # noqa: PTH109


SURROUNDINGS = ("SigBlk", "SigIgn", "SigCgt")


def surroundings(path: str) -> dict[str, Any]:
    stage = Stage()
    stage.perform(spawn(*SLEEP, spawn=path))
    stage.until(Execed)
    pid = next(fact.pid for fact in stage.events if isinstance(fact, Forked))
    proc = Path(f"/proc/{pid}")
    # Execed is told when exec can no longer fail; the program's own start, with files of its own, is still to come.
    while " (sleep) S " not in (proc / "stat").read_text(encoding="utf-8"):
        assert isinstance(stage.kernel.wait(stage.kernel.now() + 0.001), TimePassed)
    status = dict(line.split(":\t") for line in (proc / "status").read_text(encoding="utf-8").splitlines())
    return {
        "descriptors": sorted(entry.name for entry in (proc / "fd").iterdir()),
        "stdin": str((proc / "fd/0").readlink()),
        "stdout": str((proc / "fd/1").readlink()),
        "signals": {name: int(status[name], 16) for name in SURROUNDINGS},
        "session": os.getsid(pid) == os.getpgid(pid) == pid,
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("closed", [False, True])
def test_a_worker_begins_with_clean_descriptors_signals_and_session(path: str, closed: bool) -> None:
    def nasty() -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR2, signal.SIGRTMIN):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM})
        os.dup2(2, 7)  # open, and inherited

    redirect = ("sh", "-c", 'exec "$@" <&- >&-', "-") if closed else ()
    found = play(surroundings, path, prefix=redirect, preexec_fn=nasty).value
    stdout = found.pop("stdout")
    assert (stdout == "/dev/null") is closed
    expected = {
        "descriptors": ["0", "1", "2"],
        "stdin": "/dev/null",
        "signals": dict.fromkeys(SURROUNDINGS, 0),
        "session": True,
    }
    assert expected == found


def terms_at_once(path: str) -> list[int | None]:
    stage = Stage()
    ends = []
    for _ in range(20):
        stage.perform(spawn(*SLEEP, spawn=path))
        (forked,) = stage.until(Forked)
        stage.perform(kill(forked.pid, signal.SIGTERM))
        ends += [exited.signal for exited in stage.until(Exited)]
    return ends


@pytest.mark.parametrize("path", PATHS)
def test_a_term_right_after_the_fork_is_not_swallowed(path: str) -> None:
    assert play(terms_at_once, path).value == [signal.SIGTERM] * 20
