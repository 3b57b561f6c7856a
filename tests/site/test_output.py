"""Real sites whose output is captured: last words in the log, a killed pump, and `procman logs`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest

from tests.benchmark.loggers import cpu_s
from tests.site import processes
from tests.site.running import DEADLINE_S, ROOT, up
from tests.site.sites import FOREVER, group, python, site_of
from tests.site.test_output_losses import pump_of

TALK = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i + 1)); done; echo done; exec sleep 3600"
FAIL = python(
    "import signal\ndef fail(*_):\n    raise ValueError('no such user')\n"
    "signal.signal(signal.SIGUSR1, fail)\nprint('here', flush=True)\nsignal.pause()"
)


def logs(site_name: str, *words: str) -> str:
    command = [sys.executable, "-m", "procman", "logs", "-s", site_name, *words]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=DEADLINE_S)
    return done.stdout


def test_the_end_of_a_failed_worker_carries_its_last_words(tmp_path: Path) -> None:
    web = group("web", FAIL, 'output = "json"', "restart = { max_restarts = 0 }")
    with up(tmp_path, site_of(web, site="control = false")) as site:
        site.until_said('{"ts"')  # the pump is there
        os.kill(site.until("worker.running", "web:0")["pid"], signal.SIGUSR1)
        failed = site.until("worker.failed", "web:0")
        assert failed["reason"] == "exit status 1: ValueError: no such user; no restarts allowed"
        assert failed["tail"][-1] == "ValueError: no such user"
        assert site.wait() == 10


def test_a_worker_with_prefixed_output_says_so_on_stdout(tmp_path: Path) -> None:
    web = group("web", "echo hello; exec sleep 3600", 'output = "prefix"')
    with up(tmp_path, site_of(web, site="control = false")) as site:
        site.until_said("web.0 | hello")


def test_a_killed_pump_is_replaced_and_its_workers_notice_nothing(tmp_path: Path) -> None:
    web = group(
        "web", "while read -r line; do echo $line; done < fifo; exec sleep 3600", 'output = "prefix"', 'cwd = "."'
    )
    os.mkfifo(tmp_path / "fifo")
    with up(tmp_path, site_of(web, site="control = false")) as site:
        site.until("worker.running", "web:0")
        with (tmp_path / "fifo").open("w", encoding="utf-8") as say:
            print("one", file=say, flush=True)
            site.until_said("web.0 | one")
            os.kill(site.helper(), signal.SIGKILL)
            site.until("helper.ended")
            print("two", file=say, flush=True)
            site.until_said("web.0 | two")
        assert site.states("web:0") == ["starting", "running"]
        assert any("missing or repeated" in line for line in site.words)


def test_logs_shows_the_last_lines_of_who_is_named(tmp_path: Path) -> None:
    web = group("web", TALK, 'output = { to = { file = "web.log" } }')
    other = group("other", FOREVER)
    name = f"logs-{os.getpid()}"
    with up(tmp_path, site_of(web, other), "--name", name) as site:
        site.until("worker.running", "web:0")
        while (
            "done" not in (tmp_path / "web.log").read_text(encoding="utf-8")
            if (tmp_path / "web.log").exists()
            else True
        ):
            site.pause(0.05)
        assert logs(name, "-n", "2", "web:0") == "web.0 | line 199\nweb.0 | done\n"
        assert logs(name, "--grep", "line 19$") == "web.0 | line 19\n"
        assert logs(name, "other") == ""


def test_a_stopped_pump_delays_no_restart_and_its_workers_lose_nothing(tmp_path: Path) -> None:
    say = "while read -r line; do echo $line; done < fifo; kill -9 $$"
    restart = "restart = { max_restarts = 5, backoff = false }"
    web = group("web", say, 'output = { to = { file = "web.log" } }', 'cwd = "."', restart)
    os.mkfifo(tmp_path / "fifo")
    with up(tmp_path, site_of(web, site="control = false")) as site:
        site.until("worker.running", "web:0")
        pump = site.helper()
        os.kill(pump, signal.SIGSTOP)
        try:
            for life in range(1, 4):
                with (tmp_path / "fifo").open("w", encoding="utf-8") as end:
                    print(f"life {life}", file=end, flush=True)
                site.until("worker.running", "web:0", count=life + 1)
            assert site.states("web:0").count("running") == 4
        finally:
            with suppress(ProcessLookupError):  # on a very slow machine it was ended as one that hangs
                os.kill(pump, signal.SIGCONT)
        with (tmp_path / "fifo").open("w", encoding="utf-8") as end:
            print("the end", file=end, flush=True)
            file, deadline = tmp_path / "web.log", monotonic() + DEADLINE_S
            while not file.exists() or "the end" not in file.read_text(encoding="utf-8"):
                assert monotonic() < deadline
                site.pause(0.02)
            said = (tmp_path / "web.log").read_text(encoding="utf-8").splitlines()
            assert [line for line in said if not line.startswith("…")] == ["life 1", "life 2", "life 3", "the end"]
            site.stop()


@pytest.mark.parametrize(
    ("arguments", "env", "painted"),
    [
        ((), {}, False),  # a pipe
        ((), {"FORCE_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
    ],
)
def test_the_prefix_view_has_colours_as_environment_and_option_say(
    arguments: tuple[str, ...], env: dict[str, str], painted: bool, tmp_path: Path
) -> None:
    web = group("web", "printf '\\033[31mred\\033[0m\\n'; exec sleep 3600", 'output = "prefix"')
    with up(tmp_path, site_of(web, site="control = false"), *arguments, env=env) as site:
        shown = "\x1b[36mweb.0 |\x1b[0m \x1b[31mred\x1b[0m\x1b[0m" if painted else "web.0 | red"
        site.until_said(shown)
        assert site.words == [shown]


def test_captured_workers_need_more_descriptors_than_the_soft_limit_and_find_that_limit_as_it_was(
    tmp_path: Path,
) -> None:
    say = "echo $(ulimit -Sn) $(ulimit -Hn); exec sleep 3600"
    text = site_of(
        group("fast", say, 'output = "json"', "workers = 30"),
        group("slow", say, 'output = "json"', "workers = 3", 'spawn = "fork"'),
        site="control = false",
    )
    with up(tmp_path, text, before=("prlimit", "--nofile=64:4096")) as site:
        words = site.until_said('{"ts"', 33)
        assert len(site.descriptors()) > 4 * 33
        assert {json.loads(line)["message"] for line in words} == {"64 4096"}


def test_a_worker_that_closes_its_streams_and_lives_on_is_left_alone_and_wakes_nobody(tmp_path: Path) -> None:
    quiet = python(
        "import os, signal\nprint('up', flush=True)\nos.close(1)\nos.close(2)\nopen('closed', 'w')\n"
        "signal.signal(signal.SIGUSR1, lambda *_: os._exit(3))\nwhile True:\n    signal.pause()"
    )
    web = group("web", quiet, 'output = "prefix"', 'cwd = "."', "restart = { max_restarts = 0 }")
    restart = "restart = { max_restarts = 100, backoff = false }"
    with up(tmp_path, site_of(web, group("other", FOREVER, restart), site="control = false")) as site:
        site.until_said("web.0 | up")
        while not (tmp_path / "closed").exists():
            site.pause(0.02)
        pump, before = pump_of(site), (cpu_s(pump_of(site)), cpu_s(site.pid))
        for count in range(1, 31):
            os.kill(site.until("worker.running", "other:0", count)["pid"], signal.SIGKILL)
        site.until("worker.running", "other:0", 31)
        assert cpu_s(pump) - before[0] < (cpu_s(site.pid) - before[1]) / 2  # that of the core, for thirty restarts
        assert site.states("web:0") == ["starting", "running"]
        os.kill(site.pids()["web:0"], signal.SIGUSR1)
        assert site.until("worker.failed", "web:0")["exit_code"] == 3
        site.wait()


def test_one_that_floods_delays_no_line_of_others_no_answer_and_no_stop_and_costs_no_memory(tmp_path: Path) -> None:
    to = 'output = { to = { file = "flood.log", rotate = { size = "1MiB", keep = 1 } } }'
    say = "while read -r line; do echo $line; done < fifo; exec sleep 3600"
    name = f"flood-{os.getpid()}"
    os.mkfifo(tmp_path / "fifo")
    text = site_of(group("flood", "yes", to), group("web", say, 'cwd = "."', 'output = "prefix"'))
    with up(tmp_path, text, "--name", name) as site:
        site.until("worker.running", count=2)
        pump = pump_of(site)
        with (tmp_path / "fifo").open("w", encoding="utf-8") as end:
            for at in range(20):
                print(at, file=end, flush=True)
                site.until_said(f"web.0 | {at}")
                if at == 5:
                    before = _peak_kb(pump), _peak_kb(site.pid)
        assert "y" in logs(name, "-n", "1", "flood")
        assert _peak_kb(pump) - before[0] < 8000
        assert _peak_kb(site.pid) - before[1] < 2000
        assert site.stop() == 0
        assert site.told("worker.killing") == []


def _peak_kb(pid: int) -> int:
    return int(processes.status(pid, "VmHWM").split()[0])
