"""The fork-safety gate: which threads a process has besides its main one, and what has started them.

A fork copies the thread that forks and no other; what the others hold locked stays locked in the child. So Python's
threads are compared with the kernel's tasks, of which libraries may have more. Threads that are gone once a trial
fork is over are no obstacle: their library ends them itself whenever there is a fork, and starts them again when it
needs them (OpenBLAS, under numpy, does).
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

_TASKS = "/proc/self/task"
_NOT_TO_BLAME = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), "<frozen"})


class Watch:
    """While it lasts, notes which import was going on, or which line called, when a thread began."""

    def __init__(self) -> None:
        self._origins: dict[int, str] = {}
        """By the kernel's number of the task."""
        self._known = _tasks()
        self._importing = "the beginning"
        self._start = threading.Thread.start

    def __enter__(self) -> Watch:
        watch, start = self, self._start

        def start_and_note(thread: threading.Thread) -> None:
            start(thread)
            if thread.native_id is not None:
                watch._origins[thread.native_id] = _place(sys._getframe(1))

        threading.Thread.start = start_and_note  # type: ignore[assignment,method-assign]
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        threading.Thread.start = self._start  # type: ignore[method-assign]
        sys.meta_path.remove(self)
        self._look()

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: Any = None) -> None:
        """Hear of an import that begins, as a finder that finds nothing."""
        self._look()
        self._importing = f"the import of {name}"

    def others(self) -> list[str]:
        """The threads that a fork would lose, in words, each with what has started it."""
        if len(_tasks()) > 1:
            _try_a_fork()
        tasks = _tasks() - {threading.get_native_id()}
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        return [self._describe(task, names.get(task)) for task in sorted(tasks)]

    def _describe(self, task: int, name: str | None) -> str:
        if name is None:
            with suppress(OSError), open(f"{_TASKS}/{task}/comm", encoding="utf-8", errors="replace") as comm:  # noqa: PTH123
                name = f"a thread of no Python ({comm.read().strip()})"
        return f"{name or 'a thread'}, started by {self._origins.get(task, 'something unseen')}"

    def _look(self) -> None:
        """Blame what was being imported for the tasks that are new."""
        if os.stat(_TASKS).st_nlink - 2 != len(self._known):  # noqa: PTH116 - a hundred times cheaper than a list
            now = _tasks()
            for task in now - self._known:
                self._origins.setdefault(task, self._importing)
            self._known = now


def _tasks() -> set[int]:
    return {int(name) for name in os.listdir(_TASKS)}  # noqa: PTH208


def _place(frame: FrameType | None) -> str:
    """The first line, from here outwards, that is not Python's own: `/srv/shop/metrics.py:12`."""
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_TO_BLAME):
        if "site-packages" in frame.f_code.co_filename:
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "Python itself"


def _try_a_fork() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own about this very thing (3.12)
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
