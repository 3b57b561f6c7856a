"""Very many reloads of a real site, one after the other: nothing leaks, and nobody who did not change has moved.

Almost all of a reload's time is the loader's, which imports pydantic, so most of them here have a loader that only
repeats what the real one has said: a child process with a pipe as well, and the core is the real one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from procman.config.loader import answer
from procman.config.merge.load import Request
from tests.control.test_real import Operated, memory, operated
from tests.control.test_reload import pids
from tests.site.running import ROOT
from tests.site.sites import FOREVER, group, site_of

CORE = f"""
import json, os, sys
sys.path.append({str(ROOT)!r})
from procman.cli import core
core._loader_argv = lambda request, **more: ["cat", *request["files"]]
files = {{"files": sys.argv[-1:], "overlays": [], "sets": [], "cwd": "/"}}
os._exit(core.main(json.dumps({{**files, "path": [], "log_format": "json", "colour": None}})))
"""


GRACE = 'stop = { grace = "1s" }'
"""A deadline that is not needed any more may be remembered until it would have come."""


def version(number: int) -> str:
    """Each changes something live, every fourth how many workers there are, every fifth which groups."""
    more = [group("more", FOREVER, 'listen = ["tcp://127.0.0.1:0"]', GRACE)] if number // 5 % 2 else []
    options = (f"workers = {2 + number // 4 % 2}", f"restart = {{ max_restarts = {number} }}", GRACE)
    return site_of(group("api", FOREVER, *options), group("db", FOREVER), *more)


def as_the_loader_says_it(folder: Path, text: str) -> str:
    file = folder / "other.toml"
    file.write_text(text, encoding="utf-8")
    return json.dumps(answer(Request([str(file)], "/"), {}))


def reload(one: Operated, text: str, event: str = "config.applied") -> None:
    """Until it has come true, and been read in the log: lines that nobody reads are kept for a while."""
    one.site.file.write_text(text, encoding="utf-8")
    *_, last = one.ask({"do": "reload"})
    assert last.get("failures") in ([], None), last
    one.site.until(event)
    one.site.events.clear()


def stay(one: Operated) -> dict[str, int]:
    """Those that no version changes."""
    return {worker: pid for worker, pid in pids(one).items() if worker in ("api:0", "api:1", "db:0")}


def descriptors(one: Operated) -> list[str]:
    """What the core has open, whichever socket or pipe it is."""
    return sorted(name.partition("[")[0] for name in one.site.descriptors())


def test_a_thousand_reloads_leak_no_descriptor_and_no_memory_and_move_nobody(tmp_path: Path) -> None:
    said = [as_the_loader_says_it(tmp_path, version(number)) for number in range(40)]
    broken = as_the_loader_says_it(tmp_path, "schema = ")
    with operated(tmp_path, said[0], before=(sys.executable, "-I", "-S", "-X", "utf8", "-c", CORE)) as one:
        workers = stay(one)
        for number in range(300):
            reload(one, said[number % 40])
        opened, before = descriptors(one), memory(one)
        for number in range(300, 1300):
            if number % 10 == 7:
                reload(one, broken, "config.rejected")
            else:
                reload(one, said[number % 40])
        assert (stay(one), descriptors(one), len(workers)) == (workers, opened, 3)
        assert memory(one) - before < 768, "KiB: less than one for a reload, of which a plan takes ten"


def test_twenty_reloads_by_the_real_loader_leak_nothing_either(tmp_path: Path) -> None:
    with operated(tmp_path, version(0)) as one:
        workers = stay(one)
        for number in range(1, 6):
            reload(one, version(number % 3))
        opened, before = descriptors(one), memory(one)
        for number in range(20):
            reload(one, version(number % 3))
        assert (stay(one), descriptors(one), len(workers)) == (workers, opened, 3)
        assert memory(one) - before < 512, "KiB"
