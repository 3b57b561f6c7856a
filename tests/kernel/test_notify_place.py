"""The directories of notify sockets: what cores that are no more have left is taken away, and nothing else is."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from procman.kernel.health.notify_place import NAME, Place, sweep


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A directory with a socket in it, whose core is no more."""
    with subprocess.Popen(["true"]) as dead:
        pass
    return made(tmp_path / f"{NAME}.{dead.pid}.0")


@pytest.fixture
def lives() -> Iterator[int]:
    with subprocess.Popen(["sleep", "300"]) as process:
        yield process.pid
        process.kill()


def made(folder: Path) -> Path:
    folder.mkdir(mode=0o711)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(folder / "1"))
    return folder


def test_what_a_core_that_is_no_more_has_left_is_taken_away(tmp_path: Path, left: Path) -> None:
    mine_of_before = made(tmp_path / f"{NAME}.{os.getpid()}.0")  # as at process 1 of a container that is started again
    sweep(str(tmp_path))
    assert (left.exists(), mine_of_before.exists()) == (False, False)


def test_one_that_somebody_has_locked_stays_whoever_has_its_number_here(tmp_path: Path, left: Path) -> None:
    lock = os.open(left, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep(str(tmp_path))
        assert (left / "1").exists()
    finally:
        os.close(lock)
    sweep(str(tmp_path))
    assert not left.exists()


def test_one_whose_process_lives_stays(tmp_path: Path, lives: int) -> None:
    folder = made(tmp_path / f"{NAME}.{lives}.0")
    sweep(str(tmp_path))
    assert (folder / "1").exists()


def test_what_only_has_the_look_of_one_stays(tmp_path: Path, left: Path) -> None:
    target = made(tmp_path / "precious")
    link = tmp_path / (left.name + "1")
    link.symlink_to(target)
    odd = [made(tmp_path / f"{NAME}.{rest}") for rest in ("x.0", "-1.0", "\u0661.0")]
    file = tmp_path / (left.name + "2")
    file.touch()
    sweep(str(tmp_path))
    sweep(str(tmp_path / "missing"))
    assert (target / "1").exists()
    assert link.is_symlink()
    assert file.exists()
    assert all((one / "1").exists() for one in odd[:2])
    assert not left.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_users_stays(tmp_path: Path, left: Path) -> None:
    os.chown(left, 54321, -1)
    sweep(str(tmp_path))
    assert (left / "1").exists()


def test_a_place_is_safe_from_a_sweep_until_it_is_closed() -> None:
    place = Place()
    folder = Path(place.path()).parent
    try:
        sweep(str(folder.parent))
        assert folder.is_dir()
    finally:
        place.close()
    assert not folder.exists()
