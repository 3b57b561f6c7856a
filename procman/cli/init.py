"""`procman init`: what is asked for, and the interpreter in which it is done.

The first thing it does is to block all signals, so that none is lost or kills it before it listens. Then it gives way,
by exec, to an interpreter with nothing but itself, deaf to PYTHON* variables, which are the command's. No argparse: an
init is started often, and stays. Nothing is run if anything is wrong with how it was asked.
"""

import os
import sys

import procman
from procman import cli
from procman.kernel.init.command import Environment, environment_of_caller, execute_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal

    from procman.kernel.init.init import Options
else:
    import _signal as signal  # builtin: no signal.py that lies around can be taken for it

EXIT_USAGE = 1

BOOT = "import sys; sys.path.append(sys.argv[1]); from procman.cli.init import resume; sys.exit(resume(*sys.argv[2:]))"
"""The program of the isolated interpreter; it is given procman's root, the caller's signal mask, and the words."""

HELP = """\
usage: procman init [options] [--] COMMAND [ARGUMENT…]

Runs one command as process 1 should run it: forwards signals to it, reaps
orphans, ends with its status.

options:
  -c, --single-child    signal the command alone, not its group; it stays in
                        this session, in a group of its own
  -r, --rewrite S:R     send signal R instead of a received signal S (numbers
                        1 to 31; R 0: none); repeatable
  -e, --expect-exit N   end with 0 instead of status N; repeatable
  -s, --subreaper       not as process 1: reap the orphans below it, too
      --no-subreaper    undo an earlier -s
  -p, --pdeathsig NAME  receive, and so forward, this signal when the parent of
                        procman ends: TERM, INT…
      --drain DURATION  after the command, wait so long for what is left of its
                        group: 500ms, 8s, 1m30s (default: 0)
  -w, --warn-on-reap    say which orphans were reaped
  -v, --verbose         say all that happens, on standard error
  -h, --help            show this and exit
  -V, --version         show the version and exit

signals:
  All that can be caught are forwarded, one for one, except CHLD. When the
  command ends, TERM goes to what is left of its group. TSTP, TTIN and TTOU go
  on as STOP (as they are with -c), then procman stops too, until CONT.

exit codes:
  N      the command's own
  128+n  the command died of signal n
  127    the command was not found
  126    the command could not be executed
  1      wrong usage: nothing was run
"""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHORT = {
    "c": "--single-child",
    "r": "--rewrite",
    "e": "--expect-exit",
    "s": "--subreaper",
    "p": "--pdeathsig",
    "w": "--warn-on-reap",
    "v": "--verbose",
    "h": "--help",
    "V": "--version",
}
_WITH_OPERAND = ("--rewrite", "--expect-exit", "--pdeathsig", "--drain")
WORDS = (*_SHORT.values(), "--drain", "--no-subreaper")


class UsageError(Exception):
    """What is wrong with how it was asked, for people."""


def main(argv: list[str]) -> int:
    """Run what the words after `init` say; the answer is the exit code. Does not come back if all goes well."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    # The package may have blocked them already, and then it knows what the mask was.
    mask = {int(number) for number in getattr(cli, "CALLERS_MASK", before)}
    environment = environment_of_caller()
    if not (sys.flags.isolated and sys.flags.no_site):
        root = os.path.abspath(procman.__file__.rsplit("/", 2)[0])  # noqa: PTH100 - no pathlib in an init
        words = [root, ",".join(map(str, mask)), *argv]
        command = [os.fsencode(word) for word in (sys.executable, "-I", "-S", "-X", "utf8", "-c", BOOT, *words)]
        execute_file(command[0], command, environment)
        # Embedded somewhere: it does as well here, only with more in memory.
    return run_here(argv, mask, environment)


def resume(mask: str, *argv: str) -> int:
    """What `main` does, in the isolated interpreter. `mask`: the signals that the caller had blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    return run_here(list(argv), {int(number) for number in mask.split(",") if number}, environment_of_caller())


