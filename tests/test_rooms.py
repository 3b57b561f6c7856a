"""The rooms of the house: who may import whom, and which libraries a room may know. Held over the syntax tree."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

PURE = {"__future__", "bisect", "collections", "enum", "errno", "heapq", "itertools", "math", "signal", "typing"}
"""What a room that decides may know: values and names, no clock, no system call, no randomness."""

LEAN = PURE | {
    "_signal", "abc", "contextlib", "functools", "gc", "io", "json", "os", "re", "resource", "select", "stat", "struct",
    "sys", "time",
}  # fmt: skip
"""What the core process may carry around."""

ANY = LEAN | set(sys.stdlib_module_names)


class Room(NamedTuple):
    """What a module, or all modules of a package, may import besides their own package."""

    ours: frozenset[str]
    """Names without the leading `procman.`; a package stands for all that is in it."""
    libraries: set[str]


def room(*ours: str, libraries: set[str]) -> Room:
    return Room(frozenset(ours), libraries)


COMMON = ("lean", "choices")
"""Modules that everybody may import."""

ROOMS: dict[str, Room] = {
    "lean": room(libraries=PURE | {"_collections", "contextlib", "types"}),
    "choices": room(libraries=PURE),
    "__init__": room("prefork.fork_processes", "worker", libraries=LEAN),
    "__main__": room("cli.entry", libraries=LEAN),
    "words": room(libraries=PURE),
    "screen": room(libraries=PURE | {"os", "re"}),
    "plan": room(libraries=PURE),
    "plan.codec": room(libraries=PURE | {"json"}),
    "plan.changes": room(libraries=PURE | {"json", "hashlib"}),
    "policy": room("plan", "words", libraries=PURE),
    "kernel": room("plan", "words", "policy.events", "policy.requests", libraries=LEAN),
    "kernel.spawn.privileges": room("plan", "words", libraries=LEAN | {"ctypes"}),
    "kernel.spawn.channel": room("plan", "words", "policy.events", libraries=LEAN | {"_socket"}),
    "kernel.caller": room(libraries=LEAN | {"fcntl"}),
    "kernel.proc.orphans": room(libraries=LEAN | {"ctypes"}),
    "kernel.init.terminal": room(libraries=LEAN | {"fcntl", "termios"}),
    "kernel.health.probes": room("plan", "words", "policy.events", libraries=LEAN | {"_socket"}),
    "kernel.health.notify": room(libraries=LEAN | {"_socket"}),
    "kernel.health.notify_place": room(libraries=LEAN | {"fcntl"}),
    "kernel.sockets.listener": room("plan", libraries=LEAN | {"_socket"}),
    "kernel.upward": room("policy.events", libraries=LEAN | {"_socket"}),
    "kernel.spawn.spawn": room("plan", "words", "policy.events", libraries=LEAN | {"_posixsubprocess"}),
    "kernel.spawn.order": room("plan", "policy.events", libraries=LEAN | {"_socket"}),
    "kernel.world.simulated": room("plan", "policy.events", libraries=PURE | {"random"}),
    "kernel.world.population": room("plan", "policy.events", libraries=PURE | {"random"}),
    "kernel.world.timetable": room("plan", "policy.events", libraries=PURE | {"random"}),
    "kernel.world.nursery": room("policy.events", libraries=PURE | {"random"}),
    "kernel.world.script": room("plan", "policy.events", "policy.requests", libraries=PURE | {"random"}),
    "control": room(
        "kernel.loop",
        "kernel.wait.poller",
        "log",
        "plan",
        "words",
        "policy.events",
        "policy.requests",
        libraries=LEAN | {"_socket"},
    ),
    "control.client": room(libraries=LEAN | {"_socket"}),
    "control.place": room(libraries=LEAN | {"fcntl"}),
    "control.plans": room("policy.events", libraries=LEAN),
    "control.site": room(
        "kernel.loop", "plan", "policy.events", "policy.requests", libraries=LEAN | {"_socket", "grp"}
    ),
    "control.wire": room(libraries=PURE | {"json"}),
    "watch": room("watched", libraries=ANY | {"watchdog"}),
    "watched": room(libraries=ANY),
    "scheduler": room(libraries=ANY | {"cronsim"}),
    "output": room("kernel.wait.poller", "words", libraries=ANY),
    "log": room("plan", "screen", "words", "policy.events", libraries=LEAN),
    "config": room("plan", "words", libraries=ANY | {"pydantic", "pydantic_core", "tomli", "dotenv", "cronsim"}),
    "config.preview.foresight": room("kernel.proc.hierarchy", "plan", "words", libraries=ANY),
    "config.model": room("plan", "words", libraries=PURE | {"pydantic", "re"}),
    "config.compile": room("plan", libraries=PURE | {"os"}),
    "prefork": room(
        "config.cpus", "config.scalars", "kernel", "log", "plan", "policy", "words", "worker", libraries=ANY
    ),
    "worker": room(libraries=LEAN | {"socket", "types"}),
    "cli": room(
        "__version__",
        "config",
        "control",
        "output",
        "log",
        "plan",
        "policy.events",
        "screen",
        "words",
        libraries=ANY,
    ),
    "cli.up": room("kernel.spawn.environment", "kernel.proc.orphans", libraries=ANY),
    "cli.logs": room("config", "control", "output", "screen", libraries=ANY),
    "cli.core": room("__version__", "control", "kernel", "log", "policy", "screen", libraries=LEAN),
    "cli.init": room("kernel", libraries=LEAN),
    "cli.entry": room("kernel.init.command", libraries=LEAN | {"binascii"}),
    "cli.scripts": room("cli.entry", libraries=LEAN | {"site"}),
}
"""By name; the longest that fits a module counts."""

FLOORS = {
    "config": ("scalars", "text", "model", "check", "merge", "compile", "preview"),
    "policy": ("events", "worker", "group", "helpers", "site"),
    "kernel": ("proc", "wait", "spawn", "guard", "output", "sockets", "health", "tree", "helpers", "init", "world"),
}
"""The rooms of the three large houses, from the ground up."""

MODULES = sorted((ROOT / "procman").rglob("*.py"))


def name_of(path: Path) -> str:
    """`kernel.loop` for procman/kernel/loop.py, `log` for procman/log/__init__.py."""
    parts = path.relative_to(ROOT / "procman").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports_of(path: Path, at_run_time: bool = False) -> Iterator[str]:
    """Every name that a module imports, wherever in it: `procman.plan.Plan`, `os`, `collections.abc.Sequence`.
    At run time: but for those that only name a type.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if at_run_time:
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        ]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom():
                pytest.fail(f"{path}: relative imports hide who imports whom")


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def forbidden(path: Path) -> list[str]:
    """What a module imports although its room may not."""
    name = name_of(path)
    rule = ROOMS[max((key for key in ROOMS if within(name, key)), key=len)]
    own = name.partition(".")[0]
    found = []
    for imported in imports_of(path):
        library, _, rest = imported.partition(".")
        if library == "procman":
            allowed = not rest or within(rest, own) or any(within(rest, room) for room in (*COMMON, *rule.ours))
        else:
            allowed = library in rule.libraries
        if not allowed:
            found.append(imported)
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    assert forbidden(path) == []


@pytest.mark.parametrize("house", FLOORS)
def test_a_room_imports_none_above_it(house: str) -> None:
    floors = FLOORS[house]
    place = ROOT / "procman" / house
    assert {path.parent.name for path in place.glob("*/*.py")} == set(floors)
    for level, name in enumerate(floors):
        above = [f"procman.{house}.{other}" for other in floors[level + 1 :]]
        for path in (place / name).glob("*.py"):
            assert [one for one in imports_of(path, at_run_time=True) if any(within(one, up) for up in above)] == [], (
                path
            )


def test_every_room_is_there() -> None:
    names = [name_of(path) for path in MODULES]
    assert [room for room in ROOMS if not any(within(name, room) for name in names)] == []


def test_a_forbidden_import_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "procman" / "policy" / "manager.py"
    module.parent.mkdir(parents=True)
    module.write_text("def now():\n    from time import monotonic\n    import procman.kernel.linux\n", encoding="utf-8")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert forbidden(module) == ["time.monotonic", "procman.kernel.linux"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_and_stays_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source))
    assert len(source.splitlines()) <= 255
