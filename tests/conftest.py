"""What all tests have: a directory of their own for control sockets, so that they meet no site of the machine's.

How fast a machine makes up examples, and runs one, says nothing about the code.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from procman.kernel.proc import hierarchy

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def _sites_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The processes that tests start inherit it."""
    os.environ.pop("COLUMNS", None)  # how wide somebody's terminal is
    before = os.environ.get("PROCMAN_RUNTIME_DIR")
    os.environ["PROCMAN_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("sites"))
    yield
    if before is None:
        del os.environ["PROCMAN_RUNTIME_DIR"]
    else:
        os.environ["PROCMAN_RUNTIME_DIR"] = before


LONGEST_S = 1200
"""A test that takes longer hangs: where pytest-timeout is installed it fails, with the stacks of where it is."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A shell without job control has these ignored by what it runs in the background, and by all that this starts."""
    if getattr(config.option, "timeout", 0) is None:  # neither forbidden nor given
        config.option.timeout = LONGEST_S
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    # The posix_spawn(3) of glibc leaves a signal of its own (32) ignored in whom it starts, and so in all below.
    setattr(subprocess, "_USE_POSIX_SPAWN", False)  # noqa: B010 - a switch that its documentation names


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes `-n auto` means: two a CPU, since who tests a process manager mostly waits."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A procman whose guard is killed as well leaves its cgroup to the next one of its name, and there may be none."""
    if hasattr(session.config, "workerinput"):  # others may still be at it
        return
    with suppress(OSError):
        for place in Path(hierarchy.home()).glob("procman-*"):
            hierarchy.remove(str(place))
