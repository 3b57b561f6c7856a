"""The first step of every command: `init` does not wait for what the others need. It knows no option."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal

    from procman.kernel.init.command import Environment
else:
    import _signal as signal  # builtin: loaded at once


def main() -> int:
    """Run what this process was asked for; the answer is its exit code."""
    if sys.argv[1:2] == ["init"]:
        from procman.cli.init import main as init

        return init(sys.argv[2:])
    from procman.cli.main import main as others

    return others()


def begin(caller: list[str], words: list[str], held: "set[int | signal.Signals]") -> int:
    """The same for the command `procman`, in an interpreter that is isolated and has all signals blocked.

    `caller`: each signal that was caught, as "+TERM"; the caller's signal mask as /proc has it, or nothing if that is
    `held`, which was blocked when this process began; then "=" and in how many variables PROCMAN_CALLER_1 … its
    environment is, as base64, or nothing if that is this process's own. `words`: after `procman`.
    """
    while caller and caller[0].startswith("+"):
        os.kill(os.getpid(), getattr(signal, f"SIG{caller.pop(0)[1:]}"))  # from now on it is pending
    count = int(caller.pop()[1:]) if caller and caller[-1][0] == "=" else None
    if words[:1] == ["init"]:
        from procman.cli.init import run_here

        return run_here(words[1:], _mask(caller, held), _environment(count))
    if count is not None:  # once more, with the environment that it is to be: the signals stay held
        from procman.kernel.init.command import execute_file

        again = [os.fsencode(word) for word in (sys.executable, "-I", "-S", "-X", "utf8", sys.argv[0], "--", *words)]
        execute_file(again[0], again, _environment(count))
    if words[:1] != ["up"]:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    import gc

    gc.set_threshold(20_000)  # what is imported is much, and no garbage
    sys.argv[:] = ["procman", *words]
    return main()


def _mask(caller: list[str], held: "set[int | signal.Signals]") -> set[int]:
    if not caller:
        return {int(number) for number in held}
    bits = int(caller[0], 16)
    return {number for number in range(1, bits.bit_length() + 1) if bits >> number - 1 & 1}


def _environment(count: int | None) -> "Environment":
    from procman.kernel.init.command import Environment, environment_of_caller

    if count is None:
        return environment_of_caller()
    from binascii import a2b_base64

    lines = [os.environ[f"PROCMAN_CALLER_{number}"] for number in range(1, count + 1)]
    return Environment(a2b_base64("".join(lines)).split(b"\0"))
