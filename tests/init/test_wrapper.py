"""The shell script that is the command `procman`, before any Python runs: in all shells, with any env."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.init.running import DEADLINE_S, ROOT, path_with_a_signal
from tests.init.test_process_one import needs_namespaces

SHELLS = [
    pytest.param([path, *words[1:]] if path else words, id=words[-1], marks=[] if path else pytest.mark.skip(words[0]))
    for words in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
    for path in [shutil.which(words[0])]
]
SAYS = f"""#!{sys.executable}
import json, os, signal, sys
blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
print(json.dumps([blocked, dict(os.environ), sys.argv[1:]]))
"""
"""An interpreter that says what it was started with. No shell: dash unblocks all signals when it waits for a child."""
ENVIRONMENT = {"PATH": os.environ["PATH"], "a.b": "a name that no shell knows", "two": "1\n2", "EMPTY": ""}
CALLERS = {signal.SIGUSR1, signal.SIGRTMIN}
ALL = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def blocks_signals() -> bool:
    """Whether the machine's env can."""
    return subprocess.run(["/usr/bin/env", "--block-signal", "true"], check=False, capture_output=True).returncode == 0


needs_blocking = pytest.mark.skipif(not blocks_signals(), reason="needs an env with --block-signal (coreutils 8.31)")


class Said:
    """What the interpreter found: blocked signals, its environment, what it was told of its caller, and the words."""

    def __init__(self, text: str) -> None:
        blocked, self.own, words = json.loads(text)
        self.blocked = set(blocked)
        assert words[:4] == ["-I", "-S", "-X", "utf8"]
        told, self.words = words[5 : words.index("--")], words[words.index("--") + 1 :]
        self.heard = [word for word in told if word.startswith("+")]
        self.caller = told[len(self.heard) :]

    @property
    def mask(self) -> set[int]:
        """The caller's, as it was told."""
        bits = int(self.caller[0], 16)
        return {number for number in signal.valid_signals() if bits >> number - 1 & 1}

    @property
    def environment(self) -> dict[str, str]:
        """The caller's, as it was told."""
        (count,) = self.caller[1:]
        assert count[0] == "="
        lines = [self.own[f"PROCMAN_CALLER_{number}"] for number in range(1, int(count[1:]) + 1)]
        entries = base64.b64decode("".join(lines)).decode().split("\0")
        return dict(entry.split("=", 1) for entry in entries if entry)


@pytest.fixture
def procman(tmp_path: Path) -> Path:
    """The command, in a folder of its own."""
    return made_in(tmp_path, tmp_path / "python")


def made_in(folder: Path, python: Path) -> Path:
    python.write_text(SAYS, encoding="utf-8")
    python.chmod(0o755)
    (folder / "procman-python").write_text(f"#!{python}\n\n", encoding="utf-8")
    return Path(shutil.copy(ROOT / "procman/cli/scripts/procman.sh", folder / "procman"))


def said(
    *command: str | Path, environment: dict[str, str] = ENVIRONMENT, mask: Collection[signal.Signals] = CALLERS
) -> Said:
    done = subprocess.run(
        command,
        check=True,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask),
    )
    assert done.stderr == ""
    return Said(done.stdout)


@needs_blocking
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("word", ["init", "up"])
def test_all_signals_are_blocked_before_the_interpreter_starts(shell: list[str], word: str, procman: Path) -> None:
    it = said(*shell, procman, word, "a b", "--", "")
    assert (it.blocked & ALL, it.words) == (ALL, [word, "a b", "--", ""])
    assert (it.mask, it.environment) == (CALLERS, ENVIRONMENT)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_signal_that_comes_before_is_handed_on(shell: list[str], procman: Path, tmp_path: Path) -> None:
    environment = ENVIRONMENT | {"PATH": path_with_a_signal(tmp_path)}
    it = said(*shell, procman, "init", "x", environment=environment, mask=set())
    assert (it.heard, it.words, it.environment) == (["+TERM"], ["init", "x"], environment)


@needs_namespaces
@pytest.mark.parametrize("shell", SHELLS)
def test_an_env_that_cannot_block_is_done_without(shell: list[str], procman: Path) -> None:
    """As on Alpine: busybox's env."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("needs busybox")
    over = 'mount --bind "$0" /usr/bin/env && exec "$@"'
    it = said("unshare", "--mount", "bash", "-c", over, busybox, *shell, procman, "init", "x")
    assert it.blocked <= CALLERS
    assert (it.words, it.mask) == (["init", "x"], CALLERS)
    assert ENVIRONMENT.items() <= it.environment.items()  # and PWD, of the shell that mounts


def test_a_path_that_env_would_take_for_a_variable_is_done_without(tmp_path: Path) -> None:
    it = said(made_in(tmp_path, tmp_path / "a=b"), "init")
    assert it.blocked <= CALLERS
    assert (it.words, it.mask, it.environment) == (["init"], CALLERS, ENVIRONMENT)


@pytest.mark.parametrize("shell", SHELLS)
def test_no_other_command_pays_for_it(shell: list[str], procman: Path) -> None:
    it = said(*shell, procman, "status", "init")
    assert (it.blocked, it.caller, it.words) == (CALLERS, [], ["status", "init"])


def test_nothing_of_the_environment_is_among_the_words_which_anybody_may_read(procman: Path) -> None:
    stale = {f"PROCMAN_CALLER_{number}": "bm9uZQ==" for number in range(50)}
    it = said(procman, "init", environment=ENVIRONMENT | {"SECRET": "x" * 200} | stale)
    assert it.environment == ENVIRONMENT | {"SECRET": "x" * 200} | stale
    assert all(len(word) < 20 for word in it.caller)


def test_an_environment_that_is_too_long_to_be_given_twice_is_the_shells(procman: Path) -> None:
    long = ENVIRONMENT | {f"LONG_{number}": "x" * 100_000 for number in range(13)}
    it = said(procman, "init", "--", "x", environment=long)
    assert (it.mask, it.caller[1:], it.words) == (CALLERS, [], ["init", "--", "x"])
    assert it.own["LONG_12"] == long["LONG_12"]


@needs_namespaces
def test_the_callers_environment_is_known_where_proc_counts_otherwise(procman: Path) -> None:
    """In a pid namespace whose /proc is the outer one's, `$$` is somebody else."""
    it = said("unshare", "--pid", "--fork", "--kill-child", procman, "init", "x")
    assert it.environment == ENVIRONMENT


def test_the_scripts_own_variables_are_nobody_elses(procman: Path) -> None:
    """Those that the caller exports stay what they are."""
    text = procman.read_text(encoding="utf-8")
    names = {name.removeprefix("procman_") for name in re.findall(r"\b([a-z_]+)=", text)}
    theirs = dict.fromkeys(names, "theirs")
    assert len(names) > 5
    assert theirs.items() <= said(procman, "init", environment=theirs).own.items()
