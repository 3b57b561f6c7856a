"""`fork_processes`: a drop-in for the one of `tornado.process`, over procman's own policy.

The parent runs the manager that runs a site, on one group of forked children; nothing is decided here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from procman import worker
from procman.kernel import loop
from procman.kernel.wait.poller import Poller
from procman.plan import Plan
from procman.policy.events import Load, Record, ShutDown
from procman.policy.manager import Manager
from procman.prefork import safety
from procman.prefork.eventlog import EventLog
from procman.prefork.kernel import Child, ForkKernel
from procman.prefork.narrator import LOGGER, narrate
from procman.prefork.options import make_plan
from procman.prefork.signals import Signals

_is_child = False


def fork_processes(
    num_processes: int | None,
    max_restarts: int | None = None,
    *,
    window: str | float | None = None,
    backoff: bool | Mapping[str, str | float] = False,
    grace: str | float = "8s",
    log: int | str | os.PathLike[str] | None = None,
) -> int:
    """Fork children from this program and keep them running. Returns the task id, 0 to n-1, in each child.

    `num_processes`: how many; None, 0 or less: one for each CPU that the process may use (affinity, cgroup quota).
    `max_restarts`: how many restarts the children have together, 100 unless given.

    A child that exits with 0 is done. One that ends with another status, or by a signal, is restarted at once under
    the same id, and returns from this call like the first. In the parent the call never returns:

    - All are done: SystemExit(0), so that `finally` blocks and atexit functions run.
    - The restarts are spent: the other children are ended, then RuntimeError("Too many child restarts, giving up").
    - SIGTERM or SIGINT: the children are ended, then the signal takes its course, as if it had come only then: by
      default the parent dies of SIGTERM (a shell's 143), and SIGINT is a KeyboardInterrupt. If a handler of the
      program's own returns, SystemExit(0) follows. A second signal, half a second later or more, kills the children
      at once. An ignored signal stays ignored.
    - An exception of one of the program's other signal handlers: the children are ended, and it goes on to the caller.

    To end a child is to send SIGTERM, and SIGKILL when the grace is over. Should the parent die without a chance to
    do so (SIGKILL), its children get SIGTERM from the kernel, unless they have changed their user since.

    The options have the names and the meanings of the site file; durations are seconds, or text like "1h30m":

    `window`: the restarts are counted over any span of this length; None: over the parent's whole life.
    `backoff`: False: restart at once; True: wait before each further restart of a child in a row, 500 ms at first;
    or what shall differ, {"initial": "1s", "factor": 2, "max": "1m", "jitter": 0.2}.
    `grace`: how long a child may take to end.
    `log`: a descriptor or a path, to which procman's event log goes, as JSON lines. It is never waited for.

    The program's own log, "tornado.general", hears what the ancestor tells there, in the ancestor's words.

    Everything open is inherited, and a child has the handlers, the mask and the wakeup descriptor of before the call.
    While the parent is in it, SIGCHLD, SIGTERM and SIGINT are procman's; other children of the parent are reaped.

    Random numbers differ between children: `random` reseeds itself after a fork (since Python 3.7), numpy's global
    generator is reseeded here if numpy is loaded, OpenSSL's notices the fork (1.1.1d, see CVE-2019-1549; libraries
    under `ssl` are newer), `secrets`, `uuid.uuid4` and `os.urandom` ask the kernel. Generators that the program made
    itself (`random.Random(1)`, `numpy.random.default_rng()`) are copies of each other: make them after the call.

    Raises AssertionError in a child of an earlier call, RuntimeError if there is an asyncio event loop or this is not
    the main thread, ValueError for a bad option, OSError if the log cannot be opened; all before anything is forked.
    Warns (RuntimeWarning) with their names if there are other threads: no child has them, nor what they held locked.

    Differs from the ancestor besides: CPUs are those that may be used, not the machine's; a failing fork is a failed
    start, retried within the restarts. The ancestor: `fork_processes` of tornado 6.6, tornado/process.py.
    """
    if _is_child:
        raise AssertionError(f"fork_processes was called in its own child: this is task {worker.task_id()}")
    safety.refuse_wrong_thread()
    safety.refuse_event_loop()
    plan = make_plan(num_processes, max_restarts, window=window, backoff=backoff, grace=grace)
    safety.warn_of_threads()
    LOGGER.info("Starting %d processes", plan.groups[0].workers)
    return _supervise(plan, log)


class _Logs(NamedTuple):
    """`loop.Log`: the words of the ancestor, and the event log if there is one."""

    events: EventLog | None

    def write(self, records: Sequence[Record]) -> None:
        if self.events is not None:
            self.events.write(records)
        narrate(records)


def _supervise(plan: Plan, log: int | str | os.PathLike[str] | None) -> int:
    """Run the site, and put everything back: in the parent when all is over, in a child as soon as it is one."""
    global _is_child
    task = None
    poller = Poller()
    events = None if log is None else EventLog(log, plan.name, poller)
    signals = Signals(poller)
    kernel = ForkKernel(plan, signals)
    try:
        code = _run(kernel, _Logs(events))
    except Child as child:
        task, _is_child = child.task, True
        worker.become(task)
        signals.heard.clear()
        safety.reseed()
    finally:
        if events is not None:
            events.close(in_child=task is not None)
        poller.close()  # before what it watches: a child must not take that out of the set, which is its parent's too
        signals.give_back()
    if task is not None:
        return task
    if code != 0:
        raise RuntimeError("Too many child restarts, giving up") from kernel.failed_fork
    sys.exit(0)


def _run(kernel: ForkKernel, logs: _Logs) -> int:
    """Drive the manager to its end.

    An exception in the parent is one of the program's signal handlers, or hooks: it goes on once the children have
    ended, and a further one meanwhile only takes away their grace.
    """
    manager, raised = Manager(), None
    why = "an exception in the parent"
    for wish in (Load(), ShutDown(why), ShutDown(why, now=True)):
        try:
            code = loop.run(manager, kernel, logs, wish)
            break
        except Child:
            raise
        except BaseException as error:
            raised = raised or error
    if raised is not None:
        raise raised
    return code
