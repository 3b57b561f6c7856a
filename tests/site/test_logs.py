"""`procman logs` of real sites: from the pump and from files, put aside and compressed too, and what comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from procman.output.rotate import put_aside
from tests.site.running import DEADLINE_S, ROOT, Site, up
from tests.site.sites import FOREVER, group, python, site_of
from tests.site.test_output_losses import pump_of

LITTLE = 'output = { ring = "64KiB" }'
NUMBERS = (
    "import os, sys, time\n"
    "count = 3000\n"
    "for number in range(count):\n"
    "    os.write(1, b'%05d %b\\n' % (number, b'x' * 60))\n"
    "os.write(1, b'done\\n')\n"
    "time.sleep(3600)\n"
)


def logs(name: str, *words: str) -> list[str]:
    command = [sys.executable, "-m", "procman", "logs", "-s", name, *words]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=DEADLINE_S)
    return done.stdout.splitlines()


def until_written(site: Site, file: Path, what: str) -> None:
    """Wait until this is in a file."""
    _until(site, lambda: file.exists() and what in file.read_text(encoding="utf-8"))


def _until(site: Site, done: Callable[[], bool]) -> None:
    """Look until this holds: files tell nobody that they grow."""
    deadline = monotonic() + DEADLINE_S
    while not done():
        assert monotonic() < deadline
        assert site.process.poll() is None, str(site)
        site.pause(0.02)


def name_of(what: str) -> str:
    return f"{what}-{os.getpid()}"


def test_lines_come_out_of_rotated_and_compressed_files_each_once_and_in_order(tmp_path: Path) -> None:
    to = '{ file = "web.log", rotate = { size = "40KiB", keep = 100, compress = true } }'
    web = group("web", python(NUMBERS), f"output = {{ to = {to} }}")
    with up(tmp_path, site_of(web, site=LITTLE), "--name", name_of("rotated")) as site:
        file = tmp_path / "web.log"
        until_written(site, file, "done")
        _until(site, lambda: all(path.suffix == ".gz" for path in put_aside(str(file))))
        assert len(put_aside(str(file))) >= 3
        expected = [f"web.0 | {number:05} {'x' * 60}" for number in range(3000)]
        assert logs(name_of("rotated"), "-n", "5000") == [*expected, "web.0 | done"]
        assert logs(name_of("rotated"), "-n", "3") == [*expected[-2:], "web.0 | done"]
        assert logs(name_of("rotated"), "--grep", "0[0-9]077 ") == [expected[at] for at in range(77, 3000, 1000)]


def test_what_is_in_the_files_of_those_who_have_ended_is_shown_too(tmp_path: Path) -> None:
    count = "import os\nfor number in range(3000):\n    os.write(1, b'%05d %b\\n' % (number, b'x' * 60))"
    job = group("job", python(count), 'kind = "job"', 'output = { to = { file = "job.log" } }')
    with up(tmp_path, site_of(job, group("web", FOREVER), site=LITTLE), "--name", name_of("ended")) as site:
        site.until("worker.exited", "job:0")
        expected = [f"job.0 | {number:05} {'x' * 60}" for number in range(3000)]
        assert logs(name_of("ended"), "-n", "5000", "job") == expected


def test_json_files_of_several_workers_are_merged_by_the_times_of_their_lines(tmp_path: Path) -> None:
    say = python("import os\nfor line in open('in'):\n    os.write(1, line.encode())")
    groups = []
    for name in ("web", "mail"):
        (tmp_path / name).mkdir()
        os.mkfifo(tmp_path / name / "in")
        output = f'output = {{ to = {{ file = "{name}.json", format = "json" }} }}'
        groups.append(group(name, say, f'cwd = "{name}"', output))
    said = []
    with up(tmp_path, site_of(*groups, site=LITTLE), "--name", name_of("merged")) as site:
        site.until("worker.running", count=2)
        ends = {name: (tmp_path / name / "in").open("w", encoding="utf-8") for name in ("web", "mail")}
        for at in range(60):
            name = ("web", "mail")[at % 3 == 0]
            text = (
                f"line {at:02} {'y' * 6000}" if at % 7 else json.dumps({"level": "info", "at": at, "fill": "z" * 6000})
            )
            print(text, file=ends[name], flush=True)
            until_written(site, tmp_path / f"{name}.json", f"line {at:02}" if at % 7 else f'"at": {at},')
            said.append((name, text))
        got = logs(name_of("merged"), "-n", "1000")
        assert got == [f"{name + '.0':<6} | {text}" for name, text in said]
        objects = [json.loads(line) for line in logs(name_of("merged"), "-n", "1000", "--json", "mail")]
        assert [one["message"] for one in objects] == [text for name, text in said if name == "mail"]
        assert {(one["group"], one["task"]) for one in objects} == {("mail", 0)}
        assert [one["ts"] for one in objects] == sorted(one["ts"] for one in objects)
        for end in ends.values():
            end.close()


def test_only_what_is_younger_than_since_is_shown(tmp_path: Path) -> None:
    old = {"site": "test", "group": "web", "task": 0, "pid": 1, "stream": "stdout", "message": "long ago"}
    (tmp_path / "web.json").write_text(
        json.dumps({"ts": "2001-01-01T00:00:00.000001Z", **old}) + "\n", encoding="utf-8"
    )
    web = group("web", "echo now; exec sleep 3600", 'output = { to = { file = "web.json", format = "json" } }')
    with up(tmp_path, site_of(web), "--name", name_of("since")) as site:
        until_written(site, tmp_path / "web.json", "now")
        assert logs(name_of("since")) == ["web.0 | long ago", "web.0 | now"]
        for since in ("1d", "2001-01-01T00:00:01Z", "2001-01-03"):
            assert logs(name_of("since"), "--since", since) == ["web.0 | now"]
        assert logs(name_of("since"), "--since", "2000-12-31T23:59:59.9+00:00") == ["web.0 | long ago", "web.0 | now"]
        assert json.loads(logs(name_of("since"), "--json")[0])["ts"] == "2001-01-01T00:00:00.000001Z"


def test_who_follows_gets_every_line_over_rotations_and_restarts_of_the_worker(tmp_path: Path) -> None:
    say = python("import os\nfor line in open('in'):\n    os.write(1, line.encode() * 40)\nos._exit(1)")
    os.mkfifo(tmp_path / "in")
    to = '{ file = "web.log", rotate = { size = "10KiB", keep = 3 } }'
    restart = "restart = { max_restarts = 5, backoff = false }"
    web = group("web", say, 'cwd = "."', f"output = {{ to = {to} }}", restart)
    with up(tmp_path, site_of(web), "--name", name_of("follow")) as site:
        command = [sys.executable, "-m", "procman", "logs", "-f", "-s", name_of("follow")]
        site.until("worker.running", "web:0")
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as reader:
            assert reader.stdout is not None
            for life in range(3):
                with (tmp_path / "in").open("w", encoding="utf-8") as end:
                    print(f"life {life} {'x' * 300}", file=end, flush=True)
                    got = [reader.stdout.readline() for _ in range(40)]
                    assert got == [f"web.0 | life {life} {'x' * 300}\n".encode()] * 40
                if life < 2:
                    site.until("worker.running", "web:0", count=life + 2)
            assert len(put_aside(str(tmp_path / "web.log"))) >= 2
            reader.send_signal(signal.SIGINT)
            reader.wait(DEADLINE_S)


def test_a_pump_that_stands_still_does_not_answer_and_that_is_what_is_told(tmp_path: Path) -> None:
    web = group("web", "echo hello; exec sleep 3600", 'output = "prefix"')
    with up(tmp_path, site_of(web), "--name", name_of("still")) as site:
        site.until_said("web.0 | hello")
        os.kill(pump := pump_of(site), signal.SIGSTOP)
        try:
            command = [sys.executable, "-m", "procman", "logs", "-s", name_of("still")]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
        finally:
            os.kill(pump, signal.SIGCONT)
        assert (done.returncode, done.stdout) == (124, "")
        assert "procman logs: error: no answer within 5s from the pump" in done.stderr


@pytest.mark.parametrize("whose", ["the pump's", "the site's"])
def test_who_follows_is_told_whose_end_it_was(tmp_path: Path, whose: str) -> None:
    web = group("web", "echo hello; exec sleep 3600", 'output = "prefix"')
    with up(tmp_path, site_of(web), "--name", name_of("over")) as site:
        site.until_said("web.0 | hello")
        command = [sys.executable, "-m", "procman", "logs", "-f", "--json", "-s", str(site.file)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
            assert reader.stdout is not None
            assert json.loads(reader.stdout.readline())["site"] == name_of("over")
            site.signal(signal.SIGTERM) if whose == "the site's" else os.kill(pump_of(site), signal.SIGKILL)
            _, said = reader.communicate(timeout=DEADLINE_S)
            ended = "procman logs: error: the pump, which reads what workers write, has ended" in said
            assert (reader.returncode, ended) == ((0, False) if whose == "the site's" else (1, True))
