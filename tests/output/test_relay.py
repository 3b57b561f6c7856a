"""A write that hangs: another thread goes on in its place, hears TERM, and takes the outcome when it comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.output.pumping import DEADLINE_S

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, select
from procman.output.outlet import Outlet
from procman.output.relay import Relay

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

class Slow(Outlet):
    def write(self, pieces):
        return len(os.read(0, 10))

class Quick(Outlet):
    def write(self, pieces):
        return 5

def landed(done):
    say("landed", done)
    slow.hangs = False

relay = Relay()
slow, quick = (kind("outlet", -1, 65536, None, None) for kind in (Slow, Quick))
slow.landed = landed
works = 0

def work():
    global works
    works += 1
    say("work", works, slow.hangs, slow.failure)
    if works == 1:
        relay.perform(slow, [])
        say("never")
    say("quick", relay.perform(quick, []))
    while slow.hangs or not relay.asked_to_end:
        select.select([relay.fd], [], [])
        relay.land()
        say("heard", relay.asked_to_end)

relay.run(work)
"""


def test_who_hangs_in_a_write_is_overtaken_and_tells_how_it_went_when_it_is_back() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(3)]
        assert lines == ["work 1 False", "work 2 True the disk does not answer", "quick 5"]
        process.terminate()
        assert process.stdout.readline() == "heard True\n"
        process.stdin.write("abc")
        process.stdin.close()
        assert process.stdout.read() == "landed 3\nheard True\n"
        assert process.wait(DEADLINE_S) == 0
