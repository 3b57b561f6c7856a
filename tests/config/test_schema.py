"""The JSON Schema of the site file.

`schemas/site.schema.json` is exactly what `procman schema` prints. After a change of the models write it anew:

    procman schema > schemas/site.schema.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli
from jsonschema import Draft202012Validator

from procman.config.loader import load_plan
from procman.config.merge.load import Request
from procman.config.schema import schema_text, site_schema
from procman.plan import Plan
from tests.config.sites import LEAST

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))


def errors(document: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft202012Validator(site_schema()).iter_errors(document)]


def test_the_schema_in_the_repository_is_what_the_command_prints() -> None:
    assert (ROOT / "schemas" / "site.schema.json").read_text(encoding="utf-8") == schema_text()


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(schema_text()))


def test_there_are_configurations() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_names_the_schema_keeps_to_it_and_loads(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#:schema ../schemas/site.schema.json\n")
    assert errors(tomli.loads(text)) == []
    assert isinstance(load_plan(Request([str(path)], str(ROOT)), {}), Plan)


def test_every_option_is_described_and_has_a_default_or_is_required() -> None:
    schema = site_schema()
    tables = {"Site": schema, **{name: table for name, table in schema["$defs"].items() if "properties" in table}}
    bare = [
        f"{name}.{key}"
        for name, table in tables.items()
        for key, option in table["properties"].items()
        if not option.get("description", "").strip()
    ]
    assert bare == []


GOOD = [
    LEAST,
    LEAST + "x-own = 1\nworkers = 0\nrestart = { backoff = false, window = false, x-own = [] }\n[x-own]\n",
    LEAST
    + 'workers = "${N:-4}"\nenabled = "${ON}"\nkind = "${KIND}"\nstop = { grace = "${GRACE}", signal = "${S}" }\n',
    LEAST + 'env_file = ["a", { path = "b" }]\nafter = ["x"]\numask = "0022"\nstop = { grace = 5, signal = 15 }\n',
    LEAST + 'env_file = "a"\nafter = { x = "started" }\nenv = { A = 1, B = "b" }\nrestart.success = [0, "TERM"]\n',
    LEAST
    + 'limits = { nofile = "20:20", as = "1GiB", cpu = "1m:2m", core = 0, nproc = "unlimited", rttime = "${T}" }\n',
    LEAST + 'user = "nobody"\ngroup = 5\nsupplementary_groups = ["video", 5, "${G}"]\ncapabilities = ["CAP_CHOWN"]\n',
    LEAST + 'cpu_affinity = "0-3,8"\nnice = -5\noom_score_adj = 9\nparent_death_signal = "TERM"\n',
    LEAST + 'cpu_affinity = [0, 1]\nclear_env = true\npass_env = ["PATH", "LC_*"]\nno_new_privileges = true\n',
    LEAST + '[group.x-old]\nanything = 1\n[site]\nname = "s"\nstop_timeout = "9s"\n[group.b]\ncommand = ["a", "b"]\n',
]
GOOD += [
    LEAST + 'listen = "tcp://127.0.0.1:${PORT}"\n',
    LEAST + 'listen = ["unix:api.sock", { address = "udp://[::1]:53", name = "dns", reuse_port = true }]\n',
    LEAST + 'listen = { address = "unix:@api", backlog = 5, mode = "0660", owner = ":adm" }\n',
]
BAD = [
    LEAST + 'listen = "127.0.0.1:8000"\n',
    LEAST + 'listen = { address = "tcp://127.0.0.1:8000", backlogs = 1 }\n',
    LEAST + 'listen = { name = "web" }\n',
    LEAST + "listen = 8000\n",
    '[group.web]\ncommand = "web"\n',
    "schema = 1\n[group.web]\n",
    LEAST + "wokers = 1\n",
    LEAST + 'workers = "many"\n',
    LEAST + 'stop = { grace = "soon" }\n',
    LEAST + "restart = { backoff = true }\n",
    LEAST + 'restart = { when = "sometimes" }\n',
    LEAST + 'umask = "0888"\n',
    LEAST + "env = { A = true }\n",
    LEAST + "limits = { nofiles = 20 }\n",
    LEAST + 'limits = { nofile = "20:20:20" }\n',
    LEAST + 'user = ["nobody"]\n',
    LEAST + 'capabilities = "CHOWN"\n',
    LEAST + 'cpu_affinity = "all"\n',
    LEAST + "nice = 20\n",
    LEAST + 'after = { x = "healthy" }\n',
    'schema = 1\n[group."a b"]\ncommand = "web"\n',
]


@pytest.mark.parametrize("text", GOOD)
def test_what_procman_accepts_an_editor_accepts(text: str) -> None:
    assert errors(tomli.loads(text)) == []


@pytest.mark.parametrize("text", BAD)
def test_what_procman_refuses_an_editor_marks(text: str) -> None:
    assert errors(tomli.loads(text)) != []
