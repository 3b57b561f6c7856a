"""Python groups in a site: a module of the test's own, and who is who among the processes that come of it."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tests.site import processes
from tests.site.running import COMMAND, DEADLINE_S, ROOT, Site

APP = """
import os, signal, sys
import procman
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def serve(*args):
    over = procman.stopping()  # from here on SIGTERM is heard
    say("up", procman.task_id(), os.getpid(), *args)
    over.wait()
    say("down", procman.task_id())
"""


def app(folder: Path, more: str = "", name: str = "app") -> None:
    """Write a module, with what every test's module has and more."""
    (folder / f"{name}.py").write_text(APP + textwrap.dedent(more), encoding="utf-8")


def group(name: str, callable_: str, *options: str) -> str:
    """A `[group.NAME]` table for a callable of a module beside the site file."""
    return "\n".join([f"[group.{name}]", f"callable = {json.dumps(callable_)}", 'path = ["."]', *options, ""])


def zygotes(site: Site) -> dict[str, int]:
    """The zygotes that run, by the names that ps has for them."""
    found = {}
    for pid in site.descendants():
        comm = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        if comm.startswith("zygote:") and int(processes.status(pid, "PPid")) == site.pid:
            found[comm] = pid
    return found


def ask(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """An operator's command for the site `test`."""
    return subprocess.run(
        [*COMMAND, *words, "-s", "test"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        check=False,
    )
