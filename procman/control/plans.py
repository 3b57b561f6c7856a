"""The last good plans as files in a site's runtime directory: what a rollback after procman's next start goes back to.

A file is written whole under another name and renamed, and only what is to the bit as it was written is read. Nothing
is decided here, and what goes wrong here never harms the site: it is told in one line.
"""

# No pathlib in the core.
# ruff: noqa: PTH102, PTH104, PTH108, PTH123, PTH208

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence

from procman.lean import suppress
from procman.policy.events import GoodPlan, Notice

SUFFIX = ".json"
UNFINISHED = "unfinished"
"""The name of a file that is being written."""
MOST = 64 << 20
"""So many bytes a file has at most."""
_PRIME = 2**61 - 1
_NAMED = 3
"""So many files are named where more are ignored."""


class Plans:
    """The files `1.json`, `2.json`, … in a directory of their own: the greatest number is the last good plan."""

    __slots__ = ("_files", "_folder")

    def __init__(self, folder: str) -> None:
        """It need not be there yet."""
        self._folder = folder
        self._files: list[tuple[int, GoodPlan | None]] = []
        """By number, the last one last; None is one that holds no plan."""

    def recall(self) -> tuple[tuple[GoodPlan, ...], Notice | None]:
        """The plans that are kept, the last one first, and what to say if there is something else among them."""
        try:
            names = set(os.listdir(self._folder)) - {UNFINISHED}
        except FileNotFoundError:
            return (), None
        except OSError as error:
            return (), _ignored(self._folder, error.strerror or "it cannot be read")
        numbers = sorted(number for name in names if (number := _number_of(name)))
        self._files = [(number, _read(self._path(number))) for number in numbers]
        others = names - {f"{number}{SUFFIX}" for number, plan in self._files if plan}
        said = _ignored(self._folder, f"procman has not written {_some(sorted(others))}") if others else None
        return tuple(plan for _, plan in reversed(self._files) if plan), said

    def keep(self, plans: Sequence[GoodPlan]) -> Notice | None:
        """Have these there, the last one first, and no others; what to say if that cannot be."""
        stay, new = self._compare(plans)
        gone = [file for file in self._files if file not in stay]
        top = self._files[-1][0] if self._files else 0
        self._files, failure = stay, None
        try:
            with suppress(FileExistsError):
                os.mkdir(self._folder, 0o700)
            for number, plan in enumerate(new, top + 1):
                self._write(number, plan)
                self._files.append((number, plan))
        except OSError as error:
            reason = f"cannot keep a good plan for after a restart: {error.strerror}"
            failure = Notice("plans.failed", "warning", reason, {"file": self._folder})
        for number, _ in gone:
            with suppress(OSError):
                os.unlink(self._path(number))
        return failure

    def _compare(self, plans: Sequence[GoodPlan]) -> tuple[list[tuple[int, GoodPlan | None]], list[GoodPlan]]:
        """The files that may stay, and the plans that are to be written after them, the last one last."""
        stay, new, files = [], list(reversed(plans)), iter(self._files)
        while new and (file := next((one for one in files if one[1] == new[0]), None)):
            stay.append(file)
            del new[0]
        return stay, new

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number}{SUFFIX}"

    def _write(self, number: int, plan: GoodPlan) -> None:
        unfinished = f"{self._folder}/{UNFINISHED}"
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
        text = plan.text.encode("ascii")
        head = json.dumps({"digest": plan.digest, "checksum": _checksum(text)})
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            with open(os.open(unfinished, flags, 0o600), "wb", buffering=0) as file:
                _write_all(file.fileno(), f"{head}\n".encode() + text)
            os.rename(unfinished, self._path(number))
        except OSError:
            with suppress(OSError):
                os.unlink(unfinished)  # of a disk that is full it has the last bytes
            raise


def _checksum(text: bytes) -> int:
    """That of a file whose text was not torn or changed by accident; `binascii` for crc32 takes 160 kB of memory."""
    return int.from_bytes(text, "big") % _PRIME


def _write_all(fd: int, data: bytes) -> None:
    """A disk that becomes full takes a part."""
    while data:
        data = data[os.write(fd, data) :]


def _number_of(name: str) -> int:
    """What a file's name counts; 0 if it is no name of a plan's."""
    digits = name.removesuffix(SUFFIX)
    return int(digits) if name.endswith(SUFFIX) and digits.isascii() and digits.isdigit() and len(digits) < 16 else 0


def _read(path: str) -> GoodPlan | None:
    """The plan of a file; None if it is not as it was written, or not by this user."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size > MOST:
            return None
        with open(fd, "rb", closefd=False) as file:
            head, _, text = file.read(MOST).partition(b"\n")
        said = json.loads(head)
        return GoodPlan(str(said["digest"]), text.decode("ascii")) if said["checksum"] == _checksum(text) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    finally:
        os.close(fd)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _ignored(folder: str, reason: str) -> Notice:
    return Notice("plans.ignored", "warning", reason, {"file": folder})
