"""`procman reload` and `procman rollback` of a real site: what they report, what moves, and what is left alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.procmans import COMMAND, DEADLINE_S
from tests.control.test_real import Operated, operated
from tests.site.sites import FOREVER, group, site_of
from tests.site.test_sockets import FREE, SERVE, Clients, port_of

DB = group("db", FOREVER)
PROBATION = '[site.reload]\nprobation = "{}"\nprobation_failures = 2'
CRASH = 'restart = { max_restarts = 100, backoff = false, on_exhausted = "shutdown" }'


def api(number: int, *options: str, workers: int = 2) -> str:
    return group("api", FOREVER, f'env = {{ N = "{number}" }}', f"workers = {workers}", *options)


def write(one: Operated, text: str) -> None:
    one.site.file.write_text(text, encoding="utf-8")


def reload(one: Operated, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    write(one, text)
    return one.run("reload", *arguments)


def pids(one: Operated) -> dict[str, int]:
    status = json.loads(one.run("status", "--json").stdout)
    return {f"{w['group']}:{w['task']}": w["pid"] for w in status["workers"] if w["state"] == "running"}


def test_reload_returns_when_what_changed_is_up_and_the_rest_has_not_moved(tmp_path: Path) -> None:
    with operated(tmp_path, site_of(api(1), DB)) as one:
        before = pids(one)
        done = reload(one, site_of(api(2), DB))
        after = pids(one)
        assert (done.returncode, done.stdout) == (0, "")
        assert "reload: restarted: api" in done.stderr
        assert after["db:0"] == before["db:0"]
        assert not {after["api:0"], after["api:1"]} & set(before.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 1\n[group.api]\ncommand = ", "site.toml:3:"),
        (site_of(api(1), DB, site="colour = 1"), "colour"),
        (site_of(group("a", FOREVER, "after = ['b']"), group("b", FOREVER, "after = ['a']")), "a → b"),
        (site_of(group("a", FOREVER, 'user = "nobody-of-that-name"')), "nobody-of-that-name"),
    ],
    ids=["syntax", "unknown key", "cycle", "unknown user"],
)
def test_an_invalid_configuration_is_reported_with_its_place_and_changes_nothing(
    tmp_path: Path, text: str, said: str
) -> None:
    with operated(tmp_path, site_of(api(1), DB)) as one:
        before = pids(one)
        done = reload(one, text)
        assert (done.returncode, done.stdout) == (78, "")
        assert said in done.stderr
        assert "hint: " in done.stderr
        assert pids(one) == before
        one.site.until("config.rejected")
        one.run("signal", "KILL", "db")  # the plan in force goes on to decide
        one.site.until("worker.running", "db:0", count=2)
        assert reload(one, site_of(api(2), DB)).returncode == 0


def test_a_configuration_that_is_gone_is_reported_and_changes_nothing(tmp_path: Path) -> None:
    with operated(tmp_path, site_of(api(1), DB)) as one:
        before = pids(one)
        one.site.file.unlink()
        done = one.run("reload")
        assert (done.returncode, done.stdout, pids(one)) == (78, "", before)
        assert f"there is no such file\nhint: looked for {one.site.file}" in done.stderr
        assert reload(one, site_of(api(2), DB)).returncode == 0


def test_a_configuration_that_crashes_is_rolled_back_and_the_others_never_move(tmp_path: Path) -> None:
    rules = PROBATION.format("1m")
    good = site_of(api(1), DB, site=rules)
    with operated(tmp_path, good) as one:
        before = pids(one)
        done = reload(one, site_of(group("api", "exit 3", "workers = 2", CRASH), DB, site=rules))
        assert (done.returncode, done.stdout) == (1, "")
        assert "exit status 3; the last good configuration is back" in done.stderr
        failed, back = one.site.until("config.failed"), one.site.until("config.rolled_back")
        assert failed["reason"] == back["reason"]
        assert back["digest"] == one.site.told("site.started")[0]["digest"] != failed["digest"]
        one.site.until("worker.running", "api:0", count=2)
        one.site.until("worker.running", "api:1", count=2)
        assert pids(one)["db:0"] == before["db:0"]


def test_a_command_that_is_not_there_is_rolled_back_at_once_and_does_not_end_the_site(tmp_path: Path) -> None:
    rules = PROBATION.format("1h")
    with operated(tmp_path, site_of(api(1), DB, site=rules)) as one:
        done = reload(one, site_of(api(1), DB, group("new", ["no-such-command"]), site=rules))
        assert done.returncode == 1
        assert "no-such-command: command not found" in done.stderr
        assert sorted(pids(one)) == ["api:0", "api:1", "db:0"]


def test_a_configuration_that_stands_its_probation_is_good(tmp_path: Path) -> None:
    rules = PROBATION.format("100ms")
    with operated(tmp_path, site_of(api(1), DB, site=rules)) as one:
        done = reload(one, site_of(api(2), DB, site=rules))
        assert done.returncode == 0
        one.site.until("config.proved")


def test_rollback_by_hand_goes_back_and_says_where_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    with operated(tmp_path, site_of(api(1), DB)) as one:
        first = one.site.told("site.started")[0]["digest"]
        assert reload(one, site_of(api(2), DB)).returncode == 0
        done = one.run("rollback")
        assert (done.returncode, done.stdout) == (0, "")
        assert "rollback: restarted: api" in done.stderr
        assert one.site.until("config.rolled_back")["digest"] == first
        again = one.run("rollback")
        assert again.returncode == 1
        assert "there is no plan to go back to" in again.stderr


def test_what_was_scaled_by_hand_survives_a_reload_until_the_file_says_another_number(tmp_path: Path) -> None:
    with operated(tmp_path, site_of(api(1), DB)) as one:
        assert one.run("scale", "api=3").returncode == 0
        assert one.run("stop", "db").returncode == 0
        assert reload(one, site_of(api(2), DB)).returncode == 0
        assert sorted(pids(one)) == ["api:0", "api:1", "api:2"]
        assert "api: 3 workers by hand (file: 2)" in one.run("status").stdout
        assert reload(one, site_of(api(2, workers=1), DB)).returncode == 0
        assert sorted(pids(one)) == ["api:0"]


def test_reset_drops_what_was_done_by_hand(tmp_path: Path) -> None:
    with operated(tmp_path, site_of(api(1), DB)) as one:
        assert one.run("scale", "api=1").returncode == 0
        assert one.run("stop", "db").returncode == 0
        assert one.run("reload", "--reset").returncode == 0
        one.site.until("worker.running", "db:0", count=2)
        one.site.until("worker.running", "api:1", count=2)
        assert sorted(pids(one)) == ["api:0", "api:1", "db:0"]


def test_two_clients_that_reload_at_once_are_both_answered(tmp_path: Path) -> None:
    with operated(tmp_path, site_of(api(1), DB)) as one:
        before = pids(one)
        write(one, site_of(api(2), DB))
        reloads = [*COMMAND, "reload"]
        both = [subprocess.Popen(reloads, stderr=subprocess.PIPE, text=True, env=one.environment) for _ in range(2)]
        for client in both:
            _, said = client.communicate(timeout=DEADLINE_S)
            assert client.returncode == 0, said
            assert said.startswith("reload: ")
        after = pids(one)
        assert (sorted(after), after["db:0"]) == (sorted(before), before["db:0"])
        one.site.until("worker.running", "api:0", count=2)
        one.site.until("config.applied", count=2)
        assert [len(one.site.told("worker.running", worker)) for worker in ("api:0", "db:0")] == [2, 1]


def test_of_a_thousand_groups_only_the_one_that_changed_moves(tmp_path: Path) -> None:
    groups = [group(f"g{number}", FOREVER) for number in range(1000)]
    with operated(tmp_path, site_of(*groups), 1000) as one:
        before = pids(one)
        groups[500] = group("g500", FOREVER, 'env = { N = "2" }')
        done = reload(one, site_of(*groups))
        after = pids(one)
        assert (done.returncode, len(before)) == (0, 1000)
        assert {worker for worker in before if after[worker] != before[worker]} == {"g500:0"}


def test_a_broken_file_under_load_loses_nothing(tmp_path: Path) -> None:
    serve = group("api", SERVE, FREE, "workers = 2")
    with operated(tmp_path, site_of(serve), 2) as one:
        before, clients = pids(one), Clients(port_of(one.site))
        with clients.running():
            for text in ("schema = 1\n[group.api]\ncommand = ", "", "\x00", site_of(serve, site="colour = 1")):
                clients.wait_for_an_answer()
                assert reload(one, text).returncode == 78
            clients.wait_for_an_answer()
        assert (clients.refused, clients.cut, pids(one)) == (0, 0, before)
        one.site.until("config.rejected", count=4)
