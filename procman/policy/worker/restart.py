"""The whole restart policy on one screen: was it a failure, is there budget left, how long to wait, or give up.

A run ends; `judge` says what becomes of its slot. It counts on the group's budget and moves the slot's
ladder of delays, and changes nothing else. Sources: the ancestor's `max_restarts` (tornado.process), the
sliding window of Erlang's supervisors, the back-off of systemd and Kubernetes.
"""

from __future__ import annotations

import errno
from collections import deque

from procman import words
from procman.lean import TYPE_CHECKING, NamedTuple
from procman.plan import Backoff, Restart
from procman.policy.events import Exit, Notice, Retry, StartFailed, State, WorkerId

if TYPE_CHECKING:
    from procman.choices import Cause, FailureKind

EXIT_CODES: dict[FailureKind, int] = {"exit": 10, "health": 11, "start": 12}
"""procman's own exit code after a worker failed for good, by how it failed last."""

PERMANENT = frozenset(
    getattr(errno, name)
    for name in ("ENOENT", "EACCES", "EPERM", "ENOEXEC", "ELOOP", "EISDIR", "ENOTDIR", "ENAMETOOLONG", "E2BIG")
)
"""Why an exec fails the same way the next time. Anything else (ETXTBSY, ENOMEM, EMFILE, …) may pass."""


_CAUSES: dict[Cause | None, str] = {None: "", "oom": " (out of memory)", "core": " (core dumped)"}


class Failure(NamedTuple):
    """Why a worker is not well."""

    kind: FailureKind
    text: str


class Ending(NamedTuple):
    """How a run ended: as a process, or by never becoming one."""

    exit: Exit | None
    error: StartFailed | None
    draw: float
    """A random number in [0, 1) for the jitter."""
    fault: Failure | None = None
    """Why it was ended as one that has failed: never ready, not healthy."""


class Fate(NamedTuple):
    """What becomes of a worker once nothing of it is left."""

    to: State
    reason: str
    retry: Retry | None = None
    failure: Failure | None = None
    """Set where the end was a failure."""


class Budget:
    """The automatic restarts that a group has left, shared by its workers."""

    __slots__ = ("_times", "used")

    def __init__(self) -> None:
        self.used = 0
        self._times: deque[float] = deque()

    def forget(self, policy: Restart, now: float) -> None:
        """Let go of the restarts that have left the window."""
        if policy.window is not None:
            while self._times and self._times[0] <= now - policy.window:
                self._times.popleft()
            self.used = len(self._times)

    def spend(self, policy: Restart, now: float) -> bool:
        """Count one restart; False, and nothing counted, where none is left."""
        self.forget(policy, now)
        if self.used >= policy.max_restarts:
            return False
        if policy.window is not None:
            self._times.append(now)
        self.used += 1
        return True


class Ladder:
    """A slot's delays: at once after a stable run, then initial, initial times factor, … up to the maximum."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: float | None = None

    def reset(self) -> None:
        """Forget the runs so far: the next restart is immediate."""
        self._last = None

    def climb(self, policy: Restart, uptime: float, draw: float) -> float:
        """The delay in seconds before the next start, after a run of `uptime` seconds."""
        backoff = policy.backoff
        if backoff is None:
            return 0.0
        self._last = _next_rung(backoff, None if uptime >= policy.reset_after else self._last)
        return self._last * (1 + backoff.jitter * draw)


def _next_rung(backoff: Backoff, last: float | None) -> float:
    if last is None:
        return 0.0
    return min(backoff.max, last * backoff.factor if last else backoff.initial)


def judge(policy: Restart, ending: Ending, budget: Budget, ladder: Ladder, now: float) -> Fate:
    """The verdict on a run that nobody asked to end."""
    how = describe(ending)
    if ending.exit and not ending.fault and is_success(policy, ending.exit):
        if policy.when != "always":
            return Fate(State.EXITED, how)
        budget.forget(policy, now)
        delay = ladder.climb(policy, ending.exit.uptime_s, ending.draw)
        return Fate(State.BACKOFF, how, Retry(budget.used, policy.max_restarts - budget.used, delay))
    failure = ending.fault or Failure("start" if ending.error else "exit", how)
    if ending.error and is_hopeless(ending.error):
        return Fate(State.FAILED, f"{how}; not retried", failure=failure)
    if policy.when == "never":
        return Fate(State.FAILED, f"{how}; not to be restarted", failure=failure)
    if not budget.spend(policy, now):
        return Fate(State.FAILED, f"{how}; {spent(policy)}", failure=failure)
    delay = ladder.climb(policy, ending.exit.uptime_s if ending.exit else 0.0, ending.draw)
    return Fate(State.BACKOFF, how, Retry(budget.used, policy.max_restarts - budget.used, delay), failure)


def is_hopeless(error: StartFailed) -> bool:
    """Whether the next start would fail the same way: what the machine does not permit it will not permit then."""
    return error.stage == "setup" or (error.stage == "exec" and error.errno in PERMANENT)


def is_success(policy: Restart, exit_: Exit) -> bool:
    """Whether the end counts as normal."""
    if exit_.signal is not None:
        return exit_.signal in policy.success_signals
    return exit_.exit_code in policy.success_codes


def describe(ending: Ending) -> str:
    """The end in words: `exit status 3`, `killed by SIGSEGV`, `cannot start: pythn3: command not found`."""
    if ending.fault:
        return ending.fault.text
    if ending.error:
        return f"cannot start: {ending.error.reason}"
    assert ending.exit is not None, "a run ends by an exit or a start error"
    if ending.exit.signal is not None:
        return f"killed by {words.signal_name(ending.exit.signal)}{_CAUSES[ending.exit.cause]}"
    said = f": {ending.exit.said}" if ending.exit.said else ""
    return f"exit status {ending.exit.exit_code}{said}"


def spent(policy: Restart) -> str:
    """The budget in words, once it is gone."""
    if policy.max_restarts == 0:
        return "no restarts allowed"
    window = f" in {words.duration(policy.window)}" if policy.window is not None else ""
    plural = "" if policy.max_restarts == 1 else "s"
    return f"{policy.max_restarts} restart{plural}{window} spent"


def farewell(worker: WorkerId, policy: Restart, budget: Budget, reason: str) -> Notice:
    """The one clear line when a worker has failed for good: which group, how many restarts, how it died last."""
    fields = {
        "group": worker.group,
        "restarts": budget.used,
        "max_restarts": policy.max_restarts,
        "window_s": policy.window,
        "on_exhausted": policy.on_exhausted,
    }
    return Notice("group.failed", "error", f"{worker} failed for good: {reason}", fields)
