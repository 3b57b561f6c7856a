"""The zygote of a Python group: its gate, its code, its falls. Its workers never notice."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.site import processes
from tests.site.python import app, ask, group, zygotes
from tests.site.running import up
from tests.site.sites import FOREVER, site_of
from tests.site.sites import group as command

NO_RETRY = "restart = { max_restarts = 0 }"
THREADS = """
import threading

def metrics():
    threading.Thread(target=threading.Event().wait, name="metrics", daemon=True).start()

metrics()
"""


def test_a_program_whose_imports_start_threads_is_refused_with_their_names_and_what_started_them(
    tmp_path: Path,
) -> None:
    app(tmp_path, THREADS)
    with up(tmp_path, site_of(group("app", "app:serve", NO_RETRY))) as site:
        reason = f"a fork would lose 1 thread: metrics, started by {tmp_path}/app.py:16"
        assert site.until("helper.failed")["reason"] == f"the zygote of app failed: {reason}"
        assert site.until("worker.failed")["reason"] == f"cannot start: {reason}; no restarts allowed"
        assert site.wait() == 12


RAW = """
import _thread, time
_thread.start_new_thread(time.sleep, (3600,))
"""


def test_a_thread_that_python_does_not_know_is_told_by_the_import_that_started_it(tmp_path: Path) -> None:
    app(tmp_path, RAW, name="driver")
    app(tmp_path, "import driver\nimport colorsys")
    with up(tmp_path, site_of(group("app", "app:serve", NO_RETRY))) as site:
        reason = site.until("helper.failed")["reason"]
        who = "a thread of no Python (zygote:app), started by the import of driver"
        assert reason == f"the zygote of app failed: a fork would lose 1 thread: {who}"


def test_threads_of_a_library_that_ends_them_in_a_fork_are_no_obstacle(tmp_path: Path) -> None:
    """OpenBLAS, under numpy, has a thread for each CPU; where there is one CPU it has none."""
    more = """
        import numpy
        ones = numpy.ones((200, 200))
        ones @ ones
        def multiply():
            say("sum", (ones @ ones).sum(), len(os.listdir("/proc/self/task")))
        """
    app(tmp_path, more)
    with up(tmp_path, site_of(group("app", "app:multiply", "workers = 2"))) as site:
        assert {line.split()[1] for line in site.until_said("sum", 2)} == {"8000000.0"}


def test_under_threads_warn_workers_are_forked_all_the_same(tmp_path: Path) -> None:
    app(tmp_path, THREADS + 'say("imported")\n')
    with up(tmp_path, site_of(group("app", "app:serve", 'threads = "warn"', "workers = 2"))) as site:
        event = site.until("helper.ready")
        told = f"but a fork would lose 1 thread: metrics, started by {tmp_path}/app.py:16"
        assert (event["level"], event["reason"]) == ("warning", f"the zygote of app has imported app:serve, {told}")
        site.until_said("up", 2)
        assert site.words.count("imported") == 1
        assert [line for line in site.foreign if "Warning" in line] == []


def test_under_threads_spawn_every_worker_imports_for_itself_and_there_is_no_zygote(tmp_path: Path) -> None:
    app(tmp_path, THREADS + 'say("imported")\n')
    with up(tmp_path, site_of(group("app", "app:serve", 'threads = "spawn"', "workers = 2"))) as site:
        site.until_said("up", 2)
        site.until_said("imported", 3)
        site.until("worker.running", count=2)
        assert zygotes(site) == {}
        assert {processes.status(pid, "Threads") for pid in site.pids().values()} == {"2"}
        os.kill(site.pids()["app:0"], signal.SIGKILL)
        site.until_said("imported", 4)


def test_an_event_loop_that_an_import_makes_is_refused(tmp_path: Path) -> None:
    app(tmp_path, "import asyncio\nloop = asyncio.new_event_loop()")
    with up(tmp_path, site_of(group("app", "app:serve", NO_RETRY))) as site:
        assert "an asyncio event loop was made by an import" in site.until("helper.failed")["reason"]


@pytest.mark.parametrize(
    ("callable_", "reason"),
    [
        ("nothing:run", "ModuleNotFoundError: No module named 'nothing'"),
        ("app:nothing", "AttributeError: module 'app' has no attribute 'nothing'"),
        ("app:os.sep", "TypeError: app:os.sep is not callable: it is of type str"),
        ("broken:run", "ZeroDivisionError: division by zero"),
        ("leaves:run", "SystemExit: 3"),
        ("dies:run", "its zygote ended before it had imported the program"),
    ],
)
def test_a_program_that_cannot_be_imported_is_a_failed_start_with_the_last_line_of_its_traceback(
    tmp_path: Path, callable_: str, reason: str
) -> None:
    app(tmp_path)
    app(tmp_path, "def deep():\n    1 / 0\ndeep()\n", name="broken")
    app(tmp_path, "sys.exit(3)", name="leaves")
    app(tmp_path, "os.kill(os.getpid(), 9)", name="dies")
    with up(tmp_path, site_of(group("app", callable_, "restart = { max_restarts = 1, backoff = false }"))) as site:
        site.until("site.stopped")
        assert site.states("app:0") == ["starting", "backoff", "starting", "failed"]
        assert site.told("worker.backoff")[0]["reason"] == f"cannot start: {reason}"
        assert len(site.told("helper.failed")) == 2
        traces = [line for line in site.foreign if line.startswith("  File")]
        assert all(str(tmp_path) in line for line in traces), "only lines of the program"
        assert len(traces) == (4 if callable_ == "broken:run" else 2 if callable_ == "leaves:run" else 0)
        site.foreign = []


def test_a_zygote_that_cannot_be_executed_says_why_as_a_command_does(tmp_path: Path) -> None:
    app(tmp_path)
    with up(tmp_path, site_of(group("app", "app:serve", 'python = "/no/such/python"'))) as site:
        assert site.wait() == 12
        assert site.told("worker.failed")[0]["reason"] == "cannot start: /no/such/python: no such file; not retried"


# --- falls -------------------------------------------------------------------------------------------------


def test_a_zygote_that_dies_is_replaced_without_touching_its_workers(tmp_path: Path) -> None:
    app(tmp_path, 'say("imported")\n')
    with up(tmp_path, site_of(group("app", "app:serve", "workers = 2"))) as site:
        site.until_said("up", 2)
        site.until("worker.running", count=2)
        before = site.pids()
        for count in (1, 2):
            os.kill(zygotes(site)["zygote:app"], signal.SIGKILL)
            assert "was killed by SIGKILL; it is started again" in site.until("helper.ended", count=count)["reason"]
            site.until("helper.ready", count=count + 1)
        assert site.pids() == before
        os.kill(before["app:1"], signal.SIGKILL)
        assert site.until("worker.running", "app:1", 2)["pid"] not in before.values()
        assert (site.pids()["app:0"], site.words.count("imported")) == (before["app:0"], 3)


def test_who_is_to_start_while_the_zygote_is_down_starts_when_it_is_back(tmp_path: Path) -> None:
    app(tmp_path)
    with up(tmp_path, site_of(group("app", "app:serve", "workers = 2"))) as site:
        site.until("worker.running", count=2)
        before = site.pids()
        zygote = zygotes(site)["zygote:app"]
        os.kill(zygote, signal.SIGSTOP)  # now it bears nobody
        os.kill(before["app:0"], signal.SIGKILL)
        site.until("worker.starting", "app:0", 2)
        os.kill(zygote, signal.SIGKILL)
        site.until("helper.ended")
        site.until("worker.running", "app:0", 2)
        assert site.pids()["app:1"] == before["app:1"]


def test_what_is_sent_to_all_of_a_cgroup_ends_no_zygote_and_its_workers_hear_it(tmp_path: Path) -> None:
    more = """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        def work():
            say("blocked", signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            signal.pause()
        """
    app(tmp_path, more)
    with up(tmp_path, site_of(group("app", "app:work", "workers = 2"))) as site:
        assert site.until_said("blocked", 2) == ["blocked set()"] * 2
        site.until("worker.running", count=2)
        os.kill(zygotes(site)["zygote:app"], signal.SIGTERM)
        os.kill(site.pids()["app:0"], signal.SIGTERM)
        site.until("worker.running", "app:0", 2)
        assert site.told("helper.ended") == []


def test_a_stop_does_not_wait_for_an_import_that_hangs(tmp_path: Path) -> None:
    app(tmp_path, 'say("imports")\nsignal.pause()\n')
    with up(tmp_path, site_of(group("app", "app:serve", "workers = 3"))) as site:
        site.until_said("imports")
        assert site.stop() == 0
        assert site.states("app:2") == ["starting", "stopped"]


# --- new code ----------------------------------------------------------------------------------------------


def version(number: int, more: str = "") -> str:
    return f"def run():\n    say('version {number}', procman.task_id())\n    serve()\n{more}"


def test_a_restart_imports_the_code_anew_before_it_stops_anybody_and_then_ends_the_old_zygote(tmp_path: Path) -> None:
    app(tmp_path, version(1))
    with up(tmp_path, site_of(group("app", "app:run", "workers = 2"))) as site:
        site.until_said("version 1", 2)
        site.until("worker.running", count=2)
        old = zygotes(site)["zygote:app"]
        app(tmp_path, version(2, "# longer\n"))
        asked = ask("restart", "app")
        assert asked.returncode == 0, asked
        assert {event["reason"] for event in site.told("worker.stopping")} <= {"new code"}
        site.until_said("version 2", 2)
        site.until("worker.running", count=4)
        order = [event.name for event in site.events if event.name in ("helper.ready", "worker.stopping")]
        assert order == ["helper.ready", "helper.ready", "worker.stopping", "worker.stopping"]
        assert not Path(f"/proc/{old}").exists()
        assert len(zygotes(site)) == 1


def test_a_restart_with_code_that_cannot_be_imported_leaves_the_workers_alone_and_says_why(tmp_path: Path) -> None:
    app(tmp_path, version(1))
    with up(tmp_path, site_of(group("app", "app:run", "workers = 2"))) as site:
        site.until("worker.running", count=2)
        before = site.pids()
        app(tmp_path, version(2, "import shopp\n"))
        asked = ask("restart", "app")
        why = "ModuleNotFoundError: No module named 'shopp'"
        assert asked.returncode == 1
        assert f"app:0: runs on with the old code: {why}" in asked.stderr + asked.stdout
        event = site.until("helper.failed")
        assert event["reason"] == f"the zygote of app failed: {why}; the workers that run are left alone"
        assert f"app: runs on with the old code: {why}" in ask("status").stdout
        assert site.pids() == before
        os.kill(before["app:0"], signal.SIGKILL)  # the old zygote is still there for it
        site.until("worker.running", "app:0", 2)
        assert len(site.until_said("version 1", 3)) == 3
        app(tmp_path, version(3, "# and longer still\n"))
        assert ask("restart", "app").returncode == 0
        assert len(site.until_said("version 3", 2)) == 2
        site.foreign = []


def test_a_reload_that_changes_the_program_imports_it_first_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    app(tmp_path, version(1))
    with up(tmp_path, site_of(group("app", "app:run"))) as site:
        before = site.until("worker.running")["pid"]
        site.reload(site_of(group("app", "app:nothing")))
        site.until("helper.failed")
        assert site.pids() == {"app:0": before}
        site.reload(site_of(group("app", "app:run", 'env = { COLOUR = "blue" }')))
        site.until("worker.running", count=2)
        assert [event.name for event in site.events if event.name.startswith(("helper", "worker"))][-4:] == [
            "worker.stopping", "worker.stopped", "worker.starting", "worker.running",
        ]  # fmt: skip
        site.foreign = []


def test_new_code_replaces_the_workers_by_the_rule_of_the_group(tmp_path: Path) -> None:
    app(tmp_path, version(1))
    with up(tmp_path, site_of(group("app", "app:run", "workers = 3", "update = { parallel = 1 }"))) as site:
        site.until("worker.running", count=3)
        app(tmp_path, version(2, "# longer\n"))
        assert ask("restart", "app").returncode == 0
        site.until("worker.running", count=6)
        moves = [event.name for event in site.events if event.name in ("worker.stopping", "worker.running")][3:]
        assert moves == ["worker.stopping", "worker.running"] * 3
        assert len(site.until_said("version 2", 3)) == 3


def test_a_group_that_is_stopped_by_hand_has_no_zygote_and_finds_new_code_when_it_starts(tmp_path: Path) -> None:
    app(tmp_path, version(1))
    with up(tmp_path, site_of(group("app", "app:run"))) as site:
        site.until("worker.running")
        assert ask("stop", "app").returncode == 0
        site.until("worker.stopped")
        assert zygotes(site) == {}
        app(tmp_path, version(2, "# longer\n"))
        assert ask("start", "app").returncode == 0
        assert site.until_said("version 2") == ["version 2 0"]


# --- what it saves -----------------------------------------------------------------------------------------


def test_status_shows_what_a_worker_uses_for_itself_and_what_it_shares(tmp_path: Path) -> None:
    """40 MB of the program's own, loaded once: no worker has them alone."""
    app(tmp_path, "loaded = [b'x' * 1000 + bytes([n % 256]) for n in range(40_000)]")
    with up(tmp_path, site_of(group("app", "app:serve", "workers = 4"))) as site:
        site.until("worker.running", count=4)
        site.until_said("up", 4)
        workers = json.loads(ask("status", "--json").stdout)["workers"]
        assert all(worker["shared_bytes"] > 40_000_000 for worker in workers), workers
        assert all(worker["memory_bytes"] < 20_000_000 for worker in workers), workers
        assert "SHARED" in ask("status").stdout


# --- a zygote that lies ------------------------------------------------------------------------------------

LIAR = """#!{python} -IS
import json, os, socket, sys, time
core = socket.socket(fileno=os.dup(0))
core.send(json.dumps({{"ready": True, "warning": ""}}).encode())
while core.recv(100):
    core.send({said})
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("json.dumps({'born': int(open('victim').read())}).encode()", "is no child of procman"),
        ("json.dumps({'born': os.getppid()}).encode()", "is no child of procman"),
        ("json.dumps({'born': -1}).encode()", "its zygote says what no zygote says"),
        ("json.dumps({'born': 1 << 70}).encode()", "its zygote says what no zygote says"),
        ("json.dumps({'unborn': 1 << 70}).encode()", "its zygote says what no zygote says"),
        ("json.dumps({'unborn': 11}).encode()", "cannot fork: EAGAIN, Resource temporarily unavailable"),
        ("b'[' * 60000", "its zygote says what no zygote says"),
        ("b'nonsense'", "its zygote says what no zygote says"),
        ("json.dumps({'ready': True, 'warning': ''}).encode()", "its zygote says what no zygote says"),
        ("sys.exit(3)", "its zygote has ended meanwhile"),
    ],
)
def test_what_a_zygote_says_is_not_believed_without_a_look(tmp_path: Path, said: str, reason: str) -> None:
    liar = tmp_path / "liar"
    liar.write_text(LIAR.format(python=sys.executable, said=said), encoding="utf-8")
    liar.chmod(0o755)
    victim = command("victim", f"echo $$ > {tmp_path}/victim; {FOREVER}")
    lied_to = group("app", "app:serve", NO_RETRY, f'python = "{liar}"', f'cwd = "{tmp_path}"', 'after = ["victim"]')
    with up(tmp_path, site_of(victim, lied_to.replace("{ max", '{ on_exhausted = "ignore", max'))) as site:
        before = site.until("worker.running", "victim:0")["pid"]
        assert reason in site.until("worker.failed", "app:0")["reason"]
        assert processes.status(before, "State").startswith("S")
