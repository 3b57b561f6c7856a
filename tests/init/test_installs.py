"""The command `procman`, however it was installed: isolated, deaf to what is meant for its children, and never late."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.init.running import DEADLINE_S, OWN_PIDS, ROOT, listens, path_with_a_signal, until
from tests.init.test_process_one import child_of, needs_namespaces

HOSTILE = {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "PYTHONVERBOSE": "1", "PYTHONSTARTUP": "/nowhere"}
"""What Python would heed, and break by."""
ENVIRONMENT = {"PATH": os.environ["PATH"], **HOSTILE, "a.b": "a name that no shell knows", "EMPTY": "", "LC_ALL": "C"}
SPOILT = "exec 0<&-; trap '' CHLD; exec \"$@\""
SITE = 'schema = 1\n[group.job]\nkind = "job"\ncommand = "sleep 300"\n'


def made(*command: str | Path, **how: str) -> None:
    """Run what makes an installation."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))} | how
    done = subprocess.run(command, check=False, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def venv_at(folder: Path, *options: str) -> Path:
    """A new venv, in which the libraries of this one can be imported: its interpreter."""
    made(sys.executable, "-m", "venv", "--copies", *options, folder)
    library = next(folder.glob("lib/python3*/site-packages"))
    (library / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin" / "python"


class Installs:
    """Makes installations, each when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        made(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
        (self._wheel,) = folder.glob("*.whl")
        self._with_pip = venv_at(folder / "with-pip", "--system-site-packages")
        self._made: dict[str, Path] = {}

    def __getitem__(self, kind: str) -> Path:
        if kind not in self._made:
            self._made[kind] = getattr(self, f"_{kind.replace(' ', '_')}")()
        return self._made[kind]

    def _pip(self, *words: str | Path, **how: str) -> None:
        made(self._with_pip, "-m", "pip", "install", "-q", "--no-deps", "--no-index", *words, **how)

    def _venv(self) -> Path:
        self._pip("--ignore-installed", self._wheel)
        return self._with_pip.with_name("procman")

    def _user(self) -> Path:
        base = self._folder / "home"
        self._pip("--user", "--ignore-installed", self._wheel, PYTHONUSERBASE=str(base))
        return base / "bin" / "procman"

    def _editable(self) -> Path:
        python = venv_at(self._folder / "a folder with spaces", "--without-pip")
        made(
            self._with_pip,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-e",
            ROOT,
        )
        return python.with_name("procman")

    def _uv(self) -> Path:
        python = venv_at(self._folder / "for uv", "--without-pip")
        uv = shutil.which("uv", path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
        assert uv, "the extra `test` has it"
        made(uv, "pip", "install", "-q", "--offline", "--no-deps", "--python", python, self._wheel)
        return python.with_name("procman")

    def _symbolic_link(self) -> Path:
        link = self._folder / "elsewhere" / "procman"
        link.parent.mkdir()
        link.symlink_to(f"../{self['venv'].relative_to(self._folder)}")
        return link

    def _zipapp(self) -> Path:
        tree, app = self._folder / "tree", self._folder / "procman.pyz"
        shutil.copytree(ROOT / "procman", tree / "procman", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "procman" / "__main__.py", tree)
        made(sys.executable, "-m", "zipapp", tree, "-o", app, "-p", f"/usr/bin/env -S '{self._with_pip}' -I")
        return app


KINDS = ["venv", "user", "editable", "uv", "symbolic link", "zipapp"]


@pytest.fixture(scope="module")
def installs(tmp_path_factory: pytest.TempPathFactory) -> Installs:
    return Installs(tmp_path_factory.mktemp("installs"))


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A directory with a file in it that would be taken for the library's."""
    (tmp_path / "signal.py").write_text("raise SystemExit('taken for the library')\n")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_init_is_isolated_and_the_command_has_the_callers_environment_and_mask(
    installs: Installs, kind: str, trap: Path
) -> None:
    spoilt = ("sh", "-c", SPOILT, "-", "env", "-i", *(f"{name}={value}" for name, value in ENVIRONMENT.items()))
    program = (
        "import signal, sys; sys.stdout.write(open('/proc/self/environ').read());"
        "sys.exit(sum(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
    )
    blocked = {signal.SIGUSR1, signal.SIGRTMIN}
    it = subprocess.run(
        [*spoilt, installs[kind], "init", "--", sys.executable, "-I", "-S", "-c", program],
        check=False,
        capture_output=True,
        text=True,
        cwd=trap,
        timeout=DEADLINE_S,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, blocked),
    )
    assert (it.returncode, it.stderr) == (sum(blocked), "")
    assert dict(entry.split("=", 1) for entry in it.stdout.split("\0")[:-1]) == ENVIRONMENT


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_works_and_has_its_status(installs: Installs, kind: str, trap: Path) -> None:
    def status(*words: str) -> int:
        return subprocess.run([installs[kind], *words], check=False, cwd=trap, capture_output=True).returncode

    (trap / "site.toml").write_text(SITE, encoding="utf-8")
    assert [status("init", "-Z"), status("init", "/nowhere"), status("nonsense"), status("--version")] == [1, 127, 2, 0]
    assert status("check", "site.toml") == 0


@needs_namespaces
@pytest.mark.parametrize("words", [["init", "--", "sleep", "300"], ["up", "site.toml"]], ids=["init", "up"])
@pytest.mark.parametrize("kind", KINDS)
def test_process_1_loses_no_signal_from_its_first_line_on(
    installs: Installs, kind: str, words: list[str], trap: Path
) -> None:
    (trap / "site.toml").write_text(SITE, encoding="utf-8")
    with subprocess.Popen([*OWN_PIDS, installs[kind], *words], env=ENVIRONMENT, cwd=trap, stderr=subprocess.PIPE) as it:
        try:
            until(lambda: child_of(it.pid) > 0)
            one = child_of(it.pid)
            until(lambda: listens(one))
            os.kill(one, signal.SIGTERM)
            said = it.communicate(timeout=DEADLINE_S)[1]
        finally:
            it.kill()
    assert it.returncode == (143 if words[0] == "init" else 0), said.decode()


@needs_namespaces
@pytest.mark.parametrize(("words", "status"), [(["init", "--", "sleep", "300"], 143), (["up", "site.toml"], 0)])
def test_process_1_hears_what_came_while_it_was_a_shell(
    installs: Installs, words: list[str], status: int, trap: Path
) -> None:
    (trap / "site.toml").write_text(SITE, encoding="utf-8")
    environment = ENVIRONMENT | {"PATH": path_with_a_signal(trap)}
    command: list[str | Path] = [*OWN_PIDS, installs["venv"], *words]
    done = subprocess.run(command, check=False, env=environment, cwd=trap, capture_output=True, timeout=DEADLINE_S)
    assert done.returncode == status, done.stderr.decode()
