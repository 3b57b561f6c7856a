#!python
"""What the command `procman`, a shell script, runs: an isolated interpreter that holds all signals from here on.

The first line is the installer's and names its interpreter. The arguments are `=` and the caller's environment in words
of base64, unless it is this process's own; `--`; and procman's words.
"""

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    import signal

    from procman.kernel.init.command import Environment
else:
    import _signal as signal  # builtin: loaded at once

MASK = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

import gc  # noqa: E402 - after the signals are held
import os  # noqa: E402
import sys  # noqa: E402

# ruff: noqa: PTH112, PTH120 - no pathlib in an init

ALONE = ("init", "status", "events", "logs", "start", "stop", "restart", "scale", "signal", "run", "down")
"""Commands that need nothing of what others have installed: they do not wait for `site` to look through it."""


def find_procman(*, whole: bool) -> None:
    """Have it importable. As `site` would find it with all that is installed, or, which is quick, procman alone."""
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    lib = f"{os.path.dirname(os.path.dirname(os.path.realpath(sys.argv[0])))}/lib/{python}"
    for place in (f"{lib}/site-packages", f"{lib}/dist-packages"):
        if not whole and os.path.isdir(f"{place}/procman"):
            sys.path.append(place)
            return
    import site

    site.main()
    for place in (f"{lib}/site-packages", f"{lib}/dist-packages"):
        if place not in sys.path and os.path.isdir(place):  # --user: an isolated interpreter leaves that out
            site.addsitedir(place)


def main() -> int:
    """Run procman's words; the answer is the exit code."""
    end = sys.argv.index("--")
    caller, words = sys.argv[1:end], sys.argv[end + 1 :]
    find_procman(whole=not words or words[0] not in ALONE)
    if words[:1] == ["init"]:
        from procman.cli.init import run_here

        return run_here(words[1:], set(map(int, MASK)), environment_of(caller))
    if caller:  # once more, with the environment that it is to be: the signals stay held
        from procman.kernel.init.command import execute_file

        command = [sys.executable, "-I", "-S", "-X", "utf8", sys.argv[0], "--", *words]
        execute_file(os.fsencode(sys.executable), [os.fsencode(word) for word in command], environment_of(caller))
    if words[:1] != ["up"]:
        signal.pthread_sigmask(signal.SIG_SETMASK, MASK)
    gc.set_threshold(20_000)  # what is imported is much, and no garbage
    sys.argv[:] = ["procman", *words]
    from procman.cli.main import main as others

    return others()


def environment_of(caller: list[str]) -> "Environment":
    """The caller's environment, as it was given; else this process's own."""
    from binascii import a2b_base64

    from procman.kernel.init.command import Environment, environment_of_caller

    return Environment(a2b_base64("".join(caller[1:])).split(b"\0")) if caller else environment_of_caller()


if __name__ == "__main__":
    CODE = main()
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(CODE)  # to take apart all that was imported would be a tenth of a command's time
