"""What a group's options cost at each start: beside the plain path, how long the core is held up, and until exec.

python -m tests.benchmark.options
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from time import perf_counter

from procman.kernel.proc.hierarchy import home, remove_all
from procman.kernel.spawn.fork import answer
from procman.kernel.spawn.given import NOTHING, Given
from procman.kernel.spawn.program import SpawnError
from procman.kernel.spawn.spawn import Spawner
from procman.plan import Launch, Limit, Privileges
from procman.policy.events import WorkerId

ROUNDS = 200
_USER = Privileges(uid=65534, gid=65534, groups=())
_EVERYTHING = _USER._replace(
    nice=5,
    oom_score_adj=1000,
    cpu_affinity=(0,),
    limits=(Limit("nofile", 64, 64), Limit("core", 0)),
    no_new_privileges=True,
    capabilities=(),
    parent_death_signal=15,
)
_PLAIN = Launch(("/bin/true",), "/")
_PLAIN_NAME = "plain"
OPTIONS: dict[str, Launch] = {
    _PLAIN_NAME: _PLAIN,
    "umask": _PLAIN._replace(umask=0o77),
    "clear_env, pass_env": _PLAIN._replace(pass_env=("PATH",)),
    'spawn = "fork"': _PLAIN._replace(spawn="fork"),
    "nice": _PLAIN._replace(privileges=Privileges(nice=5)),
    "oom_score_adj": _PLAIN._replace(privileges=Privileges(oom_score_adj=1000)),
    "cpu_affinity": _PLAIN._replace(privileges=Privileges(cpu_affinity=(0,))),
    "limits": _PLAIN._replace(privileges=Privileges(limits=(Limit("nofile", 64, 64),))),
    "user": _PLAIN._replace(privileges=_USER),
    "no_new_privileges": _PLAIN._replace(privileges=Privileges(no_new_privileges=True)),
    "parent_death_signal": _PLAIN._replace(privileges=Privileges(parent_death_signal=15)),
    "capabilities": _PLAIN._replace(privileges=Privileges(capabilities=(10,))),
    "all of them": _PLAIN._replace(privileges=_EVERYTHING),
}

# As the core is: the same interpreter flags, and what it has imported.
_BOOT = "import sys; sys.path.append(sys.argv[1]); import procman.cli.core, tests.benchmark.options as o; o.measure()"


def _cgroup() -> tuple[str, Given]:
    """A leaf in which the worker begins, as `cgroup = true` gives it one; without a path where none can be made."""
    try:
        place = f"{home()}/procman-benchmark-{os.getpid()}"
        os.mkdir(place)  # noqa: PTH102 - as the core does it
    except OSError:
        return "", NOTHING
    return place, NOTHING._replace(cgroup=f"{place}/cgroup.procs")


def measure() -> None:
    """The side of the core: for each option the median seconds in the spawn call, and until exec, as JSON."""
    spawner = Spawner()
    place, given = _cgroup()
    subjects = {name: (launch, NOTHING) for name, launch in OPTIONS.items()} | {"cgroup = true": (_PLAIN, given)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, (launch, given) in subjects.items():
            if name == "cgroup = true" and not place:
                continue
            try:
                _start(spawner, _PLAIN)  # so that each of them finds the caches alike
                times[name].append(_start(spawner, launch, given))
            except SpawnError:
                continue  # not permitted to whoever measures
    if place:
        remove_all(place)
    medians = {
        name: [sorted(column)[len(column) // 2] for column in zip(*found, strict=True)] for name, found in times.items()
    }
    print(json.dumps(medians))  # noqa: T201


def _start(spawner: Spawner, launch: Launch, given: Given = NOTHING) -> tuple[float, float]:
    worker = WorkerId("benchmark", 0, 1)
    begun = perf_counter()
    if not spawner.must_fork(launch, given):
        pid = spawner.spawn(worker, launch)
        held_up = until_exec = perf_counter() - begun
        os.waitpid(pid, 0)
        return held_up, until_exec
    pid, pipe = spawner.fork(worker, launch, given)
    held_up = perf_counter() - begun
    select.select([pipe], [], [])
    until_exec = perf_counter() - begun
    error = answer(pipe)
    os.close(pipe)
    os.waitpid(pid, 0)
    if error is not None:
        raise error
    return held_up, until_exec


def main() -> int:
    """Print the table."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, root]
    medians = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout)
    plain = medians[_PLAIN_NAME][0]
    print(f"{'a spawn with':24}{'holds up the core':>18}{'ratio':>7}{'until exec':>14}{'ratio':>7}")  # noqa: T201
    for name, found in medians.items():
        if found:
            columns = "".join(
                f"{time * 1e3:{width}.2f} ms{time / plain:7.2f}" for time, width in zip(found, (15, 11), strict=True)
            )
        else:
            columns = f"{'not permitted here':>18}"
        print(f"{name:24}{columns}", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
