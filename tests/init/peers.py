"""dumb-init's and tini's own suites, run against `procman init`.

Their sources are fetched, at test time, by `python -m tests.init.peers DIRECTORY` from Debian's archive, and found by
the tests through PROCMAN_PEERS=DIRECTORY. Nothing of them is kept in this repository.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from threading import Thread

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARBALLS = {"dumb-init": "dumb-init_1.2.5.orig.tar.gz", "tini": "tini_0.19.0.orig.tar.gz"}
ARCHIVE = (
    "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main"
)

RULES: dict[str, list[tuple[str, str]]] = {
    "dumb-init": [
        (r"swallowed signal (\d+) .*", r"Ignoring tty hand-off signal \1."),
        (r"sent signal (\d+)", r"Forwarded signal \1 to children."),
    ],
    "tini": [
        (r"reaped the orphan (\d+)", r"Reaped zombie process with pid=\1"),
        (r".*orphans are not reaped here.*", "zombie reaping won't work"),
    ],
}
"""What procman says, and what a suite looks for instead."""

OWN_WORDS = (
    "test_no_arguments_prints_usage",
    "test_exits_invalid_with_invalid_args",
    "test_help_message",
    "test_version_message",
    "test_verbose",
    "test_verbose_and_single_child",
    "test_rewrite_errors",
)
"""Tests of dumb-init that compare whole texts with its own; what procman does there, test_usage.py says."""


class Words:
    """Translates standard errors that `peer_adapter.py` hands over, until closed."""

    def __init__(self, place: Path) -> None:
        self.address = str(place / "words")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.address)
        self._socket.listen(128)
        Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                name, fds, _, _ = socket.recv_fds(peer, 64, 2)
            Thread(target=_translate, args=(name.decode(), *fds), daemon=True).start()


def _translate(name: str, heard: int, said: int) -> None:
    with open(heard, encoding="utf-8") as lines, open(said, "w", encoding="utf-8", buffering=1) as out:
        for line in lines:
            text = line.removeprefix("procman: ").rstrip("\n")
            for pattern, replacement in RULES[name]:
                text = re.sub(f"^{pattern}$", replacement, text)
            out.write(f"[{name}] {text}\n")


def environment(place: Path, words: Words) -> dict[str, str]:
    """What a suite is run with: the adapter and stand-ins for libraries, found before all else."""
    for name in ("dumb-init", "tini"):
        (place / name).symlink_to(HERE / "peer_adapter.py")
    (place / "sigconf-test").symlink_to(HERE / "stand_ins" / "sigconf-test")
    for name in ("python", "python3"):
        script = place / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        script.chmod(0o755)
    return os.environ | {
        "PATH": f"{place}:{os.environ['PATH']}",
        "PYTHONPATH": str(HERE / "stand_ins"),
        "PROCMAN_UNDER_TEST": f"{sys.executable} {HERE / 'procman_init.py'}",
        "PEER_WORDS": words.address,
    }


def fetch(directory: Path) -> None:
    """Download and unpack the sources of both."""
    directory.mkdir(parents=True, exist_ok=True)
    for part in ("lists/partial", "cache/archives/partial"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    (directory / "sources.list").write_text(ARCHIVE + "\n")
    options = {
        "Dir::Etc::sourcelist": "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": "lists",
        "Dir::Cache": "cache",
    }
    apt = ["apt-get", *(f"-o{key}={value if value == '-' else directory / value}" for key, value in options.items())]
    subprocess.run([*apt, "update"], check=True, timeout=300)
    # Not checked: of Debian's own files, which are not needed, one may be gone from a mirror.
    subprocess.run([*apt, "source", "--download-only", *TARBALLS], cwd=directory, check=False, timeout=300)
    for name, tarball in TARBALLS.items():
        with tarfile.open(directory / tarball) as archive:
            archive.extractall(directory, filter="data")
        shutil.rmtree(directory / name, ignore_errors=True)
        (directory / tarball.replace("_", "-").removesuffix(".orig.tar.gz")).rename(directory / name)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]).resolve())
