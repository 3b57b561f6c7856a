"""The termination message: one line that says why the site ended, in a file that whoever started procman reads.

Kubernetes shows what a container has left in /dev/termination-log. The line is the log's last, as JSON. It never
blocks and never raises: it is written when all is over.
"""

from __future__ import annotations

import os
import time

from procman.log.jsonl import JsonLines
from procman.policy.events import Notice

DEFAULT = "/dev/termination-log"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def write(path: str | None, site: str | None, last_word: Notice) -> Notice | None:
    """Write it; None as path is the default place if there is one, "" is none. The answer is a line about a failure."""
    if path is None:
        path = DEFAULT if os.getpid() == 1 and os.path.exists(DEFAULT) else ""  # noqa: PTH110 - no pathlib in the core
    if not path:
        return None
    (line,) = JsonLines(site).lines(time.time_ns(), [last_word])
    try:
        file = os.open(path, _FLAGS, 0o644)
        try:
            os.write(file, line)
        finally:
            os.close(file)
    except OSError as error:
        return Notice("termination_log.failed", "warning", f"cannot write {path}: {error.strerror}", {"file": path})
    return None
