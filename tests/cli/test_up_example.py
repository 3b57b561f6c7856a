"""`procman up configs/site.toml` in a terminal: the example of the README, from the first line to the last."""

from __future__ import annotations

import os
import re
import signal
import socket
import urllib.error
import urllib.request

from procman.screen import without_colour
from tests.cli.procmans import Procman, on_terminal

SITE = "configs/site.toml"
LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3}  (\S+) +(\w+) +(\S.*)$")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def answer_from(port: str) -> str | None:
    """What the web server says; None while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.URLError:
        return None


def boot(procman: Procman) -> dict[str, int]:
    """Wait until all of it runs: the pids by worker."""
    for worker in ("web:0", "web:1", "web:2", "mailer:0", "mailer:1"):
        procman.wait_for(rf"{worker} +running")
    return {match[1]: int(match[2]) for match in re.finditer(r"(\S+) +running +pid (\d+)", procman.text)}


def test_it_boots_answers_restarts_what_is_killed_and_ends_on_ctrl_c() -> None:
    port = free_port()
    with on_terminal("up", SITE, env={"PORT": port}) as procman:
        pids = boot(procman)
        procman.until(lambda: answer_from(port) is not None)
        hello = re.fullmatch(r"Hello from (web:[012]), pid (\d+), generation 1\n", answer_from(port) or "")
        assert hello
        assert pids[hello[1]] == int(hello[2])
        os.kill(pids["web:1"], signal.SIGKILL)
        procman.wait_for(r"web:1 +backoff +SIGKILL after \S+ · restart 1/100 at once$")
        _, again = procman.wait_for(r"web:1 +running +pid (\d+)", count=2)
        assert int(again[1]) != pids["web:1"]
        procman.press("\x03")
        assert procman.wait() == 0
        assert procman.left_behind() == []
        lines = procman.text.replace("^C", "").splitlines()
        tellings = [LINE.fullmatch(line) for line in lines]
        assert [line for line, telling in zip(lines, tellings, strict=True) if telling is None] == []
        stopped = [telling[1] for telling in tellings if telling and telling[2] == "stopped"]
        assert (sorted(stopped[:2]), sorted(stopped[2:5]), stopped[5:]) == (
            ["mailer:0", "mailer:1"],
            ["web:0", "web:1", "web:2"],
            ["demo"],
        )
        assert max(map(len, lines)) <= 80


def test_in_a_terminal_it_has_colours_unless_they_are_not_wanted() -> None:
    for arguments, env, coloured in (
        ((), {}, True),
        (("--color", "never"), {}, False),
        ((), {"NO_COLOR": "1"}, False),
    ):
        with on_terminal("up", SITE, *arguments, env={"PORT": free_port(), **env}) as procman:
            procman.wait_for("started")
            assert ("\x1b[" in procman.raw) is coloured
            assert "\x1b" not in without_colour(procman.raw)


def test_its_crashing_worker_crashes_by_itself_and_comes_back() -> None:
    with on_terminal("up", SITE, env={"PORT": free_port()}) as procman:
        boot(procman)
        procman.wait_for(r"mailer:1 +backoff +SIGABRT after \S+ · restart 1/30 at once$")
        procman.wait_for(r"mailer:1 +running", count=2)
