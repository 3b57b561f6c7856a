"""Why a program could not be started, in words for people. Looks at the file system; never raises, never decides."""

# The core has no pathlib: it costs half a megabyte.
# ruff: noqa: PTH110, PTH112, PTH118

from __future__ import annotations

import errno
import os
import resource

OUT_OF_RESOURCES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What the machine lacked rather than the program: such a start failed at its fork, wherever it was noticed."""


def of_fork(code: int) -> str:
    """`cannot fork: EAGAIN, Resource temporarily unavailable`. Of descriptors the core takes all that it may have."""
    limit = f" (ulimit -Hn is {resource.getrlimit(resource.RLIMIT_NOFILE)[1]})" if code == errno.EMFILE else ""
    return f"cannot fork: {errno.errorcode.get(code, code)}, {os.strerror(code)}{limit}"


def of_cwd(path: str, code: int) -> str:
    """`working directory /srv/x does not exist`."""
    match code:
        case errno.ENOENT:
            return f"working directory {path} does not exist"
        case errno.ENOTDIR:
            return f"working directory {path} is not a directory"
        case errno.EACCES:
            return f"working directory {path}: permission denied"
        case _:
            return f"working directory {path}: {os.strerror(code)}"


def of_exec(path: str, code: int, cwd: str | None) -> str:
    """`/srv/run: permission denied`, `run.sh: its interpreter /usr/bin/nope is missing`…"""
    return f"{path}: {_of_exec(os.path.join(cwd or '.', path), code)}"


def not_found(command: str) -> str:
    """`pythn3: command not found`."""
    return f"{command}: command not found"


def _of_exec(path: str, code: int) -> str:
    match code:
        case errno.ENOENT | errno.ENOTDIR if not os.path.lexists(path):
            return "no such file"
        case errno.ENOENT if not os.path.exists(path):
            return "a symbolic link to nothing"
        case errno.ENOENT:
            return f"its interpreter {_interpreter(path) or '(the dynamic loader)'} is missing"
        case errno.EACCES if os.path.isdir(path):
            return "is a directory"
        case errno.EACCES if os.access(path, os.X_OK) and (interpreter := _interpreter(path)):
            return f"its interpreter {interpreter}: permission denied"
        case errno.EACCES:
            return "permission denied"
        case errno.ENOEXEC:
            return "not an executable format (a script needs a first line such as #!/bin/sh)"
        case errno.E2BIG:
            return "its arguments and environment are too long"
        case _:
            return os.strerror(code)


def _interpreter(path: str) -> str | None:
    """What the script's first line names; None if it is no script, or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        head = os.read(descriptor, 256)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    words = head[2:].splitlines()[0].split() if head.startswith(b"#!") and len(head) > 2 else []
    return os.fsdecode(words[0]) if words else None
