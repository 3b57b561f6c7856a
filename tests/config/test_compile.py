"""Site to plan: what the core is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman import plan
from procman.config.compile import default_name
from tests.config.sites import LEAST, group_of, heads, load, plan_of, said


def test_the_least_site_has_every_default_of_the_plan(tmp_path: Path) -> None:
    auto = plan.Output(plan.Sink("auto"), plan.Sink("auto"))
    launch = plan.Launch(("web",), str(tmp_path), output=auto)
    expected = plan.Plan(tmp_path.name, (plan.GroupPlan("web", launch),), sources=(str(tmp_path / "site.toml"),))
    assert plan_of(tmp_path)._replace(origin=plan.Origin()) == expected


def test_a_plan_survives_its_json(tmp_path: Path) -> None:
    text = LEAST + 'env = { A = "ü$" }\nafter = ["db"]\nrestart = { success = [0, "INT"], backoff = false }\n'
    made = plan_of(tmp_path, text + '[group.db]\ncommand = "db"\n')
    assert plan.from_json(plan.to_json(made)) == made


def test_sockets_have_names_and_unix_sockets_a_place_beside_the_file(tmp_path: Path) -> None:
    text = LEAST + 'listen = ["tcp://localhost:80", "UDP://[::1]:53/", { address = "unix://run/a", owner = "0:0" }]\n'
    made = plan_of(tmp_path, text)
    assert plan.from_json(plan.to_json(made)) == made
    assert made.sockets == (
        plan.Listen("web", "tcp", "127.0.0.1", 80),
        plan.Listen("web-2", "udp", "::1", 53),
        plan.Listen("web-3", "unix", f"{tmp_path}/run/a", uid=0, gid=0),
    )


def test_every_option_of_a_socket_reaches_the_plan(tmp_path: Path) -> None:
    text = (
        LEAST
        + """
        [[group.web.listen]]
        address = "tcp://*:0"
        name = "http"
        backlog = 5
        nodelay = false
        reuse_port = true
        [[group.web.listen]]
        address = "unix:@web"
        mode = "0600"
        owner = ":7"
    """
    )
    assert plan_of(tmp_path, text).sockets == (
        plan.Listen("http", "tcp", "0.0.0.0", 0, 5, nodelay=False, reuse_port=True),
        plan.Listen("web-2", "unix", "@web", mode=0o600, gid=7),
    )


def test_every_option_of_a_job_reaches_the_plan(tmp_path: Path) -> None:
    job = LEAST + 'kind = "job"\ndeadline = "2h"\n'
    cron = group_of(tmp_path, job + 'schedule = "@daily"\ntimezone = "Europe/Berlin"\noverlap = "queue"\n')
    assert (cron.schedule, cron.deadline) == (plan.Schedule("0 0 * * *", "Europe/Berlin", None, "queue"), 7200.0)
    assert (cron.restart.max_restarts, cron.restart.on_exhausted) == (0, "ignore")
    every = group_of(tmp_path, job + 'every = "30s"\nrestart = { max_restarts = 2, on_exhausted = "stop" }\n')
    assert every.schedule == plan.Schedule(None, None, 30.0, "skip")
    assert (every.restart.max_restarts, every.restart.on_exhausted) == (2, "stop")
    assert group_of(tmp_path, job).restart.on_exhausted == "shutdown"


def test_what_is_not_enabled_listens_on_nothing_and_takes_no_address_from_others(tmp_path: Path) -> None:
    off = '[group.old]\ncommand = "old"\nenabled = false\nlisten = "tcp://127.0.0.1:80"\n'
    made = plan_of(tmp_path, LEAST + 'listen = "tcp://127.0.0.1:80"\n' + off)
    assert [listen.name for listen in made.sockets] == ["web"]


def test_every_option_of_a_group_reaches_the_plan(tmp_path: Path) -> None:
    text = """
        [group.web.restart]
        when = "always"
        success = [0, 3, "SIGINT", "TERM"]
        max_restarts = 5
        window = "10m"
        backoff = { initial = "1s", factor = 3, max = "9s", jitter = 0 }
        reset_after = "2m"
        strategy = "one-for-all"
        on_exhausted = "ignore"
        [group.web.stop]
        signal = "INT"
        grace = "3s"
        scope = "leader"
        drain = "1.5s"
        [group.web.after]
        db = "started"
        [group.db]
        command = "db"
        [site]
        name = "shop"
        stop_timeout = "30s"
        exit_code_from = "db"
        [log]
        format = "json"
        file = "log/events.jsonl"
    """
    head = LEAST + 'workers = 3\numask = "0027"\nspawn = "fork"\ncwd = "app"\n'
    made = plan_of(tmp_path, head + text)
    restart = plan.Restart(
        "always", (0, 3), (2, 15), 5, 600.0, plan.Backoff(1.0, 3.0, 9.0, 0.0), 120.0, "one-for-all", "ignore"
    )
    auto = plan.Output(plan.Sink("auto"), plan.Sink("auto"))
    launch = plan.Launch(("web",), str(tmp_path / "app"), (), 0o27, "fork", output=auto)
    web = plan.GroupPlan(
        "web", launch, "service", 3, False, restart, plan.Stop(2, 3.0, "leader", 1.5), (("db", "started"),)
    )
    assert made.groups[0] == web
    log = plan.LogPlan("json", str(tmp_path / "log/events.jsonl"))
    assert made[2:5] == (30.0, "db", log)
    assert made.name == "shop"


def test_every_privilege_of_a_group_reaches_the_plan(tmp_path: Path) -> None:
    text = """
        user = 54321
        group = 54322
        supplementary_groups = [7, "5", 7]
        nice = -5
        oom_score_adj = 100
        cpu_affinity = "0-2,1,8"
        limits = { nofile = "20:30", core = 0, as = "1MiB", cpu = "1m:unlimited", rttime = "2ms", stack = "unlimited" }
        no_new_privileges = true
        capabilities = ["CAP_NET_RAW", "chown"]
        parent_death_signal = "INT"
        clear_env = true
        pass_env = ["PATH", "LC_*"]
        env = { USER = "web$$" }
    """
    limits = (
        plan.Limit("as", 1 << 20),
        plan.Limit("core", 0),
        plan.Limit("cpu", 60, -1),
        plan.Limit("nofile", 20, 30),
        plan.Limit("rttime", 2000),
        plan.Limit("stack", -1),
    )
    privileges = plan.Privileges(
        uid=54321,
        gid=54322,
        groups=(5, 7),
        nice=-5,
        oom_score_adj=100,
        cpu_affinity=(0, 1, 2, 8),
        limits=limits,
        no_new_privileges=True,
        capabilities=(0, 13),
        parent_death_signal=2,
    )
    made = plan_of(tmp_path, LEAST + text)
    launch = made.groups[0].launch
    assert privileges == launch.privileges
    assert launch.pass_env == ("PATH", "LC_*")
    assert dict(launch.env) == {"HOME": "/", "USER": "web$$", "LOGNAME": None, "SHELL": None}
    assert plan.from_json(plan.to_json(made)) == made


def test_a_cleared_environment_passes_nothing_unless_told(tmp_path: Path) -> None:
    assert group_of(tmp_path, LEAST + "clear_env = true\n").launch.pass_env == ()


def test_a_limit_of_the_defaults_and_one_of_the_group_come_together(tmp_path: Path) -> None:
    text = LEAST + "limits.core = 0\n[defaults.limits]\ncore = 5\nnofile = 20\n"
    privileges = group_of(tmp_path, text).launch.privileges
    assert privileges == plan.Privileges(limits=(plan.Limit("core", 0), plan.Limit("nofile", 20)))


@pytest.mark.parametrize("written", ['"auto"', "0", "-1", '"-3"'])
def test_auto_and_what_is_not_positive_mean_one_worker_for_each_cpu(tmp_path: Path, written: str) -> None:
    group = group_of(tmp_path, LEAST + f"workers = {written}\n")
    assert group.auto
    assert group.workers >= 1


def test_a_disabled_group_has_no_workers_and_its_count_is_not_the_machines(tmp_path: Path) -> None:
    group = group_of(tmp_path, LEAST + 'workers = "auto"\nenabled = false\n')
    assert (group.workers, group.auto) == (0, False)


JOBS = [
    ("", 0),
    ("restart.max_restarts = 3", 3),
    ("restart.window = '1m'", 0),
    ("[defaults.restart]\nmax_restarts = 2", 2),
]


@pytest.mark.parametrize(("text", "budget"), JOBS)
def test_a_job_is_restarted_only_if_it_is_told_how_often(tmp_path: Path, text: str, budget: int) -> None:
    assert group_of(tmp_path, LEAST + f'kind = "job"\n{text}\n').restart.max_restarts == budget


def test_a_group_takes_back_what_the_defaults_gave_it(tmp_path: Path) -> None:
    text = LEAST + "restart = { window = false, backoff = false }\n"
    text += '[defaults.restart]\nwindow = "1m"\nbackoff = { initial = "1s" }\n'
    restart = group_of(tmp_path, text).restart
    assert (restart.window, restart.backoff) == (None, None)


PATHS = [
    ("[group.web]\ncwd = 'app'", "etc/app"),
    ("[group.web]\ncwd = '.'", "etc"),
    ("[group.web]\ncwd = '../app'", "etc/../app"),
    ("[group.web]\ncwd = '/srv'", "/srv"),
    ("[group.web]\ncwd = 'w${PROCMAN_TASK_ID}'", "etc/w${PROCMAN_TASK_ID}"),
    ("[defaults]\ncwd = 'app'", "etc/app"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "cwd"), PATHS)
def test_a_path_is_relative_to_the_file_that_names_it(tmp_path: Path, text: str, cwd: str) -> None:
    group = group_of(tmp_path, LEAST, files={"etc/o.toml": text}, overlays=["etc/o.toml"])
    assert group.launch.cwd == str(tmp_path / cwd).replace("etc/app/..", "etc")


def test_a_directory_with_a_dollar_sign_is_no_reference(tmp_path: Path) -> None:
    folder = tmp_path / "a$b"
    folder.mkdir()
    assert group_of(folder, LEAST).launch.cwd == f"{tmp_path}/a$$b"


NAMES = [
    ("/srv/shop.toml", "shop"),
    ("/srv/shop/site.toml", "shop"),
    ("/srv/shop/procman.toml", "shop"),
    ("/site.toml", "site"),
    ("/srv/.hidden", "hidden"),
    ("/srv/a b/site.toml", "a-b"),
    ("/srv/ü.toml", "site"),
    ("/srv/" + "x" * 100, "x" * 64),
]


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_a_site_is_named_after_its_file_or_its_directory(path: str, name: str) -> None:
    assert default_name(path) == name


ENV_FILE = """
# a comment
PLAIN=as it is
export EXPORTED=yes
EMPTY=
HASH=a#b
EQUALS=a=b=c
PERCENT=100%
DOLLAR=$HOME ${HOME}
QUOTED="two\\nlines # no comment"
SINGLE='a\\nb "c"'
LAST=no newline"""
ENV = {
    "PLAIN": "as it is",
    "EXPORTED": "yes",
    "EMPTY": "",
    "HASH": "a#b",
    "EQUALS": "a=b=c",
    "PERCENT": "100%",
    "DOLLAR": "$$HOME $${HOME}",
    "QUOTED": "two\nlines # no comment",
    "SINGLE": 'a\\nb "c"',
    "LAST": "no newline",
}


def test_the_values_of_an_env_file_are_as_written(tmp_path: Path) -> None:
    group = group_of(tmp_path, LEAST + 'env_file = "web.env"\n', files={"web.env": ENV_FILE}, environ={"HOME": "/root"})
    assert dict(group.launch.env) == ENV


def test_the_env_table_wins_over_later_files_and_those_over_earlier_ones(tmp_path: Path) -> None:
    text = LEAST + 'env_file = ["1.env", { path = "2.env" }]\nenv = { C = "table" }\n'
    group = group_of(tmp_path, text, files={"1.env": "A=1\nB=1\nC=1\n", "2.env": "B=2\nC=2\n"})
    assert dict(group.launch.env) == {"A": "1", "B": "2", "C": "table"}


def test_an_optional_env_file_may_be_missing_but_not_wrong(tmp_path: Path) -> None:
    text = LEAST + 'env_file = { path = "web.env", optional = true }\n'
    assert group_of(tmp_path, text).launch.env == ()
    assert heads(load(tmp_path, text, files={"web.env": "A=1\n???\n"})) == ["web.env:2:1: this line is not NAME=value"]


def test_an_env_file_is_relative_to_the_file_that_names_it_and_a_source_of_the_plan(tmp_path: Path) -> None:
    files = {"etc/o.toml": '[defaults]\nenv_file = "web.env"\n', "etc/web.env": "A=1\n"}
    made = plan_of(tmp_path, files=files, overlays=["etc/o.toml"])
    assert made.groups[0].launch.env == (("A", "1"),)
    assert made.sources == tuple(str(tmp_path / name) for name in ("site.toml", "etc/o.toml", "etc/web.env"))


def test_an_env_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "web.env").write_bytes(b"A=1\nB=\xff\n")
    assert heads(load(tmp_path, LEAST + 'env_file = "web.env"\n')) == ["web.env:2:3: byte 6 (0xFF) is not UTF-8 text"]


def test_a_directory_as_env_file_is_placed_where_it_is_named(tmp_path: Path) -> None:
    result = load(tmp_path, LEAST + 'env_file = "."\n')
    assert "site.toml:4:12: the env file .: this is a directory, not a regular file" in said(result)


def test_the_rule_for_replacing_workers_is_taken_over(tmp_path: Path) -> None:
    made = plan_of(tmp_path, LEAST + 'update = { parallel = 2, pause = "1s" }\n')
    assert made.groups[0].update == plan.Update(parallel=2, pause=1.0)


@pytest.mark.parametrize(
    ("job", "order"), [("", "start-first"), ('kind = "job"\n', "stop-first")]
)  # two runs of a job never overlap
def test_an_order_that_all_groups_have_holds_for_services(tmp_path: Path, job: str, order: str) -> None:
    ready = job or "ready = { notify = true }\n"
    made = plan_of(tmp_path, LEAST + ready + '[defaults.update]\norder = "start-first"\n')
    assert made.groups[0].update.order == order


def test_start_first_without_readiness_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    result = load(tmp_path, LEAST + 'update = { order = "start-first" }\n')
    assert heads(result) == ["site.toml:4:20: start-first needs to know when the new worker can take over"]
    assert "hint: add a `ready`" in said(result)


@pytest.mark.parametrize("table", ["ready", "health"])
def test_with_start_first_an_address_is_one_of_each_generation(tmp_path: Path, table: str) -> None:
    text = LEAST + 'update = { order = "start-first" }\n' + ("" if table == "ready" else "ready = { notify = true }\n")
    shared = load(tmp_path, f'{text}{table} = {{ tcp = "unix:/run/${{PROCMAN_TASK_ID}}" }}\n')
    assert "the old worker answers while the new one begins" in said(shared)
    plan_of(tmp_path, f'{text}{table} = {{ tcp = "unix:/run/${{PROCMAN_TASK_ID}}.${{PROCMAN_GENERATION}}" }}\n')


def test_every_kind_of_check_reaches_the_plan(tmp_path: Path) -> None:
    text = LEAST + 'ready = { fd = 4, timeout = "5s" }\nhealth = { watchdog = true, failures = 1, dump = "ABRT" }\n'
    made = plan_of(tmp_path, text)
    assert plan.from_json(plan.to_json(made)) == made
    assert made.groups[0].ready == plan.Ready("fd", fd=4, timeout=5.0)
    assert made.groups[0].health == plan.Health("watchdog", failures=1, dump=6)


@pytest.mark.parametrize(
    ("rules", "said_"),
    [
        ('workers = 2\nready = { http = "http://127.0.0.1:80/" }', "any of the workers of web may answer"),
        ('listen = "tcp://127.0.0.1:80"\nready = { tcp = "127.0.0.1:80" }', "is a socket of web"),
        ('ready = { http = "https://127.0.0.1/" }', "plain http://"),
        ('ready = { tcp = "db.example.com:80" }', "neither an address in digits nor localhost"),
        ("ready = { fd = 3, notify = true }", "either"),
        ('ready = { timeout = "3s" }', "does not say how"),
    ],
)
def test_a_check_that_proves_nothing_is_an_error(tmp_path: Path, rules: str, said_: str) -> None:
    assert said_ in said(load(tmp_path, LEAST + rules + "\n"))


def test_whoever_is_ready_by_a_line_has_output_that_can_be_read(tmp_path: Path) -> None:
    made = plan_of(tmp_path, LEAST + 'ready = { log = "^up$$" }\noutput = { to = "inherit", stderr = "null" }\n')
    assert made.groups[0].ready == plan.Ready("log", "^up$")
    output = made.groups[0].launch.output
    assert (output.stdout.kind, output.stderr.kind) == ("prefix", "null")


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("started (", "no regular expression: missing ), unterminated subpattern at position 8"),
        ("", "no text of 1 to 1000 characters"),
        ("x" * 1001, "no text of 1 to 1000 characters"),
        ("(up)?", "matches an empty line, too"),
    ],
)
def test_a_pattern_that_shows_nothing_is_an_error(tmp_path: Path, pattern: str, what: str) -> None:
    result = load(tmp_path, LEAST + f'ready = {{ log = "{pattern}" }}\n')
    assert heads(result)[0].startswith("site.toml:4:17: ")
    assert what in heads(result)[0]
