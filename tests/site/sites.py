"""The texts of site files, and what the workers in them do: short programs for the shell, or for a bare Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

FOREVER = "exec sleep 3600"
DEAF = "trap '' TERM; echo deaf; sleep 3600; sleep 3600"
"""It and its child ignore SIGTERM."""

_RUNNER = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(%d, b"ready\\n")
while True:
    if os.fork():
        os._exit(0)
"""


def runner(stream: int) -> list[str]:
    """Says there that it is ready, and runs: who is sent a signal is gone, and has left another one."""
    return python(_RUNNER % stream)


def python(source: str) -> list[str]:
    """A program for a bare Python."""
    return [sys.executable, "-I", "-S", "-c", source]


def when_asked(action: str) -> list[str]:
    """Says `up`, and does this when it is asked to stop."""
    return python(
        "import os, resource, signal, sys, time\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"  # one that comes before the wait is not lost
        "os.write(1, b'up\\n')\n"
        f"while signal.sigwait([signal.SIGTERM]):\n    {action}\n"
    )


def slow(name: str) -> list[str]:
    """Takes 0.3 s to end when it is asked to, and says that it does."""
    return when_asked(f"time.sleep(0.3); os.write(1, b'{name} ends\\n'); os._exit(0)")


def group(name: str, command: str | Sequence[str], *options: str) -> str:
    """A `[group.NAME]` table: a command (or a line for the shell), word for word, and further lines of TOML."""
    argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
    words = json.dumps(argv, ensure_ascii=False).replace("$", "$$")
    return "\n".join([f"[group.{name}]", f"command = {words}", *options, ""])


def site_of(*groups: str, site: str = "", log: str = "") -> str:
    """The text of a site file."""
    return f'schema = 1\n[site]\nname = "test"\n{site}\n[log]\n{log}\n' + "\n".join(groups)
