"""What each option says of a change of it is true: of the plan, and of a manager that the plan is given to.

Two values that an option accepts are found by trying; one that needs more than that is in SAMPLES.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from procman.config import model
from procman.config.loader import load_plan
from procman.config.merge.load import Request
from procman.config.scalars.table import Effect, Table, effect_of
from procman.plan import Plan, moves
from procman.policy.events import Execed, Forked, HelperReady, Load, Loaded, RunHelper, Signal, Spawn
from procman.policy.manager import Manager

BASE = 'schema = 1\n[site]\nname = "x"\n[group.other]\ncommand = "other"\n[group.g]\n'
COMMAND = 'command = "g"\n'
TRIED = (
    "true", "false", '"1s"', '"2s"', "1", "2", "0.1", "0.2", '"a"', '"b"', '["a"]', '["b"]', '"0077"', '"0022"',
    '"KILL"',
    '"INT"', '"0"', "[0]", "[1]", '["KILL"]', '{ A = "1" }', '{ A = "2" }', '"1m"', '["other"]', "{}",
    '"fork"', '"vfork"', '"leader"', '"tree"', '"always"', '"never"', '"one-for-all"', '"stop"', '"ignore"',
    '"stop-first"', '"start-first"',
)  # fmt: skip
SAMPLES: dict[str, tuple[str, ...]] = {
    "recycle.max_rss": tuple(f'{COMMAND}recycle = {{ max_rss = "{size}" }}' for size in ("1GB", "2GB")),
    "update.order": tuple(
        f'{COMMAND}ready = {{ notify = true }}\nupdate = {{ order = "{order}" }}'
        for order in ("stop-first", "start-first")
    ),
    "kind": (f'{COMMAND}kind = "service"', f'{COMMAND}kind = "job"'),
    "user": (f"{COMMAND}user = 0", f"{COMMAND}user = 1"),
    "pass_env": (f'{COMMAND}clear_env = true\npass_env = ["A"]', f'{COMMAND}clear_env = true\npass_env = ["B"]'),
    "env_file": (COMMAND, f'{COMMAND}env_file = "a.env"'),
    "env_file.path": (f'{COMMAND}env_file = {{ path = "a.env" }}', f'{COMMAND}env_file = {{ path = "b.env" }}'),
    "command": ('command = "a"', 'command = "b"'),
    "callable": ('callable = "os:abort"', 'callable = "os:getpid"'),
    "args": ('callable = "os:abort"\nargs = ["a"]', 'callable = "os:abort"\nargs = ["b"]'),
    "path": ('callable = "os:abort"\npath = ["a"]', 'callable = "os:abort"\npath = ["b"]'),
    "preload": ('callable = "os:abort"\npreload = ["json"]', 'callable = "os:abort"\npreload = ["re"]'),
    "threads": ('callable = "os:abort"\nthreads = "warn"', 'callable = "os:abort"\nthreads = "error"'),
    "python": ('callable = "os:abort"', 'callable = "os:abort"\npython = "/usr/bin/python3"'),
    "listen": (COMMAND, f'{COMMAND}listen = "tcp://127.0.0.1:1"'),
    **{
        f"listen.{key}": tuple(f'{COMMAND}listen = {{ address = "{at}", {key} = {value} }}' for value in pair)
        for key, at, pair in (
            ("name", "tcp://:1", ('"a"', '"b"')),
            ("backlog", "tcp://:1", ("1", "2")),
            ("nodelay", "tcp://:1", ("true", "false")),
            ("reuse_port", "tcp://:1", ("true", "false")),
            ("on_demand", "tcp://:1", ("true", "false")),
            ("mode", "unix:/s", ('"0666"', '"0600"')),
            ("owner", "unix:/s", ('"0"', '"1"')),
        )
    },
    "listen.address": (f'{COMMAND}listen = "tcp://:1"', f'{COMMAND}listen = "tcp://:2"'),
    **{
        f"{table}.{key}": tuple(f"{COMMAND}{table} = {{ {key} = {value} }}" for value in pair)
        for table in ("ready", "health")
        for key, pair in (
            ("http", ('"http://127.0.0.1:1/"', '"http://127.0.0.1:2/"')),
            ("tcp", ('"127.0.0.1:1"', '"127.0.0.1:2"')),
        )
    },
    "ready.log": tuple(f"{COMMAND}ready = {{ log = '{pattern}' }}" for pattern in ("up", "ready")),
    **{
        key: tuple(COMMAND + "{} = {{ exec = 'true', {} = {} }}".format(*key.split("."), value) for value in pair)
        for key, pair in (
            ("ready.timeout", ('"1m"', '"2m"')),
            ("ready.interval", ('"1s"', '"2s"')),
            ("health.interval", ('"20s"', '"30s"')),
            ("health.timeout", ('"1s"', '"2s"')),
            ("health.failures", ("2", "3")),
            ("health.start_after", ('"1s"', '"2s"')),
            ("health.dump", ('"ABRT"', '"QUIT"')),
            ("health.on_failure", ('"restart"', '"ignore"')),
        )
    },
    **{
        f"output.{stream}.{key}": tuple(COMMAND + f"output = {{ {stream} = {{ {value} }} }}" for value in pair)
        for stream in ("to", "stdout", "stderr")
        for key, pair in (
            ("kind", ("kind = 'null'", "kind = 'prefix'")),
            ("format", ("file = 'f', format = 'raw'", "file = 'f', format = 'json'")),
            ("rotate.size", ("file = 'f', rotate = { size = '1MiB' }", "file = 'f', rotate = { size = '2MiB' }")),
            (
                "rotate.keep",
                ("file = 'f', rotate = { size = '1MiB', keep = 1 }", "file = 'f', rotate = { size = '1MiB' }"),
            ),
            ("rotate.age", ("file = 'f', rotate = { age = '1h' }", "file = 'f', rotate = { age = '2h' }")),
            (
                "rotate.compress",
                ("file = 'f', rotate = { age = '1h' }", "file = 'f', rotate = { age = '1h', compress = true }"),
            ),
        )
    },
    **{
        f"output.{key}": tuple(COMMAND + f"output = {{ to = 'prefix', {key} = {value} }}" for value in pair)
        for key, pair in (
            ("on_full", ("'drop'", "'block'")),
            ("buffer", ("'1MiB'", "'2MiB'")),
            ("max_line", ("'64KiB'", "'128KiB'")),
            ("objects", ("'merge'", "'nest'")),
        )
    },
    "schedule": (f'{COMMAND}kind = "job"\nschedule = "@daily"', f'{COMMAND}kind = "job"\nschedule = "@hourly"'),
    "timezone": tuple(f'{COMMAND}kind = "job"\nschedule = "@daily"\ntimezone = "{zone}"' for zone in ("UTC", "GMT")),
    "every": (f'{COMMAND}kind = "job"\nevery = "1h"', f'{COMMAND}kind = "job"\nevery = "2h"'),
    "overlap": tuple(f'{COMMAND}kind = "job"\nevery = "1h"\noverlap = "{one}"' for one in ("skip", "queue")),
    "deadline": (f'{COMMAND}kind = "job"\ndeadline = "1h"', f'{COMMAND}kind = "job"\ndeadline = "2h"'),
}


ITEMS: dict[str, type[Table]] = {"listen": model.Listen, "env_file": model.EnvFile}


def options(table: type[Table] = model.Group, path: str = "") -> Iterator[tuple[str, Effect]]:
    """All options of a group that are no tables, with what they say; of a list of tables, those of an item."""
    below = model.tables_below(table)
    for name, field in table.model_fields.items():
        key = f"{path}{field.alias or name}"
        items = ITEMS.get(key)
        inner = below.get(name)
        if inner is not None and items is None:
            yield from options(inner, f"{key}.")
        else:
            yield key, "restart" if items else effect_of(table, name)
        if items:
            yield from options(items, f"{key}.")


OPTIONS = {key: effect for key, effect in options() if key != "env_file.optional"}
"""All but one: where the file is there, nothing depends on that it may be missing."""
IDLE = ("enabled", "kind", "schedule", "timezone", "every", "overlap", "after", "listen.on_demand")
"""Of those the samples do not run, or not at once."""


def compiled(folder: Path, text: str) -> Plan | None:
    for file in ("a.env", "b.env"):
        (folder / file).write_text(f"A={file}\n", encoding="utf-8")
    (folder / "site.toml").write_text(BASE + text + "\n", encoding="utf-8")
    result = load_plan(Request(["site.toml"], str(folder)), {})
    return result if isinstance(result, Plan) else None


def two_plans(folder: Path, key: str) -> tuple[Plan, Plan]:
    """The plans of two versions that differ in this option alone."""
    texts = SAMPLES.get(key) or [COMMAND, *(f"{COMMAND}{key} = {value}" for value in TRIED)]
    found: list[Plan] = []
    for text in texts:
        plan = compiled(folder, text)
        if plan is not None and all(plan.groups != other.groups for other in found):
            found.append(plan)
        if len(found) == 2:
            return found[0], found[1]
    pytest.fail(f"no two values of `{key}` make different plans: add a pair to SAMPLES")


def replaced(old: Plan, new: Plan) -> bool:
    """Whether a manager that runs the old plan stops a running worker of the group for the new one."""
    manager = Manager()
    manager.handle(Load(), 0.0)
    actions, pid = manager.handle(Loaded(old, "old"), 0.0).actions, 100
    while actions:
        action = actions.pop(0)
        if isinstance(action, RunHelper) and action.name.startswith("zygote"):
            actions += manager.handle(HelperReady(action.name), 0.0).actions
        elif isinstance(action, Spawn):
            pid += 1
            actions += manager.handle(Forked(action.worker, pid), 0.0).actions
            actions += manager.handle(Execed(action.worker), 0.0).actions
    manager.handle(Load(), 1.0)
    actions = manager.handle(Loaded(new, "new"), 1.0).actions
    # A callable's workers are replaced when its new zygote is ready.
    zygotes = [action for action in actions if isinstance(action, RunHelper) and action.name.startswith("zygote")]
    for zygote in zygotes:
        actions += manager.handle(HelperReady(zygote.name), 1.0).actions
    return any(
        isinstance(action, (Signal, Spawn))
        for action in actions
        if not isinstance(action, Spawn) or action.worker.task == 0
    )


@pytest.mark.parametrize("key", OPTIONS)
def test_an_option_does_what_it_says_of_a_change_of_it(tmp_path: Path, key: str) -> None:
    old, new = two_plans(tmp_path, key)
    said: Effect = OPTIONS[key]
    expected = ["g"] if said == "restart" else []
    assert (moves(old, new)["restarted"], said) == (expected, said)


@pytest.mark.parametrize("key", [key for key in OPTIONS if key not in IDLE])
def test_a_running_worker_is_replaced_exactly_where_an_option_says_so(tmp_path: Path, key: str) -> None:
    old, new = two_plans(tmp_path, key)
    assert replaced(old, new) == (OPTIONS[key] == "restart")


def test_options_of_the_site_replace_nobody(tmp_path: Path) -> None:
    assert {effect_of(model.SiteOptions, name) for name in model.SiteOptions.model_fields} == {"live", "up"}
    old = compiled(tmp_path, COMMAND)
    assert old is not None
    text = BASE.replace("[site]", '[site]\ncontrol = "c.sock"\npid_file = "p"\nstop_timeout = "1m"') + COMMAND
    (tmp_path / "site.toml").write_text(text, encoding="utf-8")
    new = load_plan(Request(["site.toml"], str(tmp_path)), {})
    assert isinstance(new, Plan)
    assert not any(moves(old, new).values())
