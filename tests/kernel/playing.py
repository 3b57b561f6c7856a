"""Plays a scene with a real LinuxKernel in a process of its own, for signals and children belong to a whole process.

A scene is a function of a test module that takes a `Stage` and JSON values, and returns a JSON value.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from procman.kernel.linux import LinuxKernel
from procman.kernel.proc.descriptors import seal_descriptors
from procman.kernel.wait.poller import Poller
from procman.plan import Launch, LogPlan
from procman.policy.events import Action, Event, Record, Signal, Spawn, TimePassed, WorkerId

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0
"""For a whole scene; none takes longer than a few seconds."""
PR_SET_CHILD_SUBREAPER = 36
SLEEP = ("sleep", "300")

E_ = TypeVar("E_", bound=Event)


class Played(NamedTuple):
    """What became of a scene."""

    value: Any
    """What it returned."""
    output: str
    """What the scene and its workers wrote to stdout."""
    errors: str


class NoLog:
    """A log that takes what it is told and keeps it."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def configure(self, site: str, log: LogPlan) -> None:
        """Remember it."""
        self.told.append((site, log))

    def reopen(self) -> None:
        """Remember it."""
        self.told.append("reopen")

    def say(self, text: str) -> None:
        """Remember it."""
        self.told.append(text)

    def write(self, records: Sequence[Record]) -> None:
        """Remember them."""
        self.told += records


class Stage:
    """A kernel, and what came out of it."""

    def __init__(self, loader: Sequence[str] = (), load_timeout_s: float = 10.0) -> None:
        self.log = NoLog()
        self.events: list[Event] = []
        self.pids: dict[WorkerId, int] = {}
        self.kernel = LinuxKernel(Poller(), self.log, loader, load_timeout_s=load_timeout_s)

    def perform(self, *actions: Action) -> None:
        """Have them done."""
        for action in actions:
            self.kernel.perform(action)

    def until(self, kind: type[E_], count: int = 1) -> list[E_]:
        """Wait until so many facts of a kind have come, from now on; all that came is in `events`."""
        found: list[E_] = []
        deadline = self.kernel.now() + DEADLINE_S
        while len(found) < count:
            event = self.kernel.wait(deadline)
            assert not isinstance(event, TimePassed), f"{kind.__name__} never came; {self.events} did"
            self.events.append(event)
            if isinstance(event, kind):
                found.append(event)
        return found

    def names(self) -> list[str]:
        """The kinds of all events, in order."""
        return [type(event).__name__ for event in self.events]


def launch(*command: str, **fields: Any) -> Launch:
    """A Launch in the root directory."""
    return Launch(command, **{"cwd": "/", **fields})


def spawn(*command: str, task: int = 0, **fields: Any) -> Spawn:
    """Start a command as worker `api:TASK`."""
    return Spawn(WorkerId("api", task, 1), launch(*command, **fields))


def kill(pid: int, number: int = signal.SIGKILL, task: int = 0) -> Signal:
    """Signal a worker's tree."""
    return Signal(WorkerId("api", task, 1), pid, number, "tree")


def play(scene: Callable[..., Any], *arguments: Any, prefix: Sequence[str] = (), **popen: Any) -> Played:
    """Play a scene, `prefix` being the command that starts it; nothing of it is left afterwards."""
    read, write = os.pipe()
    script = "import sys; from tests.kernel.playing import perform_scene; perform_scene(*sys.argv[1:])"
    words = (scene.__module__, scene.__name__, json.dumps(arguments), str(write))
    with subprocess.Popen(
        [*prefix, sys.executable, "-X", "utf8", "-c", script, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
        pass_fds=(write,),
        **popen,
    ) as process:
        os.close(write)
        try:
            output, errors = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
            with os.fdopen(read) as file:
                said = file.read()
    assert process.returncode == 0, errors.decode()
    return Played(json.loads(said), output.decode(), errors.decode())


def perform_scene(module: str, name: str, arguments: str, result: str) -> None:
    """The process's side of `play`."""
    function = getattr(importlib.import_module(module), name)
    seal_descriptors()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        value = function(*json.loads(arguments))
    finally:
        while children := _children():
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
    if sys.stdout is not None:  # a scene may be played with it closed
        sys.stdout.flush()
    os.write(int(result), json.dumps(value).encode())


def _children() -> list[int]:
    """The pids of this process's children."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="utf-8")
    return [int(word) for word in text.split()]
