"""The command lines of a Python group: of its zygote, and of a worker that imports for itself. It starts nothing."""

from __future__ import annotations

import json
import sys

from procman.kernel.spawn.program import ROOT
from procman.lean import TYPE_CHECKING
from procman.plan import Launch

if TYPE_CHECKING:
    from typing import Literal

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); import procman; del sys.path[0]; "
    "from importlib import import_module; sys.exit(import_module(sys.argv[2]).main(sys.argv[3]))"
)
"""procman's package is found without its library: the program may be in another, under another Python."""


def executed(launch: Launch, module: Literal["zygote", "program"]) -> Launch:
    """The same Launch with the command that runs this module of `procman.prefork` for its callable."""
    python = launch.python
    assert python is not None, "only a Python group has a callable"
    said = {
        "callable": python.callable,
        "args": python.args,
        "path": [_literal(directory) for directory in python.path],
        "preload": python.preload,
        "threads": python.threads,
    }
    interpreter = launch.command or (_literal(sys.executable),)
    root = _literal(ROOT)
    command = (*interpreter, "-P", "-c", _BOOT, root, f"procman.prefork.{module}", json.dumps(said))
    return launch._replace(command=command)


def _literal(text: str) -> str:
    """A template that stands for exactly this text."""
    return text.replace("$", "$$")
