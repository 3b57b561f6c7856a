"""What `check` warns of, and how long a site takes to stop at worst."""

from __future__ import annotations

from typing import Any

import pytest

from procman.config.preview.advice import most_failures, stop_bound, warnings
from procman.config.preview.summary import render
from procman.plan import Backoff, Cgroup, GroupPlan, Health, Launch, Plan, Ready, Recycle, Restart, Stop, Update


def group(name: str, *command: str, **options: Any) -> GroupPlan:
    return GroupPlan(name, Launch(command or ("run",), "/"), **options)


def site(*groups: GroupPlan, **options: Any) -> Plan:
    return Plan("s", groups, **options)


JOB = group("job", kind="job")
OFF = group("off", workers=0)
WARNINGS: dict[str, tuple[Plan, str]] = {
    "a pipe": (site(group("a", "cat", "x", "|", "wc")), "a: `|` is passed to the program as it stands"),
    "an assignment": (site(group("a", "A=1", "run")), "a: `A=1` is taken for the program"),
    "a shell's variable": (site(group("a", "run", "--home=$$HOME")), "a: `$HOME` stands for itself"),
    "a tilde": (site(group("a", "run", "~/x")), "a: `~` stands for itself"),
    "a budget out of reach": (
        site(group("a", restart=Restart(max_restarts=10, window=10.0))),
        "a: max_restarts = 10 cannot be reached",
    ),
    "a job that is ready": (
        site(JOB, group("a", after=(("job", "ready"),))),
        "a: waits only until the job job is ready",
    ),
    "a service without end": (
        site(group("b", restart=Restart(when="always")), group("a", after=(("b", "completed"),))),
        "a: waits until b is completed, but that is restarted always",
    ),
    "a short timeout": (
        site(group("a"), stop_timeout=3.0),
        "stopping may take 8s, but stop_timeout kills all after 3s",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_a_doubtful_plan_is_warned_of(case: str) -> None:
    plan, begin = WARNINGS[case]
    (warning,) = warnings(plan)
    assert warning[: len(begin)] == begin


LEAVING = [
    "nginx",
    "/usr/sbin/nginx -e stderr",
    "redis-server /etc/redis.conf --daemonize yes",
    "pg_ctl -D /data start",
    "pg_ctlcluster 15 main start",
    "/usr/sbin/sshd -p 2222",
    "php-fpm8.2",
    "memcached -d -m 64",
    "mongod --fork --logpath x",
    "uwsgi --daemonize=/var/log/uwsgi.log app.ini",
]
STAYING = [
    ["nginx", "-g", "daemon off;"],
    ["nginx", "-t"],
    ["nginx", "-c", "own.conf"],
    ["redis-server", "--daemonize", "no"],
    ["pg_ctlcluster", "--foreground", "15", "main", "start"],
    ["pg_ctl", "status"],
    ["sshd", "-eD"],
    ["php-fpm8.2", "-F"],
    ["apache2", "-D", "FOREGROUND"],
    ["memcached", "-m", "64"],
    ["gunicorn", "app:app"],
    ["nginx-exporter"],
]


@pytest.mark.parametrize("line", LEAVING)
def test_a_daemon_that_leaves_its_worker_is_warned_of_unless_a_cgroup_keeps_it(line: str) -> None:
    plan = site(group("a", *line.split()))
    (warning,) = warnings(plan)
    program = line.split()[0].rpartition("/")[2]
    assert warning.startswith(f"a: `{program}")
    assert "goes into the background" in warning
    assert "cgroup = true" in warning
    kept = plan.groups[0]._replace(launch=plan.groups[0].launch._replace(cgroup=Cgroup()))
    assert warnings(site(kept)) == []


def test_a_server_whose_processes_are_untraceable_is_warned_of_unless_a_cgroup_keeps_them() -> None:
    plan = site(group("a", "/usr/lib/postgresql/15/bin/postgres", "-D", "/data"))
    (warning,) = warnings(plan)
    assert warning.startswith("a: `postgres` has processes that cannot be traced once it is killed")
    kept = plan.groups[0]._replace(launch=plan.groups[0].launch._replace(cgroup=Cgroup()))
    assert warnings(site(kept)) == []


@pytest.mark.parametrize("command", STAYING, ids=" ".join)
def test_a_program_that_stays_in_front_is_not_warned_of(command: list[str]) -> None:
    assert warnings(site(group("a", *command))) == []


FINE = {
    "a shell": site(group("a", "/bin/sh", "-c", "a | b; echo $$HOME")),
    "a budget within reach": site(group("a", restart=Restart(max_restarts=10, window=600.0))),
    "no backoff": site(group("a", restart=Restart(max_restarts=10, window=1.0, backoff=None))),
    "a budget for life": site(group("a", restart=Restart(max_restarts=10**6))),
    "a finished job": site(JOB, group("a", after=(("job", "completed"),))),
    "a group that is off holds nobody up": site(OFF, group("a", after=(("off", "ready"),))),
}


@pytest.mark.parametrize("case", FINE)
def test_a_sound_plan_is_not_warned_of(case: str) -> None:
    assert warnings(FINE[case]) == []


FAILURES = [
    # Starts at 0, 0, 1, 3, 7, 15 …
    (Restart(window=6.9, backoff=Backoff(1.0, 2.0, 60.0), max_restarts=100), 1, 4),
    (Restart(window=7.0, backoff=Backoff(1.0, 2.0, 60.0), max_restarts=100), 1, 5),
    (Restart(window=7.0, backoff=Backoff(1.0, 2.0, 60.0), max_restarts=100), 3, 15),
    (Restart(window=7.0, backoff=Backoff(1.0, 2.0, 60.0), max_restarts=100, strategy="one-for-all"), 3, 5),
    # Starts at 0, 0, 1, 3, 5, 7.
    (Restart(window=7.0, backoff=Backoff(1.0, 2.0, 2.0), max_restarts=100), 1, 6),
]


@pytest.mark.parametrize(("restart", "workers", "most"), FAILURES)
def test_the_failures_that_fit_into_a_window_are_counted(restart: Restart, workers: int, most: int) -> None:
    found = most_failures(restart, workers)
    assert found is not None
    slots = 1 if restart.strategy == "one-for-all" else workers
    assert found == most, slots


STOPS = [
    (site(group("a")), 8.0),
    (site(group("a", stop=Stop(grace=2.0)), group("b", stop=Stop(grace=3.0))), 3.0),
    (site(group("a"), group("b", after=(("a", "ready"),))), 16.0),
    (site(group("a", stop=Stop(grace=1.0, scope="leader"))), 1.0),
    (site(OFF, group("b", after=(("off", "ready"),))), 8.0),
    (
        site(
            group("a", stop=Stop(grace=1.0)),
            group("b", stop=Stop(grace=2.0), after=(("a", "ready"),)),
            group("c", stop=Stop(grace=4.0), after=(("a", "ready"),)),
            group("d", stop=Stop(grace=8.0), after=(("b", "ready"), ("c", "ready"))),
        ),
        13.0,
    ),
    (site(*(group(f"g{i}", after=((f"g{i + 1}", "ready"),) if i < 2999 else ()) for i in range(3000))), 24000.0),
]


@pytest.mark.parametrize(("plan", "seconds"), STOPS)
def test_the_worst_stop_is_the_dearest_chain_of_dependencies(plan: Plan, seconds: float) -> None:
    assert stop_bound(plan) == seconds


def test_the_summary_fits_into_80_columns_whatever_the_plan_holds() -> None:
    long = group(
        "g" * 64,
        "run",
        "x y" * 100,
        "\x1b[31m",
        workers=10000,
        after=tuple((f"{'h' * 60}{i}", "completed") for i in range(20)),
        restart=Restart("always", max_restarts=10**9, window=1e8, strategy="one-for-all", on_exhausted="ignore"),
    )
    others = [group(f"{'h' * 60}{i}") for i in range(20)]
    text = render(site(long, *others, exit_code_from="g" * 64))
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


LIFE = """\
  ready    http http://127.0.0.1:${PROCMAN_TASK_ID}/, within 30s
  health   exec sh -c 'exit 0' every 10s, marked as unready after 3 failures
  update   start-first, 2 at once, 2s between them
  recycle  after 1d, above 512MiB
  after    cache (ready)
  requires cache
"""
OTHERS = [
    (Ready("notify", timeout=5.0), "says READY=1, within 5s"),
    (Ready("fd", fd=4), "writes a line to descriptor 4, within 30s"),
    (Ready("tcp", "127.0.0.1:80"), "tcp 127.0.0.1:80, within 30s"),
    (Ready("log", "started$"), "logs /started$/, within 30s"),
    (Ready("delay", delay=2.0), "2s after its start"),
]


def test_the_summary_says_when_workers_are_ready_and_well_and_when_they_are_replaced() -> None:
    api = group(
        "api",
        after=(("cache", "ready"),),
        requires=("cache",),
        ready=Ready("http", "http://127.0.0.1:${PROCMAN_TASK_ID}/"),
        health=Health("exec", command=("sh", "-c", "exit 0"), on_failure="ignore"),
        update=Update("start-first", 2, 2.0),
        recycle=Recycle(86400.0, 512 << 20),
    )
    assert LIFE in render(site(api, group("cache")))


@pytest.mark.parametrize(("ready", "line"), OTHERS, ids=lambda one: one.by if isinstance(one, Ready) else "")
def test_the_summary_has_words_for_each_way_to_be_ready(ready: Ready, line: str) -> None:
    assert f"  ready    {line}\n" in render(site(group("api", ready=ready)))
