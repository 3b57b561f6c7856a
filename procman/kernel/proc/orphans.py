"""Whose children orphans become, and what happens when this process is one: prctl, by ctypes.

Import it only where it is asked for: ctypes costs a megabyte, and process 1 needs none of it.
"""

import os

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


def adopt() -> None:
    """Have processes below this one that lose their parent become children of this one. Raises OSError."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def adopted() -> bool:
    """Whether they do: this process was told so, perhaps by whoever exec'd it."""
    import ctypes

    answer = ctypes.c_int()
    _prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer))
    return bool(answer.value)


def die_with_parent(number: int) -> None:
    """Have this signal sent to this process when its parent ends, or now if it just has. Raises OSError."""
    parent = os.getppid()
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def _prctl(option: int, argument: object) -> None:
    try:
        import ctypes
    except ImportError as error:
        raise OSError(0, "this Python was built without ctypes") from error
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
