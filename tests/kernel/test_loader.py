"""The loader: whatever the child does becomes one answer."""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

import pytest

from procman.kernel.helpers.loader import LACKS
from procman.kernel.spawn.spawn import Spawner
from procman.plan import GroupPlan, Launch, Plan, to_json
from procman.policy.events import Exited, Loaded, LoadFailed, RunLoader
from tests.kernel.playing import Stage, play, spawn

PLAN = Plan("shop", (GroupPlan("api", Launch(("true",), "/")),))
GOOD = f'{{"plan": {to_json(PLAN)}, "digest": "abc"}}'


def load(argv: list[str], timeout_s: float) -> list[Any]:
    stage = Stage(argv, timeout_s)
    stage.perform(RunLoader())
    while True:
        event = stage.kernel.wait(None)
        if isinstance(event, Loaded):
            return ["loaded", to_json(event.plan), event.digest]
        if isinstance(event, LoadFailed):
            return ["failed", event.reason, event.diagnostics]


def load_without_descriptors(argv: list[str]) -> list[Any]:
    """The same, with none free."""
    stage = Stage(argv, 10)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    stage.perform(RunLoader())
    (failed,) = stage.until(LoadFailed)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    return [failed.reason, failed.diagnostics]


def test_what_the_machine_lacks_is_no_defect_of_the_loader() -> None:
    reason, diagnostics = play(load_without_descriptors, ["true"]).value
    assert reason.startswith("the loader broke: cannot fork: EMFILE, Too many open files (ulimit -Hn is ")
    assert diagnostics == f"{reason}\nhint: {LACKS}\n"


def test_a_plan_is_loaded() -> None:
    assert play(load, ["printf", "%s", GOOD], 10).value == ["loaded", to_json(PLAN), "abc"]


def test_a_plan_larger_than_the_pipe_is_loaded() -> None:
    large = f"print(' ' * 3_000_000 + {GOOD!r})"
    assert play(load, [sys.executable, "-c", large], 10).value == ["loaded", to_json(PLAN), "abc"]


def test_diagnostics_come_through() -> None:
    said = '{"reason": "site.toml: 1 error", "diagnostics": "site.toml:1:1: no\\n"}'
    expected = ["failed", "site.toml: 1 error", "site.toml:1:1: no\n"]
    assert expected == play(load, ["printf", "%s", said], 10).value


def test_a_loader_whose_child_keeps_the_pipe_open_is_not_waited_for() -> None:
    script = f"sleep 300 & printf %s '{GOOD}'"
    assert play(load, ["sh", "-c", script], 10).value[0] == "loaded"


BROKEN = {
    "status": (["sh", "-c", "exit 3"], "the loader broke: exited with status 3"),
    "status after an answer": (["sh", "-c", f"printf %s '{GOOD}'; exit 1"], "the loader broke: exited with status 1"),
    "signal": (["sh", "-c", "kill -SEGV $$"], "the loader broke: died of SIGSEGV"),
    "nothing": (
        ["true"],
        "the loader broke: its answer is no plan (JSONDecodeError)",
    ),
    "no object": (
        ["echo", "[]"],
        "the loader broke: its answer is no plan (TypeError)",
    ),
    "no plan": (
        ["echo", '{"plan": 1}'],
        "the loader broke: its answer is no plan (TypeError)",
    ),
    "not there": (["/no/loader"], "the loader broke: /no/loader: no such file"),
    "endless": (["cat", "/dev/zero"], "the loader broke: said more than 64 MiB"),
    "deaf": (["sh", "-c", "trap '' TERM; while :; do sleep 300; done"], "the configuration was not read within 0.3 s"),
    "silent": (["sh", "-c", "exec >&-; sleep 300"], "the configuration was not read within 0.3 s"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_loader_that_breaks_is_one_clear_failure(case: str) -> None:
    argv, reason = BROKEN[case]
    timeout_s = 0.3 if "within" in reason else 10
    outcome, said, diagnostics = play(load, argv, timeout_s).value
    assert (outcome, said) == ("failed", reason)
    assert diagnostics.startswith(f"{reason}\nhint: ")


def load_twice() -> list[str]:
    stage = Stage(["sh", "-c", f"read line < /dev/zero; printf %s '{GOOD}'"], 0.3)
    stage.perform(RunLoader(), RunLoader())
    first, second = stage.until(LoadFailed, 2)
    return [first.reason, second.reason]


def test_a_second_load_meanwhile_is_refused_and_both_are_answered() -> None:
    expected = ["the configuration is being read already", "the configuration was not read within 0.3 s"]
    assert expected == play(load_twice).value


def load_among_deaths() -> list[Any]:
    stage = Stage(["printf", "%s", GOOD])
    stage.perform(RunLoader(), *(spawn("true", task=task) for task in range(10)))
    stage.until(Exited, 10)
    if not any(isinstance(event, Loaded) for event in stage.events):
        stage.until(Loaded)
    return [stage.names().count("Exited"), stage.names().count("Loaded")]


def test_the_loaders_end_is_no_fact_for_the_manager() -> None:
    assert play(load_among_deaths).value == [10, 1]


def close_while_loading() -> list[int]:
    stage = Stage(["sleep", "300"])
    stage.perform(RunLoader())
    stage.kernel.close()
    _, status = os.wait()
    return [os.waitstatus_to_exitcode(status)]


def test_a_closed_kernel_leaves_no_loader_behind() -> None:
    assert play(close_while_loading).value == [-9]


def helper_by_fork() -> list[Any]:
    pipe, stdout = os.pipe()
    pid = Spawner(fast=False).helper(("echo", "hello"), stdout)
    os.close(stdout)
    return [os.read(pipe, 100).decode(), os.waitpid(pid, 0)[1]]


def test_where_the_fast_path_does_not_work_helpers_are_forked() -> None:
    assert play(helper_by_fork).value == ["hello\n", 0]
