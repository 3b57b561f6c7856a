"""A line of every kind as a record, and the schema that every JSON line is held against."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from procman.log.fields import schema
from procman.policy.events import Exit, Notice, Record, Retry, State, Transition, Usage, WorkerId

_VALIDATOR = Draft202012Validator(schema())

API = WorkerId("api", 0, 2)
CRASH = Transition(
    API,
    4242,
    State.RUNNING,
    State.BACKOFF,
    "killed by SIGKILL",
    "warning",
    Exit(None, 9, 5.9, Usage(1.25, 34_000_000)),
    Retry(3, 97, 0.5),
)
RECORDS: dict[str, Record] = {
    "loading": Notice("site.loading", "info", "a.toml", {"files": ["a.toml"], "pid": 1, "version": "1.0"}),
    "started": Notice(
        "site.started", "info", "", {"digest": "0123456789ab", "files": ("/a.toml",), "groups": 1, "workers": 2}
    ),
    "starting": Transition(API, None, State.STOPPED, State.STARTING, "first start"),
    "running": Transition(API, 4242, State.STARTING, State.RUNNING, "started"),
    "crash": CRASH,
    "stopping": Transition(API, 4242, State.RUNNING, State.STOPPING, "SIGTERM"),
    "killing": Transition(API, 4242, State.STOPPING, State.KILLING, "still there after 8s of grace", "warning"),
    "stopped": Transition(
        API, 4242, State.KILLING, State.STOPPED, "killed by SIGKILL", exit=Exit(None, 9, 61.0, Usage())
    ),
    "exited": Transition(API, 4242, State.RUNNING, State.EXITED, "exit status 0", exit=Exit(0, None, 0.41, Usage())),
    "failed": Transition(
        API,
        4242,
        State.RUNNING,
        State.FAILED,
        "exit status 1; 10 restarts in 10m spent",
        "error",
        Exit(1, None, 0.1, Usage()),
    ),
    "cannot start": Transition(
        API,
        None,
        State.STARTING,
        State.FAILED,
        "cannot start: /usr/local/lib/shop/bin/a-program-with-a-long-name: command not found; not retried",
        "error",
    ),
    "gave up": Notice(
        "group.failed",
        "error",
        "api:0 failed for good: exit status 1; 10 restarts in 10m spent",
        {"group": "api", "restarts": 10, "max_restarts": 10, "window_s": 600.0, "on_exhausted": "stop"},
    ),
    "blocked": Notice("group.blocked", "error", "blocked: migrate has failed", {"group": "api"}),
    "applied": Notice(
        "config.applied",
        "info",
        "",
        {
            "digest": "ba9876543210",
            "started": ["a"],
            "stopped": [],
            "restarted": ["b", "c"],
            "scaled": [],
            "changed": [],
        },
    ),
    "rejected": Notice(
        "config.rejected",
        "error",
        "a.toml: 1 error",
        {"digest": "0123456789ab", "diagnostics": "\x1b[1ma.toml:1:1:\x1b[0m bad\n    1 | x\n"},
    ),
    "proved": Notice("config.proved", "info", "its probation of 30s is over", {"digest": "ba9876543210"}),
    "failed its probation": Notice(
        "config.failed", "error", "b:0 failed 3 times, at last: exit status 1", {"digest": "ba9876543210"}
    ),
    "plan not kept": Notice(
        "plans.failed",
        "warning",
        "cannot keep a good plan for after a restart: No space left on device",
        {"file": "/run/procman/shop.plans"},
    ),
    "no plan": Notice(
        "plans.ignored", "warning", "procman has not written 2.json", {"file": "/run/procman/shop.plans"}
    ),
    "rolled back": Notice(
        "config.rolled_back",
        "warning",
        "b:0 failed 3 times, at last: exit status 1",
        {
            "digest": "0123456789ab",
            "started": [],
            "stopped": ["a"],
            "restarted": ["b", "c"],
            "scaled": [],
            "changed": [],
        },
    ),
    "defect": Notice("site.internal_error", "error", "ValueError: x", {"dropped": "Load()"}),
    "moved": Notice("log.moved", "info", "the log goes on in /log", {"file": "/log"}),
    "unopened": Notice("log.failed", "error", "cannot open /log: Permission denied", {"file": "/log"}),
    "lost": Notice("log.lost", "warning", "2 lines lost", {"lines": 2}),
    "ending": Notice("site.stopping", "info", "SIGTERM", {"digest": "0123456789ab", "exit_code": 0}),
    "strays": Notice("site.strays", "warning", "left their worker without a trace: sh (pid 41)", {"processes": 1}),
    "draining": Notice("site.draining", "warning", "1 process (sh (pid 41)) left: killed", {"processes": 1}),
    "helper": Notice("helper.ended", "warning", "the guard was killed", {"helper": "guard", "delay_s": 0.5}),
    "unready": Notice(
        "worker.unready", "warning", "GET /health: 503", {"group": "a", "task": 0, "generation": 1, "pid": 41}
    ),
    "main pid": Notice(
        "worker.main_pid",
        "info",
        "it says so: pid 43 instead of 41",
        {"group": "a", "task": 0, "generation": 1, "pid": 43},
    ),
    "ready": Notice("worker.ready", "info", "ready again", {"group": "a", "task": 0, "generation": 1, "pid": 41}),
    "zygote": Notice("helper.ready", "info", "the zygote of a has imported app:run", {"helper": "zygote:a#1"}),
    "no zygote": Notice("helper.failed", "error", "the zygote of a failed: ImportError: no", {"helper": "zygote:a#1"}),
    "halted": Notice("group.halted", "error", "a:1 failed; the others stay as they are", {"group": "a"}),
    "output lost": Notice(
        "output.lost", "warning", "/l: no space left on device", {"outlet": "/l", "lines": 2, "bytes": 20}
    ),
    "output resumed": Notice("output.resumed", "info", "/l takes lines", {"outlet": "/l", "lines": 9, "bytes": 90}),
    "scaled": Notice("group.scaled", "info", "a: 5", {"group": "a", "workers": 5, "file_workers": 2}),
    "signalled": Notice("group.signalled", "info", "SIGUSR1 to a:0", {"group": "a", "signal": "SIGUSR1"}),
    "uncontrolled": Notice("control.unavailable", "warning", "no control socket: /run is no directory"),
    "missed": Notice("group.missed", "warning", "2 runs missed", {"group": "a", "runs": 2}),
    "skipped": Notice("group.skipped", "warning", "a run is left out: the last one goes on", {"group": "a"}),
    "no cgroup": Notice("cgroup.unavailable", "debug", "no cgroup can be made here: Read-only file system"),
    "abandoned": Notice("cgroup.abandoned", "warning", "left in /cg/procman-demo by a procman", {"processes": 1}),
    "no socket": Notice("sockets.failed", "error", "cannot listen on tcp://127.0.0.1:80: the port is in use"),
    "blind": Notice("watch.blind", "warning", "/srv/conf.d cannot be read", {"file": "/srv/conf.d"}),
    "unsaid": Notice("termination_log.failed", "warning", "cannot write /t: No space left on device", {"file": "/t"}),
    "ended": Notice("site.stopped", "info", "", {"exit_code": 0, "orphans": 3}),
}


def parsed(line: bytes) -> dict[str, Any]:
    """The fields of a JSON line that is all that it must be."""
    assert line.endswith(b"\n")
    assert len(line) <= 4096
    fields: dict[str, Any] = json.loads(line)
    errors = [error.message for error in _VALIDATOR.iter_errors(fields)]
    assert errors == [], line
    return fields
