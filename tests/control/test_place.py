"""Where a site is found and by whom: its socket and who may open it, its pid file, and one procman of a site."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.control.test_real import SITE, operated, run
from tests.site.running import up
from tests.site.sites import FOREVER, group, site_of


def test_the_socket_is_for_its_user_alone(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        assert stat.S_IMODE(one.address.stat().st_mode) == 0o600


def test_a_second_procman_of_the_same_site_says_so_and_leaves_the_first_alone(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        second = one.run("up", str(one.site.file))
        assert second.returncode == 78
        assert f"test is run already, by procman {one.site.pid}" in second.stderr
        assert "--name NAME" in second.stderr
        assert one.run("status", "--ready").returncode == 0


def test_the_socket_of_a_killed_procman_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "sites"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder / "test.sock"))
    (folder / "test.lock").write_text("1\n", encoding="ascii")
    with up(tmp_path, SITE, env={"PROCMAN_RUNTIME_DIR": str(folder)}) as site:
        site.until("worker.running", count=3)
        assert run({"PROCMAN_RUNTIME_DIR": str(folder)}, "status", "--ready").returncode == 0


@pytest.mark.parametrize("stale", ["garbage", "1\n", "999999999\n", ""], ids=["garbage", "foreign", "dead", "empty"])
def test_a_pid_file_is_there_while_procman_runs(tmp_path: Path, stale: str) -> None:
    file = tmp_path / "procman.pid"
    file.write_text(stale, encoding="ascii")
    with operated(tmp_path, site_of(group("api", FOREVER), site='pid_file = "procman.pid"'), 1) as one:
        assert (file.read_text(encoding="ascii"), stat.S_IMODE(file.stat().st_mode)) == (f"{one.site.pid}\n", 0o644)
        one.site.stop()
        assert not file.exists()


@pytest.mark.parametrize("wrong", ["site.toml", "/dev/null"])
def test_what_is_no_pid_file_is_not_taken_for_one(tmp_path: Path, wrong: str) -> None:
    file, text = tmp_path / "site.toml", site_of(group("api", FOREVER), site=f'pid_file = "{wrong}"')
    file.write_text(text, encoding="utf-8")
    before = Path("/dev/null").stat().st_mode
    done = run({"PROCMAN_RUNTIME_DIR": str(tmp_path / "sites")}, "up", str(file))
    assert done.returncode == 78
    assert f"cannot write {tmp_path / wrong}: what is there was not written by procman" in done.stderr
    assert "hint: name another place in [site]" in done.stderr
    assert file.read_text(encoding="utf-8") == text
    assert Path("/dev/null").stat().st_mode == before


def test_a_second_procman_with_the_same_pid_file_is_refused_and_leaves_it_alone(tmp_path: Path) -> None:
    file = tmp_path / "procman.pid"
    with operated(tmp_path, site_of(group("api", FOREVER), site='pid_file = "procman.pid"'), 1) as one:
        second = one.run("up", str(one.site.file), "--name", "other")
        assert second.returncode == 78
        assert f"other is run already, by procman {one.site.pid} ({file})" in second.stderr
        assert file.read_text(encoding="ascii") == f"{one.site.pid}\n"
        assert sorted(path.name for path in one.folder.iterdir()) == ["test.lock", "test.plans", "test.sock"]
        assert one.run("status", "--ready").returncode == 0


def test_a_site_can_have_its_socket_elsewhere_or_none(tmp_path: Path) -> None:
    text = site_of(group("api", FOREVER), site='control = "own.sock"')
    with operated(tmp_path, text, 1) as one:
        assert stat.S_ISSOCK((tmp_path / "own.sock").stat().st_mode)
        assert one.run("-s", "test", "status", "--ready").returncode == 0
        one.site.stop()
        assert not (tmp_path / "own.sock").exists()
    (tmp_path / "none").mkdir()
    with operated(tmp_path / "none", site_of(group("api", FOREVER), site="control = false"), 1) as one:
        assert one.run("status").returncode == 3


@pytest.mark.parametrize(
    ("path", "reason"),
    [("own" * 40, "AF_UNIX path too long"), ("site.toml", "Address already in use")],
    ids=["too long", "a file"],
)
def test_a_place_that_can_have_no_socket_is_an_error_that_says_why(tmp_path: Path, path: str, reason: str) -> None:
    text = site_of(group("api", FOREVER), site=f'control = "{path}"')
    with up(tmp_path, text, env={"PROCMAN_RUNTIME_DIR": str(tmp_path / "run")}) as site:
        assert site.wait() == 78
        assert f"procman: error: cannot make the control socket {tmp_path}/{path}: {reason}" in site.foreign
        assert site.file.read_text(encoding="utf-8") == text


def test_another_user_is_refused(tmp_path: Path) -> None:
    with operated(tmp_path) as one:
        one.folder.chmod(0o755)
        for folder in one.folder.parents:
            if folder.stat().st_mode & 0o777 == 0o700:
                folder.chmod(0o755)
        program = (
            "import os, socket, sys\n"
            "if os.geteuid() == 0: os.setgid(54321); os.setuid(54321)\n"
            "try:\n    socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
            "except PermissionError:\n    sys.exit(13)\n"
        )
        done = subprocess.run([sys.executable, "-I", "-S", "-c", program, str(one.address)], check=False, timeout=60)
        assert done.returncode == (13 if os.geteuid() == 0 else 0)  # who is not root cannot be somebody else


ASKS = """
import os, socket, sys
os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(54321)
sock = socket.socket(socket.AF_UNIX)
try:
    sock.connect(sys.argv[1])
except PermissionError:
    sys.exit(13)
sock.sendall(b'{"procman":1,"do":"status"}\\n')
sys.exit(0 if b'"say":"status"' in sock.makefile("rb").read() else 1)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root cannot be somebody else")
def test_a_group_that_the_site_names_may_control_it_and_no_other_may() -> None:
    with TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        own = 'control = "own.sock"\ncontrol_group = 54321'
        with operated(folder, site_of(group("api", FOREVER), site=own), 1):
            socket_of_it = folder / "own.sock"
            found = socket_of_it.stat()
            assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, 54321)
            asking = [sys.executable, "-I", "-S", "-c", ASKS, str(socket_of_it)]
            codes = [subprocess.run([*asking, gid], check=False, timeout=60).returncode for gid in ("54321", "54322")]
            assert codes == [0, 13]
