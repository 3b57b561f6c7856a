"""`procman status --watch`: the screen of a terminal that shows a site until Ctrl-C, or the site's end.

It is drawn again at every event of the site, and every `REFRESH_S` for what no event tells: uptimes, CPU, memory.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from select import select
from types import FrameType

REFRESH_S = 2.0
QUIET_S = 0.05
"""Events that come together are one picture."""

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class _Over(Exception):  # noqa: N818 - not an error
    """Somebody has seen enough."""


def watch(events: int, picture: Callable[[], str | None]) -> int:
    """Show the picture again and again, until it is None. `events` is readable when something has happened."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGWINCH, lambda *_: None)
    terminal, last = os.isatty(1), ""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    _say(_ENTER if terminal else "")
    try:
        while (text := picture()) is not None:
            last = text
            _say(_framed(text) if terminal else f"{text}\n")
            ready, _, _ = select([events, woken], [], [], REFRESH_S)
            if woken in ready:
                os.read(woken, 4096)
            while events in ready and os.read(events, 65536):
                ready, _, _ = select([events], [], [], QUIET_S)
    except _Over:
        pass
    finally:
        _say(_LEAVE + last if terminal else "")
    return 0


def _framed(text: str) -> str:
    """The text at the top of the screen, as much of it as there are rows."""
    lines = text.splitlines()
    with suppress(OSError):
        rows = os.get_terminal_size(1).lines
        if rows and len(lines) > rows:
            lines = [*lines[: rows - 1], f"… {len(lines) - rows + 1} more"]
    return _HOME + "\n".join(line + _REST_OF_LINE for line in lines) + _REST_OF_SCREEN


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Over
