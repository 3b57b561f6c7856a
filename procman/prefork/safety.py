"""What makes a fork of this program unsafe: an event loop, other threads, copies of random generators.

It looks at modules that are loaded and loads none to find out. It changes nothing but random generators, in a child.
"""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from contextlib import suppress


def refuse_wrong_thread() -> None:
    """Raise RuntimeError outside the main thread: signals, which end the children, are heard there only."""
    if threading.current_thread() is not threading.main_thread():
        name = threading.current_thread().name
        raise RuntimeError(f"fork_processes must be called in the main thread, not in {name!r}")


def refuse_event_loop() -> None:
    """Raise RuntimeError if asyncio has a loop here that is not closed: children would share its epoll set.

    A loop that runs in another thread is that thread's, and no child has it; see `warn_of_threads`.
    """
    loop = open_event_loop()
    if loop is not None:
        raise RuntimeError(
            f"fork_processes was called after an asyncio event loop was made: {loop!r}\n"
            "hint: make loops, and what uses them, after the call; or close them before it"
        )


def open_event_loop() -> object | None:
    """An event loop of asyncio that is neither closed nor some other thread's; None if there is none."""
    events = sys.modules.get("asyncio.events")
    if events is None or not _loops(events):
        return None
    gc.collect()  # one that nobody refers to any more is no obstacle
    return next(iter(_loops(events)), None)


def warn_of_threads() -> None:
    """Warn, with their names, if this is not the only thread; it points to who called `fork_processes`.

    Threads that are not Python's are left to libraries, and to Python's own warning (3.12): OpenBLAS, under numpy,
    ends its threads in a fork and starts them again.
    """
    others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    if others:
        plural = "" if len(others) == 1 else "s"
        warnings.warn(
            f"fork_processes was called with {len(others)} other thread{plural} running: {', '.join(others)}. "
            "No child will have them, and what they hold locked stays locked there. Start threads after the call",
            RuntimeWarning,
            stacklevel=3,
        )


def reseed() -> None:
    """In a child: let numpy's global generator differ from its siblings'. `random` sees to itself (Python 3.7)."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        with suppress(AttributeError, TypeError):  # being imported; a bit generator that the program has set itself
            numpy_random.seed()


def _loops(events: object) -> list[object]:
    """All event loops but those that are closed or run in another thread. Asks types only: objects can be anything."""
    base, running = events.AbstractEventLoop, events._get_running_loop()  # type: ignore[attr-defined]
    loops = [thing for thing in gc.get_objects() if issubclass(type(thing), base)]
    return [loop for loop in loops if loop is running or not (loop.is_closed() or loop.is_running())]
