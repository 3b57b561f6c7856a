"""The event log: one line for each transition and notice, on standard error or in the file that the site names.

Only here is wall time stamped. The log never blocks, never raises and never decides; what a line holds is
declared in `fields.py`, how it gets out is the business of `writer.py`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from select import PIPE_BUF, POLLOUT, poll

from procman.lean import TYPE_CHECKING, suppress
from procman.log.human import HumanLines
from procman.log.jsonl import JsonLines
from procman.log.writer import Poller, Writer
from procman.plan import LogPlan
from procman.policy.events import Notice, Record
from procman.screen import columns, wants_colour

if TYPE_CHECKING:
    from procman.choices import LogFormat

_FILE_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_AT_ONCE = 64
"""So many lines are made before they are written: a thousand at once would take a place in memory that stays taken."""


class Log:
    """Takes records and writes them as the plan says, to `fd` as long as no plan names a file.

    `format` and `colour` come from the command line and, unless None, go before the plan and before what the
    terminal and the environment suggest.
    """

    def __init__(
        self,
        poller: Poller,
        fd: int = 2,
        format: LogFormat | None = None,  # noqa: A002 - its name everywhere else
        colour: bool | None = None,
    ) -> None:
        self._poller = poller
        self.heard: Callable[[Sequence[Record], int], None] = _nobody
        """Told all records, with their time."""
        self._fd = fd
        self._format = format
        self._colour = colour
        self._site: str | None = None
        self._plan = LogPlan()
        self._stream = Writer(fd, owned=False, poller=poller, lost_line=self._lost_line)
        self._file: Writer | None = None
        self._opened: str | None = None
        """The path of `_file`."""
        self._lines = self._renderer()

    def write(self, records: Sequence[Record], at_ns: int | None = None) -> None:
        """A line each, with this time, or that of now; together with those of the same turn of the loop."""
        if not records:
            return
        at_ns = at_ns or time.time_ns()
        for first in range(0, len(records), _AT_ONCE):
            lines = self._lines.lines(at_ns, records[first : first + _AT_ONCE])
            (self._file or self._stream).put_soon(lines)
        self.heard(records, at_ns)

    def configure(self, site: str, plan: LogPlan) -> None:
        """Write as this plan says from now on. A file that cannot be opened leaves the log where it is, and is told."""
        self._site, old, self._plan = site, self._plan.file, plan
        if plan.file != old and not self._open():
            self._plan = plan._replace(file=old)
        self._lines = self._renderer()

    def reopen(self) -> None:
        """Open the file anew, as after it was moved away; the standard stream stays what it is."""
        if self._plan.file is not None:
            self._open()

    def say(self, text: str) -> None:
        """A text for people on the stream, as it stands, giving up on a reader that takes nothing for five seconds."""
        data = text.encode("utf-8", "backslashreplace")
        writable = poll()
        writable.register(self._fd, POLLOUT)
        with suppress(OSError):
            while data and writable.poll(5000):
                data = data[os.write(self._fd, data[:PIPE_BUF]) :]

    def let_go(self) -> None:
        """Of a stream that is somebody else's, and not this process's standard error, which is where it goes on."""
        if self._fd == 2:
            return
        self._stream.close(patience_s=0)
        os.close(self._fd)
        self._fd = 2
        self._stream = Writer(2, owned=False, poller=self._poller, lost_line=self._lost_line)
        self._lines = self._renderer()

    def close(self) -> None:
        """Write what can be written within about a second, and let go."""
        for writer in (self._file, self._stream):
            if writer is not None:
                writer.close()

    def _open(self) -> bool:
        """Go over to the plan's file, or back to the stream; False, and a line that says so, where it cannot be."""
        path, file = self._plan.file, None
        if path is not None:
            try:
                fd = os.open(path, _FILE_FLAGS, 0o644)
            except OSError as error:
                reason = f"cannot open {path}: {error.strerror}"
                self.write([Notice("log.failed", "error", reason, {"file": path})])
                return False
            if self._opened != path:
                self.write([Notice("log.moved", "info", f"the log goes on in {path}", {"file": path})])
            file = Writer(fd, owned=True, poller=self._poller, lost_line=self._lost_line)
        (self._file or self._stream).flush()  # what was said before stays where it was said
        self._opened = path
        old, self._file = self._file, file
        if old is not None:
            (file or self._stream).inherit(old)
            old.close(patience_s=0)
        return True

    def _renderer(self) -> JsonLines | HumanLines:
        form = self._format or self._plan.format
        on_terminal = self._file is None and os.isatty(self._fd)
        if form == "json" or (form == "auto" and not on_terminal):
            return JsonLines(self._site)
        colour = wants_colour(on_terminal) if self._colour is None else self._colour
        return HumanLines(self._site, colour, (lambda: columns(self._fd)) if on_terminal else _no_limit)

    def _lost_line(self, count: int) -> bytes:
        plural = "" if count == 1 else "s"
        notice = Notice("log.lost", "warning", f"{count} line{plural} lost: nobody took them in time", {"lines": count})
        return self._lines.lines(time.time_ns(), [notice])[0]


def _nobody(_records: Sequence[Record], _at_ns: int) -> None:
    pass


def _no_limit() -> None:
    return None
