"""`output` in a site file: to the plan, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman import choices, plan
from tests.config.sites import LEAST, heads, load, plan_of


def output_of(tmp_path: Path, text: str) -> plan.Output:
    return plan_of(tmp_path, LEAST + text).groups[0].launch.output


@pytest.mark.parametrize("name", ["auto", "inherit", "null", "prefix", "json", "syslog", "journald"])
def test_a_name_is_short_for_both_streams(tmp_path: Path, name: choices.SinkKind) -> None:
    assert output_of(tmp_path, f'output = "{name}"') == plan.Output(plan.Sink(name), plan.Sink(name))


def test_every_option_of_output_reaches_the_plan(tmp_path: Path) -> None:
    text = """
        [group.web.output]
        to = { journald = "journal" }
        stdout = { file = "logs/${PROCMAN_GROUP}.$$.log", format = "json", rotate = { size = "10kB" } }
        tail = 7
        on_full = "block"
        buffer = "2MiB"
        max_line = "8KiB"
        timestamps = true
        objects = "nest"
    """
    file = plan.Sink("file", f"{tmp_path}/logs/${{PROCMAN_GROUP}}.$$.log", "json", plan.Rotate(10_000, 10, None, False))
    journal = plan.Sink("journald", f"{tmp_path}/journal")
    assert output_of(tmp_path, text) == plan.Output(file, journal, 7, "block", 2 << 20, 8192, True, "nest")


def test_every_option_of_rotate_reaches_the_plan(tmp_path: Path) -> None:
    text = 'output = { to = { file = "x", rotate = { size = "1MiB", keep = 3, age = "1d", compress = true } } }'
    assert output_of(tmp_path, text).stderr.rotate == plan.Rotate(1 << 20, 3, 86400.0, True)


def test_a_file_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "web.toml").write_text('[group.web.output]\nto = { file = "web.log" }\n', encoding="utf-8")
    made = plan_of(tmp_path, f'include = ["conf/*.toml"]\n{LEAST}')
    assert made.groups[0].launch.output.stdout.path == f"{tmp_path}/conf/web.log"


def test_defaults_are_merged_key_by_key(tmp_path: Path) -> None:
    text = '[group.web.output]\nto = "json"\n[defaults.output]\ntail = 9\nto = "prefix"\n'
    assert output_of(tmp_path, text) == plan.Output(plan.Sink("json"), plan.Sink("json"), 9)


def test_the_ring_reaches_the_plan(tmp_path: Path) -> None:
    assert plan_of(tmp_path, LEAST + '[site.output]\nring = "2MiB"\n').output_ring == 2 << 20


def test_an_output_survives_the_json_of_its_plan(tmp_path: Path) -> None:
    made = plan_of(tmp_path, LEAST + 'output = { to = { file = "x", rotate = { size = "1MiB" } } }')
    assert plan.from_json(plan.to_json(made)) == made


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ('output = "jsn"', 'output cannot go to "jsn"'),
        ("output = { to = 3 }", "output cannot go to 3"),
        ("output = { to = {} }", "this names no place"),
        ('output = { to = { file = "x", syslog = "y" } }', "file and syslog are several places"),
        ('output = { to = { syslog = "x", rotate = {} } }', "only a file has `rotate`"),
        ("output = { tail = 51 }", "51 is out of range"),
        ('output = { buffer = "1kB" }', '"1kB" is out of range'),
        ('output = { to = { file = "x", rotate = { kep = 3 } } }', "unknown key `kep` in [group.web.output.to.rotate]"),
    ],
)
def test_a_mistake_is_explained(tmp_path: Path, text: str, head: str) -> None:
    assert [found.split(": ", 1)[1] for found in heads(load(tmp_path, LEAST + text))] == [head]
