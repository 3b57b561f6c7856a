"""A command, its environment, and how it is exec'd: word for word what the caller gave, found as execvp finds it.

It starts no process, and it changes nothing of what it hands on: neither names that no shell could set, nor doubles.
"""

import os
from errno import EACCES, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENODEV, ENOENT, ENOEXEC, ENOTDIR, ESTALE, ETIMEDOUT

NOT_FOUND = 127
NOT_EXECUTABLE = 126
"""The statuses of a command that could not be run, as in a shell."""

_DEFAULT_PATH = b"/bin:/usr/bin"
_SHELL = b"/bin/sh"
_ELSEWHERE = (ENOENT, ENOTDIR, EACCES, ESTALE, ENODEV, ETIMEDOUT)
"""With these, the next directory of PATH is tried."""


class Environment:
    """Entries as `os.execve` takes them: a mapping but for its keys, which may come twice, as in a real environment."""

    __slots__ = ("_names", "_values")

    def __init__(self, entries: list[bytes]) -> None:
        """`entries` are NAME=VALUE; execve of Python can hand on no others, so they are left out."""
        split = [entry[1:].partition(b"=") for entry in entries if b"=" in entry[1:]]
        firsts = [entry[:1] for entry in entries if b"=" in entry[1:]]  # a name may begin with "="
        self._names = [first + name for first, (name, _, _) in zip(firsts, split, strict=True)]
        self._values = [value for _, _, value in split]

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: bytes) -> bytes:
        return self._values[self._names.index(name)]  # of doubles the first, as for getenv

    def keys(self) -> list[bytes]:
        """The names, doubles and all."""
        return self._names

    def values(self) -> list[bytes]:
        """The value of each of `keys()`."""
        return self._values

    def path(self) -> list[bytes]:
        """The directories in which commands are searched."""
        path = self[b"PATH"] if b"PATH" in self._names else _DEFAULT_PATH
        return path.split(b":")


def environment_of_caller() -> Environment:
    """What this process was exec'd with. Not `os.environb`: under the C locale Python adds LC_CTYPE to that."""
    try:
        fd = os.open("/proc/self/environ", os.O_RDONLY)
    except OSError:
        return Environment([name + b"=" + value for name, value in os.environb.items()])
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    os.close(fd)
    return Environment(b"".join(parts).split(b"\0"))


def execute(command: list[bytes], environment: Environment) -> int:
    """Become the command; comes back only if that fails, with the errno. A script without a first line is sh's."""
    name = command[0]
    if b"/" in name:
        return _program_or_script(name, command, environment)
    if not name:
        return ENOENT
    denied = False
    for directory in environment.path():
        error = _program_or_script(directory + b"/" + name if directory else name, command, environment)
        if error not in _ELSEWHERE:
            return error
        denied = denied or error == EACCES
    return EACCES if denied else ENOENT


def _program_or_script(file: bytes, command: list[bytes], environment: Environment) -> int:
    error = execute_file(file, command, environment)
    return execute_file(_SHELL, [_SHELL, file, *command[1:]], environment) if error == ENOEXEC else error


def execute_file(file: bytes, command: list[bytes], environment: Environment) -> int:
    """The same for a file that need not be searched."""
    try:
        os.execve(file, command, environment)  # type: ignore[arg-type]
    except OSError as error:
        return error.errno or EINVAL
    raise AssertionError("execve came back")


def status_of(error: int) -> int:
    """The exit status for a command that this errno kept from being run."""
    return NOT_FOUND if error in (ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG) else NOT_EXECUTABLE


def reason_of(error: int, name: bytes) -> str:
    """Why a command of this name could not be run, for people."""
    if error == EACCES and b"/" in name and os.path.isdir(name):  # noqa: PTH112 - no pathlib here
        return os.strerror(EISDIR)
    if error == ENOENT and b"/" in name and os.path.exists(name):  # noqa: PTH110 - no pathlib here
        return f"{os.strerror(ENOENT)} (the file is there; the interpreter or loader that it names is not)"
    return os.strerror(error)
