"""The core process carries the lean parts of the standard library, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[1]

HEAVY = {
    "argparse", "asyncio", "binascii", "ctypes", "dataclasses", "dotenv", "hashlib", "inspect", "logging", "pathlib",
    "pydantic", "random", "shutil", "socket", "subprocess", "tempfile", "threading", "tomli", "tomllib", "traceback",
    "typing", "_hashlib",
}  # fmt: skip


def modules_after(statement: str) -> set[str]:
    """The modules that an interpreter such as the core's has loaded after a statement."""
    program = f"import sys; sys.path.append({str(ROOT)!r}); {statement}; import json; print(json.dumps([*sys.modules]))"
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", program]
    return set(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120).stdout))


def test_the_core_loads_the_standard_library_and_nothing_else() -> None:
    loaded = {name.partition(".")[0] for name in modules_after("import procman.cli.core")}
    assert loaded - set(sys.stdlib_module_names) - {"__main__"} == {"procman"}


def test_the_core_loads_nothing_heavy() -> None:
    assert modules_after("import procman.cli.core") & HEAVY == set()


def test_what_is_heavy_would_be_seen() -> None:
    assert modules_after("import procman.cli.core, dataclasses, threading") & HEAVY >= {"dataclasses", "threading"}


def test_a_command_line_that_only_asks_for_help_loads_no_library() -> None:
    statement = "from procman.cli.main import parser_of; parser_of().format_help()"
    loaded = {name.partition(".")[0] for name in modules_after(statement)}
    assert loaded - set(sys.stdlib_module_names) - {"__main__"} == {"procman"}


def extension_directories() -> tuple[str, ...]:
    """Where the standard library's own extension modules are."""
    return (sysconfig.get_path("platstdlib"), sysconfig.get_config_var("DESTSHARED"))
