"""The program of a Python group: a callable, its arguments, and what has to be imported for it.

Zygotes and workers run it with the site's own interpreter, perhaps without any library but Python's. As a program of
its own (`main`) it imports everything for itself: that is how a worker starts where no fork is safe.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple

_NOT_OF_THE_PROGRAM = (os.path.dirname(__file__), "<frozen importlib", import_module.__code__.co_filename)  # noqa: PTH120

MAX_WORDS = 480
"""So many bytes of the last words are kept."""


class Program(NamedTuple):
    """What is to be called. Its JSON is the last word of the command."""

    callable: str
    """`pkg.mod:func`; behind the colon there may be dots."""
    args: tuple[Any, ...] = ()
    path: tuple[str, ...] = ()
    """Directories that come first on the module path; none: the working directory."""
    preload: tuple[str, ...] = ()
    """Modules that are imported before the callable's own."""
    threads: str = "error"

    def prepare(self) -> None:
        """Put the directories on the module path, and be called what is called."""
        sys.path[:0] = self.path or [os.getcwd()]  # noqa: PTH109 - as Python itself has it
        sys.argv = [self.callable, *map(str, self.args)]

    def load(self) -> Callable[..., object]:
        """Import all of it. Raises what the modules raise, and AttributeError or TypeError for what is no callable."""
        for module in self.preload:
            import_module(module)
        module, _, name = self.callable.partition(":")
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if not callable(found):
            raise TypeError(f"{self.callable} is not callable: it is of type {type(found).__name__}")
        return found  # type: ignore[no-any-return]


def program_of(text: str) -> Program:
    """The program of a command's last word."""
    said: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()
    }
    return Program(**said)


def call(function: Callable[..., object], args: tuple[object, ...], tell: Callable[[str], object]) -> int:
    """Call it: the status to exit with. `tell` takes the last words of one that fails.

    It returns: 0, or the int that it returns (a bool is none). It raises: 1, and its traceback is on stderr. SystemExit
    and KeyboardInterrupt end it as they end every Python program.
    """
    me = os.getpid()
    try:
        result = function(*args)
    except SystemExit as end:
        return _status_of(end, tell)
    except BaseException as error:
        if os.getpid() == me:  # else it is a child that it has forked, and that has come up to here
            tell(last_words(error))
        show(error)
        if isinstance(error, KeyboardInterrupt):
            _die_of_interrupt()
        return 1
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def show(error: BaseException) -> None:
    """Print its traceback, as the program would have it, without procman's own lines at its beginning."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_NOT_OF_THE_PROGRAM):
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def last_words(error: BaseException) -> str:
    """The last line of its traceback: `ModuleNotFoundError: No module named 'shop'`."""
    lines = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def _status_of(end: SystemExit, tell: Callable[[str], object]) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    tell(str(end.code))
    print(end.code, file=sys.stderr)  # noqa: T201 - as Python itself does
    return 1


def _die_of_interrupt() -> None:
    """As Python does, so that who waits for it sees SIGINT."""
    with suppress(AttributeError, ValueError, OSError):
        sys.stdout.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def tell_to(account: int, place: int) -> Callable[[str], None]:
    """Who takes last words, and writes them into the core's account at this place (-1: there is no account)."""

    def tell(words: str) -> None:
        if account >= 0:
            text = " ".join(words.split()).encode("utf-8", "backslashreplace")[:MAX_WORDS]
            with suppress(OSError):
                os.pwrite(account, b"%d %b\n" % (os.getpid(), text), place)

    return tell


def main(text: str) -> int:
    """Import and call, in this very process."""
    program = program_of(text)
    program.prepare()
    account, place = map(int, os.environ.pop("PROCMAN_LAST_WORDS", "-1 0").split())
    if account >= 0:
        os.set_inheritable(account, False)

    def load_and_call(*args: object) -> object:
        return program.load()(*args)

    return call(load_and_call, program.args, tell_to(account, place))
