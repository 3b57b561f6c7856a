"""The parent's words in the program's own log: the ancestor's, for what the ancestor knows; more only beyond it.

Source of the first five messages: tornado/process.py, `fork_processes`, of tornado 6.6. Decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from procman import words
from procman.policy.events import Exit, Notice, Record, State, Transition

LOGGER = logging.getLogger("tornado.general")
"""The ancestor's logger: programs that listen there, or silence it, go on doing so."""


def narrate(records: Sequence[Record]) -> None:
    """Tell what a program's log should hear of these records."""
    for record in records:
        match record:
            case Transition(from_=State.STOPPING | State.KILLING, exit=Exit(exit_code=code, signal=number)):
                how = f"exited with status {code}" if number is None else f"ended by signal {number}"
                LOGGER.info("child %d (pid %d) %s", record.worker.task, record.pid, how)
            case Transition(exit=Exit() as ending):
                _tell_end(record, ending)
            case Transition(from_=State.STARTING, to=State.BACKOFF | State.FAILED):
                LOGGER.warning("child %d %s%s", record.worker.task, record.reason, _restarting(record))
            case Transition(to=State.KILLING):
                LOGGER.warning("child %d (pid %d) is killed: %s", record.worker.task, record.pid, record.reason)
            case Notice(event="site.stopping", level="info"):
                LOGGER.info("%s: ending all processes", record.reason)
            case Notice(event="site.internal_error"):
                LOGGER.error("procman has a defect, and goes on without an event: %s", record.reason)
            case _:
                pass


def _tell_end(record: Transition, ending: Exit) -> None:
    """Nobody asked it to end."""
    task, pid, then = record.worker.task, record.pid, _restarting(record)
    if ending.signal is not None:
        LOGGER.warning("child %d (pid %d) killed by signal %d%s", task, pid, ending.signal, then)
    elif ending.exit_code != 0:
        LOGGER.warning("child %d (pid %d) exited with status %d%s", task, pid, ending.exit_code, then)
    else:
        LOGGER.info("child %d (pid %d) exited normally", task, pid)


def _restarting(record: Transition) -> str:
    """The ancestor says so even when it gives up."""
    delay = record.retry.delay_s if record.retry else 0
    return f", restarting in {words.duration(delay)}" if delay else ", restarting"
