"""File systems of a test's own: one that is soon full, and one that can be made to hang. Only root has them."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
DEADLINE_S = 60.0
_DETACH = 2


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


@contextmanager
def silent_disk(folder: Path) -> Iterator[Path]:
    """A file system whose server never says a word: whoever looks for a file there hangs, until it is killed."""
    disk = folder / "disk"
    disk.mkdir()
    server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if libc.mount(b"none", bytes(disk), b"fuse", 0, options):
            pytest.skip(f"no file system of its own: {os.strerror(ctypes.get_errno())}")
        yield disk
    finally:
        os.close(server)  # whoever still hangs there is told that it is gone
        libc.umount2(bytes(disk), _DETACH)


def freeze(disk: Path) -> None:
    """From now on whoever writes there hangs."""
    run("fsfreeze", "-f", str(disk))


def thaw(disk: Path) -> None:
    """Let them go on; nothing if they do."""
    subprocess.run(["fsfreeze", "-u", str(disk)], check=False, timeout=DEADLINE_S, stderr=subprocess.DEVNULL)


def run(*command: str) -> None:
    """Run a command of the system."""
    subprocess.run(command, check=True, timeout=DEADLINE_S)
