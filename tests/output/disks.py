"""File systems of a test's own: one that is soon full, and one that can be made to hang. Only root has them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
DEADLINE_S = 60.0


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs of 64 kB."""
    disk = folder / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk))
    try:
        yield disk
    finally:
        run("umount", "-l", str(disk))


@contextmanager
def disk_of_its_own(folder: Path) -> Iterator[Path]:
    """A file system that can be frozen; it is thawed and gone afterwards."""
    image, disk = folder / "image", folder / "disk"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    run("mkfs.ext4", "-q", "-F", str(image))
    run("mount", "-o", "loop", str(image), str(disk))
    try:
        yield disk
    finally:
        thaw(disk)
        run("umount", "-l", str(disk))


def freeze(disk: Path) -> None:
    """From now on whoever writes there hangs."""
    run("fsfreeze", "-f", str(disk))


def thaw(disk: Path) -> None:
    """Let them go on; nothing if they do."""
    subprocess.run(["fsfreeze", "-u", str(disk)], check=False, timeout=DEADLINE_S, stderr=subprocess.DEVNULL)


def run(*command: str) -> None:
    """Run a command of the system."""
    subprocess.run(command, check=True, timeout=DEADLINE_S)