def run_here(argv: list[str], mask: set[int], environment: Environment) -> int:
    from procman.kernel.init.init import Init, Options, write

    options = Options()
    try:
        words, command = _split(argv)
        for word, operand in words:
            if word in ("--help", "--version"):
                write(HELP if word == "--help" else f"procman {procman.__version__}\n", 1)
                return 0
            _apply(options, word, operand)
        if not command:
            raise UsageError("no COMMAND given")
        if options.drain_s and options.subreaper is False:
            raise UsageError("--drain needs a subreaper, and --no-subreaper forbids it")
    except UsageError as error:
        write(f"procman init: error: {error}\nhint: see `procman init --help`\n")
        return EXIT_USAGE
    _be_called("procman")
    return Init(options, environment, mask).run([os.fsencode(word) for word in command])


def _split(argv: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The options as their long words, each with its operand, and the command."""
    found, rest = [], list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            word, equals, operand = word.partition("=")
            if word not in WORDS:
                raise UsageError(f"there is no option {word}")
            if equals and word not in _WITH_OPERAND:
                raise UsageError(f"{word} takes no value")
            given = [operand] if equals else []
            words = [word]
        else:
            words, given = _cluster(word[1:])
        found += [(word, _operand(word, given or rest) if word in _WITH_OPERAND else "") for word in words]
    return found, rest


def _cluster(letters: str) -> tuple[list[str], list[str]]:
    """The words of `-cvr15:2`, and what stands glued to the last of them."""
    words = []
    for place, letter in enumerate(letters):
        if letter not in _SHORT:
            raise UsageError(f"there is no option -{letter}")
        words.append(_SHORT[letter])
        if words[-1] in _WITH_OPERAND:
            rest = letters[place + 1 :]
            return words, [rest] if rest else []
    return words, []


def _operand(word: str, words: list[str]) -> str:
    if not words:
        raise UsageError(f"{word} needs a value")
    return words.pop(0)


def _apply(options: "Options", word: str, operand: str) -> None:
    match word:
        case "--single-child":
            options.single_child = True
        case "--rewrite":
            options.rewrites.update([_rewrite(operand)])
        case "--expect-exit":
            options.expected.add(_number(operand, 0, 255, "--expect-exit", "N: a status from 0 to 255"))
        case "--subreaper":
            options.subreaper = True
        case "--no-subreaper":
            options.subreaper = False
        case "--pdeathsig":
            options.death_signal = _signal(operand)
        case "--drain":
            options.drain_s = _duration(operand)
        case "--warn-on-reap":
            options.warn = True
        case "--verbose":
            options.verbose = True


def _rewrite(text: str) -> tuple[int, int]:
    received, _, sent = text.partition(":")
    form = "S:R: signal numbers from 1 to 31, or R 0 to drop S"
    return _number(received, 1, 31, "--rewrite", form, text), _number(sent, 0, 31, "--rewrite", form, text)


def _number(text: str, least: int, most: int, word: str, form: str, whole: str | None = None) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and least <= int(text) <= most):
        raise UsageError(f"{word} {_show(text if whole is None else whole)}: it takes {form}")
    return int(text)


def _signal(text: str) -> int:
    name = text.upper().removeprefix("SIG")
    number = getattr(signal, f"SIG{name}", None) if name.isalnum() else None
    if text.isascii() and text.isdigit() and len(text) <= 2:
        number = int(text)
    if number not in signal.valid_signals():
        raise UsageError(f"--pdeathsig {_show(text)}: it takes the name of a signal, as TERM")
    return int(number)


def _duration(text: str) -> float:
    """Seconds of `8s`, `500ms`, `1m30s`, or a bare number of them."""
    seconds, rest = 0.0, text if not text[-1:].isdigit() else f"{text}s"
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        letters = len(rest) - digits - len(rest[digits:].lstrip("hms"))
        try:
            seconds += float(rest[:digits]) * _UNITS[rest[digits : digits + letters]]
        except (ValueError, KeyError):
            seconds = -1.0
            break
        rest = rest[digits + letters :]
    if not text.isascii() or not text or not 0 <= seconds < 1e8:
        raise UsageError(f"--drain {_show(text)}: it takes a duration, as 500ms, 8s or 1m30s")
    return seconds


def _show(text: str) -> str:
    return text if text and text.isprintable() else ascii(text)


def _be_called(name: str) -> None:
    """Show up under this name in ps and top, not as one more Python."""
    try:
        fd = os.open("/proc/self/comm", os.O_WRONLY)
    except OSError:
        return
    os.write(fd, name.encode())
    os.close(fd)
