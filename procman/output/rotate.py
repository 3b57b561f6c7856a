"""A file of lines that is put aside when it is large or old: no line is split over two files.

Files that are put aside are named after the time at which that happened, `web.log.20261125T120007.000001Z`, and with
`.gz` where they are compressed. Numbers that move up with every rotation, as others have them, were rejected: they take
a rename for each kept file, and a reader, or a compression that is under way, loses what it had.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from procman.output.backlog import Lane
from procman.output.outlet import Outlet, Waiting

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PART = ".part"
_SURE_NS = 1_000_000


class Rotation(NamedTuple):
    """When a file is put aside, and what becomes of it."""

    size: int | None = None
    """No line that would make it longer than so many bytes is added; None is no limit."""
    keep: int = 10
    """So many files that were put aside are kept."""
    age: float | None = None
    """A file this old, in seconds, is put aside before the next line; None is no limit."""
    compress: bool = False


class FileOutlet(Outlet):
    """An outlet to a file of its own."""

    def __init__(self, path: str, rotation: Rotation, limit: int, waiting: Waiting, clock: Callable[[], int]) -> None:
        super().__init__(path, -1, limit, waiting, clock)
        self.rotation = rotation
        self.may_hang = True  # to open it may, whatever it is
        self._size = 0
        self._moved = False
        self._seen_ns = 0
        """When it was seen not to be deleted."""
        self._begun_ns = self._aside_ns = 0
        self._whole = True
        """Whether what is in the file ends with a whole line."""
        self._torn = False
        """Whether it ends with the beginning of what is to be written next."""

    @property
    def torn(self) -> bool:
        """Whether the end of the file's last line is still to be written."""
        return self._torn if self.fd < 0 else not self._whole

    def restore(self, state: dict[str, Any], lane_of: Callable[[Any], Lane]) -> None:
        """See `Outlet`."""
        super().restore(state, lane_of)
        self._torn = state["torn"]

    def state(self, name_of: Callable[[Lane], Any]) -> dict[str, Any]:
        """See `Outlet`."""
        return {**super().state(name_of), "torn": self.torn}

    def reopen(self) -> None:
        """Open the file anew at the next write: it has been moved away. A line that is torn is finished first."""
        self._moved = True
        self.may_hang = True

    def close(self) -> None:
        """See `Outlet`."""
        super().close()
        self.may_hang = True

    def write(self, pieces: list[memoryview]) -> int:
        """See `Outlet`."""
        self._be_open()
        if not self.may_hang:
            return super().write(pieces)
        room = self._room()
        total = sum(map(len, pieces))
        if total <= room:
            written = super().write(pieces)
            self._note(pieces, written)
            return written
        data = b"".join(pieces)
        end = data.rfind(b"\n", 0, max(room, 0)) + 1
        if not end and self._size and self._whole:
            self._put_aside()
            return self.write(pieces)
        if not end:
            end = (data.find(b"\n") + 1) or len(data)
        written = os.write(self.fd, memoryview(data)[:end])
        self._note([memoryview(data)], written)
        return written

    def _note(self, pieces: list[memoryview], written: int) -> None:
        self._size += written
        for piece in pieces:
            if written <= len(piece):
                self._whole = piece[written - 1] == 10
                return
            written -= len(piece)

    def _room(self) -> int:
        """How many bytes may be added."""
        size, age = self.rotation.size, self.rotation.age
        if age is not None and self._whole and self._size and self._clock() - self._begun_ns >= age * 1e9:
            self._put_aside()
        return 1 << 62 if size is None else size - self._size

    def _be_open(self) -> None:
        """Have the file open, the one that is at the path unless it was renamed. Raises OSError."""
        if self.fd >= 0:
            if not self._whole or (not self._moved and self._is_there()):
                return
            self.close()  # it was moved, or deleted: what is written there nobody would see
        try:
            self.fd = os.open(self.name, _FLAGS, 0o644)
        except FileNotFoundError:
            Path(self.name).parent.mkdir(parents=True, exist_ok=True)
            self.fd = os.open(self.name, _FLAGS, 0o644)
        status = os.fstat(self.fd)
        self._moved, self.may_hang = False, stat.S_ISREG(status.st_mode)
        self._size, self._begun_ns = status.st_size, self._clock()
        self._whole = not self._torn
        if self.may_hang and self._size and self._whole and not _ends_with_newline(self.name):
            self._size += os.write(self.fd, b"\n")  # whoever wrote here was interrupted
        self._torn = False

    def _is_there(self) -> bool:
        """Whether it has not been deleted. Not asked before each write of a flood, which costs enough as it is."""
        now_ns = self._clock()
        if not 0 <= now_ns - self._seen_ns < _SURE_NS:
            if not os.fstat(self.fd).st_nlink:
                return False
            self._seen_ns = now_ns
        return True

    def _put_aside(self) -> None:
        """Rename the file and begin another; where that cannot be, it grows on until it can."""
        self._aside_ns = max(self._clock(), self._aside_ns + 1000)  # names that sort as they came, and no name twice
        aside = f"{self.name}.{_stamp(self._aside_ns)}"
        try:
            os.rename(self.name, aside)  # noqa: PTH104 - raises less often for paths that are odd
        except OSError:
            self._size, self._begun_ns = 0, self._clock()  # tried again after as much as before
            return
        self.close()
        self._be_open()
        _tidy(self.name, self.rotation)


def put_aside(path: str) -> list[Path]:
    """The files that were put aside of this one, the oldest first."""
    file = Path(path)
    with suppress(OSError):
        names = [entry.name for entry in os.scandir(file.parent) if _is_aside(entry.name, file.name)]
        return [file.parent / name for name in sorted(names)]
    return []


def _ends_with_newline(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True  # not to be known


def _is_aside(name: str, base: str) -> bool:
    stamp = name[len(base) + 1 :].removesuffix(".gz")
    return name.startswith(f"{base}.") and len(stamp) == 23 and stamp[8] == "T" and stamp.endswith("Z")


def _stamp(now_ns: int) -> str:
    second, rest = divmod(now_ns, 1_000_000_000)
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(second))}.{rest // 1000:06}Z"


_compressing = threading.Lock()


def _tidy(path: str, rotation: Rotation) -> None:
    """Remove what is too much, and compress the others, in a thread: zlib lets the pump go on meanwhile."""
    aside = put_aside(path)
    for file in aside[: max(0, len(aside) - rotation.keep)]:
        with suppress(OSError):
            file.unlink()
    if rotation.compress:
        threading.Thread(target=_compress, args=(aside[-rotation.keep :] if rotation.keep else [],)).start()


def _compress(files: list[Path]) -> None:
    import gzip  # most pumps compress nothing

    with _compressing:
        for file in files:
            part = file.with_name(f"{file.name}.gz{_PART}")
            try:
                if file.suffix != ".gz":
                    with file.open("rb") as plain, gzip.open(part, "wb", compresslevel=6) as packed:
                        shutil.copyfileobj(plain, packed, 1 << 16)
                    shutil.copystat(file, part)  # when it was last written is all that is known of when its lines came
                    part.rename(file.with_name(f"{file.name}.gz"))
                    file.unlink()
            except OSError:  # no room, or it has gone: it stays as it is
                with suppress(OSError):
                    part.unlink()
