"""What /proc says of the processes of this machine."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def all_of_them() -> dict[int, tuple[str, int]]:
    """State and parent of every process, by pid."""
    found = {}
    for folder in _folders():
        with suppress(OSError):
            state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            found[int(folder.name)] = (state, int(parent))
    return found


def marked(entry: str) -> list[int]:
    """The processes that began with this in their environment."""
    return [int(folder.name) for folder in _folders() if is_marked(int(folder.name), entry)]


def is_marked(pid: int, entry: str) -> bool:
    """Whether this one has; the dead have nothing."""
    try:
        return entry.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def arguments(pid: int) -> bytes:
    """Its command line, each word ended by NUL; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_guard(pid: int, core: int) -> bool:
    """Whether it is the guard of this core."""
    try:
        return b"guard_process" in arguments(pid) and int(status(pid, "PPid")) == core
    except (OSError, StopIteration):
        return False


def descriptors(pid: int) -> list[str]:
    """What a process has open."""
    return sorted(str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())


def status(pid: int, name: str) -> str:
    """A line of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))


def _folders() -> list[Path]:
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]
