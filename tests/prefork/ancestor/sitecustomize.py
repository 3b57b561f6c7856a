"""Puts procman's functions in the place of tornado's, in every interpreter that finds this on its path."""

import os
from typing import Any

import tornado.process

import procman


def _fork_processes(*args: Any, **kwargs: Any) -> int:
    """Leaves a note that it was called, and by what name procman's is known."""
    with open(os.environ["FORKED_BY"], "a", encoding="ascii") as calls:  # noqa: PTH123
        calls.write(f"{procman.fork_processes.__module__}\n")
    return procman.fork_processes(*args, **kwargs)


tornado.process.fork_processes = _fork_processes
tornado.process.task_id = procman.task_id
