"""A worker is its leader and all that descends from it, wherever that has gone; it has ended when nothing is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.site.running import Site, up
from tests.site.sites import group, python, site_of

DAEMON = """\
import os, signal, sys

def pause():  # as who obeys TERM
    while True:
        signal.pause()

def escape(then):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            then()
            pause()
        os._exit(0)
    os.wait()

def say(word):
    os.write(1, f"{word} {os.getpid()}\\n".encode())
"""
AGAIN = """\
def twice():
    escape(lambda: say("escaped"))
    say("escaped")
escape(twice)
"""
BARE = """\
def bare():
    os.execve("/bin/sh", ["sh", "-c", "echo escaped $$; sleep 3600; :"], {})
"""
ESCAPES = {
    "a daemon that double-forked": 'escape(lambda: say("escaped"))',
    "daemons of a daemon": AGAIN,
    "a child in a session of its own": "if os.fork() == 0:\n    os.setsid()\n    say('escaped')\n    pause()",
    "a child in a group of its own": "if os.fork() == 0:\n    os.setpgid(0, 0)\n    say('escaped')\n    pause()",
}
"""What a worker does before it goes on."""
UNMARKED = {
    "a child with an empty environment": BARE + "if os.fork() == 0:\n    os.setsid()\n    bare()",
    "a child of such a child": BARE + "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    "        os.setsid()\n        bare()\n    os.execve('/bin/sleep', ['sleep', '3600'], {})",
}
SHORT = 'stop = { grace = "1s" }'
ONCE = f"restart = {{ max_restarts = 1, backoff = false }}\n{SHORT}"


def escaped(site: Site, count: int = 1) -> list[int]:
    return [int(line.split()[1]) for line in site.until_said("escaped", count)]


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("name", [*ESCAPES, *UNMARKED])
def test_who_has_left_the_group_is_ended_when_the_worker_is_stopped(tmp_path: Path, name: str) -> None:
    source = DAEMON + (ESCAPES | UNMARKED)[name] + "\npause()"
    with up(tmp_path, site_of(group("tree", python(source), SHORT))) as site:
        pids = escaped(site, 2 if name == "daemons of a daemon" else 1)
        site.signal(signal.SIGTERM)
        site.until("worker.stopped")
        assert gone(pids)
        site.wait()
        assert [site.told("site.draining"), site.told("site.strays")] == [[], []]


@pytest.mark.parametrize("name", ESCAPES)
def test_who_has_left_the_group_is_ended_before_a_crashed_workers_replacement_begins(tmp_path: Path, name: str) -> None:
    source = DAEMON + ESCAPES[name] + "\nsys.stdin.read()\nopen('go').read()\nos._exit(1)"
    os.mkfifo(tmp_path / "go")
    with up(tmp_path, site_of(group("tree", python(source), ONCE, f'cwd = "{tmp_path}"'))) as site:
        pids = escaped(site, 2 if name == "daemons of a daemon" else 1)
        (tmp_path / "go").write_text("go")
        site.until("worker.running", count=2)
        assert gone(pids)
        assert site.states("tree:0") == ["starting", "running", "stopping", "backoff", "starting", "running"]


def test_an_escaped_child_that_ignores_the_signal_is_killed_after_the_grace(tmp_path: Path) -> None:
    deaf = DAEMON + "def deaf():\n    signal.signal(15, signal.SIG_IGN)\n    say('escaped')\nescape(deaf)\npause()"
    with up(tmp_path, site_of(group("tree", python(deaf), SHORT))) as site:
        pids = escaped(site)
        site.signal(signal.SIGTERM)
        stopped = site.until("worker.stopped")
        assert gone(pids)
        assert stopped.at - site.told("worker.stopping")[0].at >= 1.0
        assert site.states("tree:0")[2:] == ["stopping", "killing", "stopped"]


def test_a_whole_tree_is_killed_at_once_on_quit(tmp_path: Path) -> None:
    source = DAEMON + AGAIN + UNMARKED["a child of such a child"] + "\npause()"
    with up(tmp_path, site_of(group("tree", python(source), 'stop = { grace = "1h" }'))) as site:
        pids = escaped(site, 3)
        site.signal(signal.SIGQUIT)
        site.until("worker.stopped")
        assert gone(pids)


def test_a_stray_is_counted_and_named_and_harms_no_worker(tmp_path: Path) -> None:
    source = DAEMON + BARE + "escape(bare)\nopen('go').read()\nos._exit(1)"
    os.mkfifo(tmp_path / "go")
    with up(tmp_path, site_of(group("tree", python(source), ONCE, f'cwd = "{tmp_path}"'))) as site:
        (stray,) = escaped(site)
        (tmp_path / "go").write_text("go")
        told = site.until("site.strays")
        assert (told["processes"], f"(pid {stray})" in told["reason"]) == (1, True)
        site.until("worker.running", count=2)
        assert not gone([stray])
        site.signal(signal.SIGTERM)
        assert site.wait_for_core() == 0
        assert gone([stray])


@pytest.mark.parametrize("reaps", [False, True])
def test_a_child_of_a_stray_that_is_still_in_the_workers_group_is_ended_and_waited_for(
    tmp_path: Path, *, reaps: bool
) -> None:
    """The core never reaps it, and perhaps nobody does: the stray has other things to do."""
    then = "trap : CHLD; while :; do wait; done" if reaps else "exec sleep 3600"
    source = (
        f"{DAEMON}if os.fork() == 0:\n    if os.fork() == 0:\n        pause()\n    os.setsid()\n"
        f"    os.execve('/bin/sh', ['sh', '-c', 'echo escaped $$; {then}'], {{}})\n"
        "open('go').read()\nos._exit(1)"
    )
    os.mkfifo(tmp_path / "go")
    with up(tmp_path, site_of(group("tree", python(source), ONCE, f'cwd = "{tmp_path}"'))) as site:
        (stray,) = escaped(site)
        (tmp_path / "go").write_text("go")
        site.until("worker.running", count=2)
        assert site.states("tree:0")[2:4] == ["stopping", "backoff"]
        assert not gone([stray])
        site.signal(signal.SIGTERM)
        assert site.wait_for_core() == 0


def test_orphans_of_a_worker_that_runs_on_are_left_alone(tmp_path: Path) -> None:
    source = DAEMON + ESCAPES["a daemon that double-forked"] + "\nos.wait3 and os.execvp('sleep', ['sleep', '3600'])"
    with up(tmp_path, site_of(group("tree", python(source)), group("other", "sleep 0.2; exit 1", ONCE))) as site:
        pids = escaped(site)
        site.until("worker.backoff")
        assert not gone(pids)
        assert site.told("site.strays") == []


def test_what_a_worker_that_adopts_leaves_behind_lives_until_the_site_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    source = DAEMON + ESCAPES["a daemon that double-forked"] + "\nopen('go').read()\nos._exit(1)"
    options = (ONCE, "adopt = true", f'cwd = "{tmp_path}"')
    with up(tmp_path, site_of(group("tree", python(source), *options))) as site:
        (left,) = escaped(site)
        (tmp_path / "go").write_text("go")
        site.until("worker.running", count=2)
        assert site.states("tree:0") == ["starting", "running", "backoff", "starting", "running"]
        assert not gone([left])
        assert site.told("site.strays") == []
        site.signal(signal.SIGTERM)
        assert site.wait_for_core() == 0
        assert gone([left])
