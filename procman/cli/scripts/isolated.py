#!python
"""What the command `procman`, a shell script, runs: an isolated interpreter that holds all signals from here on.

The first line is the installer's and names its interpreter. The arguments are what `entry.begin` says of the caller;
`--`; and procman's words. It is short, since it is compiled anew each time.
"""

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # builtin: loaded at once

MASK = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

import os  # noqa: E402 - after the signals are held
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


if __name__ == "__main__":
    END = sys.argv.index("--")
    CALLER, WORDS = sys.argv[1:END], sys.argv[END + 1 :]
    # With the caller's environment, it is `init`, or `up`, which begins once more with that.
    find_procman(whole=not any(word[0] == "=" for word in CALLER) and (not WORDS or WORDS[0] not in ALONE))
    from procman.cli.entry import begin

    CODE = begin(CALLER, WORDS, MASK)
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(CODE)  # to take apart all that was imported would be a tenth of a command's time
