"""Files to one document: includes, overlays, --set, defaults, variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman.config.merge.load import set_document
from procman.plan import Plan
from tests.config.sites import LEAST, group_of, heads, load, plan_of, said

API = 'schema = 1\n[group.api]\ncommand = "api"\n'


def names(plan: Plan) -> list[str]:
    return [group.name for group in plan.groups]


def test_included_files_come_in_sorted_order_and_the_including_file_wins(tmp_path: Path) -> None:
    text = 'schema = 1\ninclude = ["conf.d/*.toml"]\n[group.b]\nworkers = 7\n'
    files = {
        "conf.d/20.toml": '[group.b]\ncommand = "second"\n',
        "conf.d/10.toml": '[group.a]\ncommand = "a"\n[group.b]\ncommand = "first"\nworkers = 2\n',
    }
    plan = plan_of(tmp_path, text, files=files)
    assert [(one.name, one.launch.command, one.workers) for one in plan.groups] == [
        ("a", ("a",), 1),
        ("b", ("second",), 7),
    ]
    assert plan.sources == tuple(str(tmp_path / name) for name in ("site.toml", "conf.d/10.toml", "conf.d/20.toml"))


def test_a_pattern_that_matches_nothing_is_no_mistake(tmp_path: Path) -> None:
    assert names(plan_of(tmp_path, LEAST.replace("schema = 1", 'schema = 1\ninclude = ["conf.d/*.toml"]'))) == ["web"]


def test_an_include_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    files = {"deep/one.toml": 'include = ["two.toml"]\n', "deep/two.toml": LEAST}
    assert names(plan_of(tmp_path, 'include = ["deep/one.toml"]\n', files=files)) == ["web"]


def test_an_include_that_would_be_taken_for_deep_is_refused_rather_than_shallow(tmp_path: Path) -> None:
    assert heads(load(tmp_path, 'schema = 1\ninclude = ["conf.d/**/*.toml"]\n')) == [
        "site.toml:2:12: an include does not look any number of directories deep"
    ]


def test_files_that_include_each_other_are_named(tmp_path: Path) -> None:
    files = {"a.toml": 'include = ["b.toml"]\n', "b.toml": 'include = ["site.toml"]\n'}
    assert heads(load(tmp_path, 'schema = 1\ninclude = ["a.toml"]\n', files=files)) == [
        "b.toml:1:12: the files include each other: site.toml → a.toml → b.toml → site.toml"
    ]


def test_a_later_overlay_wins_table_by_table(tmp_path: Path) -> None:
    text = LEAST + 'env = { A = "1", B = "1", C = "1" }\n[group.web.restart]\nmax_restarts = 1\nwindow = "1m"\n'
    overlays = {
        "one.toml": '[group.web]\nenv = { B = "2", C = "2" }\nrestart.max_restarts = 2\n',
        "two.toml": '[group.web.env]\nC = "3"\n[group.extra]\ncommand = "extra"\n',
    }
    plan = plan_of(tmp_path, text, files=overlays, overlays=["one.toml", "two.toml"])
    web = plan.groups[0]
    assert dict(web.launch.env) == {"A": "1", "B": "2", "C": "3"}
    assert (web.restart.max_restarts, web.restart.window) == (2, 60.0)
    assert names(plan) == ["web", "extra"]


def test_a_mistake_in_an_overlay_is_placed_in_the_overlay(tmp_path: Path) -> None:
    text = LEAST + "workers = 1\n"
    result = load(tmp_path, text, files={"prod.toml": '[group.web]\n\nworkers = "lots"\n'}, overlays=["prod.toml"])
    assert heads(result) == ['prod.toml:3:11: "lots" is no number of workers']


def test_several_files_make_one_site(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, files={"api.toml": API}, named=["site.toml", "api.toml"])
    assert (names(plan), plan.name) == (["web", "api"], tmp_path.name)


def test_two_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    other = {"other.toml": 'schema = 1\n[group.web]\ncommand = "other"\nworkers = 2\n'}
    assert heads(load(tmp_path, files=other, named=["site.toml", "other.toml"])) == [
        "other.toml:3:1: `group.web.command` is also set in site.toml"
    ]


def test_every_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    result = load(tmp_path, "schema = ", named=["site.toml", "nowhere.toml"], overlays=["gone.toml"])
    assert heads(result) == [
        "site.toml:1:9: this is no value",
        "nowhere.toml:1:1: there is no such file",
        "gone.toml:1:1: there is no such file",
    ]


SETS = [
    ("group.web.workers=8", 8),
    ("group.web.workers = 8", 8),
    ('group.web.workers="8"', 8),
]


@pytest.mark.parametrize(("text", "workers"), SETS)
def test_set_wins_over_all_files(tmp_path: Path, text: str, workers: int) -> None:
    assert group_of(tmp_path, LEAST + "workers = 2\n", sets=[text]).workers == workers


def test_a_value_of_set_that_is_no_toml_is_a_string(tmp_path: Path) -> None:
    group = group_of(
        tmp_path,
        sets=["group.web.command=python3 -m web", "group.web.env.TZ=Europe/Zürich", "group.web.stop.grace=3s"],
        text=LEAST,
    )
    assert (group.launch.command, group.launch.env, group.stop.grace) == (
        ("python3", "-m", "web"),
        (("TZ", "Europe/Zürich"),),
        3.0,
    )


def test_a_mistake_in_set_is_shown_in_its_own_text(tmp_path: Path) -> None:
    result = load(tmp_path, sets=["group.web.workers=many", "group.web.wokers=2", "site.stop_timeout=true"])
    assert heads(result) == [
        '--set:1:19: "many" is no number of workers',
        "--set:1:11: unknown key `wokers` in [group.web]",
        "--set:1:19: true is not a duration",
    ]


@pytest.mark.parametrize(
    "text", ["", "workers", "=8", "a..b=1", "a b=1", "# a=1", "a\nb=1", "." * 500 + "=1", "a." * 500 + "a=x y"]
)
def test_a_set_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    assert "is not of the form KEY=VALUE" in heads(load(tmp_path, sets=[text]))[0]


def test_the_value_of_a_set_may_hold_anything() -> None:
    assert set_document("a.'b c'.d==x\ny", "/").tree == {"a": {"b c": {"d": "=x\ny"}}}


def test_a_group_has_the_defaults_table_by_table(tmp_path: Path) -> None:
    text = LEAST + 'env.A = "own"\nstop.signal = "INT"\n'
    text += '[defaults]\nenv = { A = "1", B = "2" }\numask = "0077"\nstop = { signal = "HUP", grace = "1s" }\n'
    group = group_of(tmp_path, text)
    assert dict(group.launch.env) == {"A": "own", "B": "2"}
    assert (group.launch.umask, group.stop.signal, group.stop.grace) == (0o77, 2, 1.0)


def test_a_mistake_in_the_defaults_is_told_once_and_there(tmp_path: Path) -> None:
    text = LEAST + '[group.api]\ncommand = "api"\n[defaults.stop]\ngrace = "soon"\n'
    assert heads(load(tmp_path, text)) == ['site.toml:7:9: "soon" is not a duration']


def test_the_defaults_of_an_overlay_reach_the_groups_of_the_file(tmp_path: Path) -> None:
    overlay = {"prod.toml": '[defaults]\nworkers = 4\nenv = { A = "${X}" }\n'}
    group = group_of(tmp_path, LEAST, files=overlay, overlays=["prod.toml"], environ={"X": "x"})
    assert (group.workers, group.launch.env) == (4, (("A", "x"),))


def test_own_keys_are_ignored_everywhere_whatever_they_hold(tmp_path: Path) -> None:
    text = (
        'x-a = "${NOWHERE}"\n'
        + LEAST
        + "x-b = [{}]\nrestart = { x-c = 1 }\nenv = { x-d = true }\n[group.x-old]\nnonsense = 1\n[x-t]\n"
    )
    assert names(plan_of(tmp_path, text)) == ["web"]


VARIABLES = [
    ("${PORT}", "80"),
    ("a${PORT}b${PORT}", "a80b80"),
    ("${EMPTY}", ""),
    ("${EMPTY:-x}", "x"),
    ("${NOWHERE:-x y}", "x y"),
    ("${NOWHERE:-}", ""),
    ("${PORT:-x}", "80"),
    ("$$PORT $PORT $", "$$PORT $$PORT $$"),
    ("$${PORT}", "$${PORT}"),
    ("${MONEY}", "a$$b$${PORT}"),
    ("${WORKER}", "$${PROCMAN_TASK_ID}"),
    (
        "${PROCMAN_TASK_ID}/${PROCMAN_GROUP}/${PROCMAN_GENERATION}",
        "${PROCMAN_TASK_ID}/${PROCMAN_GROUP}/${PROCMAN_GENERATION}",
    ),
    ("${PROCMAN_TASK_ID:-0}", "${PROCMAN_TASK_ID}"),
    ("${NOWHERE:-$5}", "$$5"),
]
ENVIRON = {"PORT": "80", "EMPTY": "", "MONEY": "a$b${PORT}", "WORKER": "${PROCMAN_TASK_ID}"}


@pytest.mark.parametrize(("written", "template"), VARIABLES)
def test_a_reference_becomes_part_of_the_workers_template(tmp_path: Path, written: str, template: str) -> None:
    text = LEAST.replace('"web"', f"['x', '{written}']") + f"env = {{ A = '{written}' }}\n"
    launch = group_of(tmp_path, text, environ=ENVIRON).launch
    assert (launch.command[1], launch.env) == (template, (("A", template),))


def test_a_reference_elsewhere_is_final(tmp_path: Path) -> None:
    text = LEAST + 'workers = "${N}"\nenabled = "${ON:-true}"\n[log]\nfile = "/var/log/$$x/${N}$"\n'
    plan = plan_of(tmp_path, text, environ={"N": "3"})
    assert (plan.groups[0].workers, plan.log.file) == (3, "/var/log/$x/3$")


def test_what_a_variable_holds_is_never_split_into_words(tmp_path: Path) -> None:
    text = LEAST.replace('"web"', "'web --title ${TITLE} --none \"${NONE:-}\"'")
    assert group_of(tmp_path, text, environ={"TITLE": "a 'b; c"}).launch.command == (
        "web",
        "--title",
        "a 'b; c",
        "--none",
        "",
    )


@pytest.mark.parametrize(
    "written", ["${", "${PORT", "${}", "${1}", "${PORT:=x}", "${PORT-x}", "${ PORT }", "${NOWHERE}"]
)
def test_a_reference_that_stands_for_nothing_is_placed(tmp_path: Path, written: str) -> None:
    result = load(tmp_path, LEAST + f'env = {{ A = "ab{written}" }}\n', environ=ENVIRON)
    assert [head.split(": ")[0] for head in heads(result)] == ["site.toml:4:16"]


def test_a_value_that_an_overlay_replaces_needs_no_variable(tmp_path: Path) -> None:
    overlay = {"o.toml": '[group.web]\nenv = { A = "b" }\n'}
    assert group_of(
        tmp_path, LEAST + 'env = { A = "${NOWHERE}" }\n', files=overlay, overlays=["o.toml"]
    ).launch.env == (("A", "b"),)


def test_an_undefined_name_is_not_reported_twice(tmp_path: Path) -> None:
    result = load(tmp_path, LEAST + 'workers = "${NOWHERE}"\n')
    assert heads(result) == ["site.toml:4:12: the environment variable NOWHERE is not set"]
    assert "${NOWHERE:-value}" in said(result)


def test_the_plan_knows_the_patterns_by_which_it_includes_for_those_who_watch_it(tmp_path: Path) -> None:
    text = 'include = ["conf.d/*.toml", "conf.d/a.toml"]\n' + LEAST
    plan = plan_of(tmp_path, text, files={"conf.d/a.toml": ""})
    assert plan.origin.includes == (f"{tmp_path}/conf.d/*.toml",)
