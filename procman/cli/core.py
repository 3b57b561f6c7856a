"""The core process: its parts put together, and the loop run over them.

It begins where `up` ends, by exec: isolated, without site-packages, with the signals that may end it blocked until its
handlers are there. It imports the lean parts of the standard library only, and decides nothing.
"""

from __future__ import annotations

import gc
import json
import os
import sys

from procman import __version__
from procman.control.protocol import Compile
from procman.control.server import Server
from procman.control.site import Controlled
from procman.kernel import loop
from procman.kernel.caller import Caller, keep_standard_error
from procman.kernel.linux import LinuxKernel
from procman.kernel.listening import Listening
from procman.kernel.proc.descriptors import seal_descriptors
from procman.kernel.sockets.sockets import Sockets, from_above
from procman.kernel.tails import Tails
from procman.kernel.upward import Upward
from procman.kernel.wait.poller import Poller
from procman.lean import TYPE_CHECKING, suppress
from procman.log import Log, termination
from procman.policy.events import Load, Notice
from procman.policy.manager import Manager
from procman.screen import wants_colour

if TYPE_CHECKING:
    from typing import Any

LOADER = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from procman.config.loader import main; sys.exit(main())"
)
"""The program of the loader, a child with the library path of the command line: it may import pydantic."""

_VALUES_UNTIL_COLLECTION = 20_000
"""Facts, actions and records are many and never refer to each other: looking at all of them more often is in vain, and
took a seventh of the time in which a thousand workers stop."""

INIT_STOP_TIMEOUT_S = 9.0
"""How long the shutdown may last at process 1: a container engine kills after 10 s."""


def main(text: str) -> int:
    """Run the site of a request, as `up.request_of` made it; the answer is procman's exit code."""
    gc.freeze()  # what is imported stays
    gc.set_threshold(_VALUES_UNTIL_COLLECTION)
    seal_descriptors()
    request = json.loads(text)
    _be_called("procman")
    poller = Poller()
    stderr = keep_standard_error() if "tell" in request else 2
    log = Log(poller, stderr, request["log_format"], request["colour"])
    sockets = Sockets(from_above(os.environ))
    kernel = LinuxKernel(
        poller, log, _loader_argv(request, colour=_colour(request, stderr)), (sockets,), json.dumps(request["path"])
    )
    kernel.pump.colour = _colour(request, 1)
    server = Server(poller, log, kernel.tell, lambda asked, hear: kernel.ask(_question_argv(request, asked), hear))
    log.heard = server.heard
    words = Tails(server, kernel.pump, kernel.now)
    kernel.timers.add(words)
    server.show_logs = kernel.pump.show
    caller = Caller(poller, request.get("tell", -1), log.let_go)
    controlled = Controlled(kernel, server, words.answer, caller.tell)
    listening = Listening(controlled, sockets, log, poller, kernel.tell)
    upward = Upward(listening, poller, os.environ) if os.environ.get("NOTIFY_SOCKET") else None
    manager = Manager(INIT_STOP_TIMEOUT_S if os.getpid() == 1 else None)
    files = [*request["files"], *request["overlays"]]
    about = {"files": files, "pid": os.getpid(), "version": __version__}
    log.write([Notice("site.loading", "info", " ".join(files), about)])
    code = loop.run(manager, upward or listening, words, Load())
    words.close(poller.poll)
    if upward is not None:
        upward.close()
    listening.close()
    controlled.close()
    kernel.close()
    _leave_a_message(manager, log)
    log.close()
    return code


def _loader_argv(request: dict[str, Any], **more: object) -> list[str]:
    path = json.dumps(request["path"])
    order = {name: request[name] for name in ("files", "overlays", "sets", "cwd")}
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", LOADER, path, json.dumps(order | more)]


def _colour(request: dict[str, Any], stream: int) -> bool:
    """Whether what is written to this descriptor has colours."""
    return bool(wants_colour(os.isatty(stream)) if request["colour"] is None else request["colour"])


def _question_argv(request: dict[str, Any], asked: Compile) -> list[str]:
    """Files that are named take the place of the site's own; what is set there is set on top of what the site sets."""
    more: dict[str, object] = {"key": asked.key, "colour": False, "sets": [*request["sets"], *asked.sets]}
    if asked.files:
        more |= {"files": asked.files, "overlays": asked.overlays, "here": asked.here}
    return _loader_argv(request, **more)


def _leave_a_message(manager: Manager, log: Log) -> None:
    """Say why it ended where the site wants it said; without a plan, where it is said by default."""
    plan = manager.plan
    if manager.last_word is not None:
        path, name = (plan.termination_log, plan.name) if plan else (None, None)
        failure = termination.write(path, name, manager.last_word)
        log.write([failure] if failure else [])


def _be_called(name: str) -> None:
    """Show up under this name in ps and top, not as one more Python."""
    with suppress(OSError), open("/proc/self/comm", "w") as comm:  # noqa: PTH123 - no pathlib in the core
        comm.write(name)
