"""What tini's suite wants of the library `prctl`."""

import ctypes


def set_child_subreaper(on: int) -> None:
    """Have orphans below become children of this process."""
    assert ctypes.CDLL(None).prctl(36, on, 0, 0, 0) == 0
