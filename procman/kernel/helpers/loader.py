"""The loader from outside: a child that reads the configuration, with a deadline and a bound on what it may say.

It knows nothing of TOML, and whatever the child does ends in one answer or one `LoadFailed`.

The child is believed when it has been reaped with status 0: all that it wrote is then in the pipe. Waiting for the
end of file instead would wait for whoever else holds the pipe open.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

from procman import words
from procman.kernel.proc import reasons
from procman.kernel.spawn.program import SpawnError
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import READ, Poller
from procman.lean import suppress
from procman.plan.codec import from_plain
from procman.policy.events import Loaded, LoadFailed

MAX_ANSWER = 64 * 1024 * 1024
DEFECT = "this is a defect of procman or of its installation; `procman check` may show more"
LACKS = "give procman more of it (`ulimit -n`, `ulimit -u`, the memory or pids of its cgroup), and try again"
_CHUNK = 65536


class Loader:
    """Runs one loader at a time. `pid` is its child until it is reaped or given up, `deadline` when that is."""

    __slots__ = ("_answer", "_deliver", "_pipe", "_poller", "_spawner", "_timeout", "deadline", "pid")

    def __init__(
        self,
        poller: Poller,
        spawner: Spawner,
        timeout_s: float,
        deliver: Callable[[bytes | LoadFailed], None],
    ) -> None:
        """`deliver` takes what the child said, or why it did not."""
        self._poller, self._spawner, self._deliver = poller, spawner, deliver
        self._timeout = timeout_s
        self._pipe = -1
        self._answer = bytearray()
        self.pid: int | None = None
        self.deadline: float | None = None

    def start(self, argv: tuple[str, ...], now: float) -> None:
        """Start the child by this command; the answer is delivered later, or at once if it cannot start."""
        if self.pid is not None:
            self._deliver(LoadFailed("the configuration is being read already", ""))
            return
        try:
            self._pipe, stdout = os.pipe2(os.O_CLOEXEC)
        except OSError as error:
            self._deliver(_broken(reasons.of_fork(error.errno or 0), LACKS))
            return
        os.set_blocking(self._pipe, False)  # this end alone: the child writes as every program does
        self._poller.watch(self._pipe, READ, self._collect)
        try:
            self.pid = self._spawner.helper(argv, stdout)
            self.deadline = now + self._timeout
        except SpawnError as error:
            self._give_up()
            self._deliver(_broken(error.reason, LACKS if error.stage == "fork" else DEFECT))
        finally:
            os.close(stdout)

    def ended(self, exit_code: int) -> None:
        """The child was reaped with this exit code, negative for a signal."""
        self._collect(READ)
        if self.pid is None:  # it had said too much
            return
        answer = self._answer
        self._give_up()
        if exit_code < 0:
            self._deliver(_broken(f"died of {words.signal_name(-exit_code)}"))
        elif exit_code > 0:
            self._deliver(_broken(f"exited with status {exit_code}"))
        else:
            self._deliver(bytes(answer))

    def due(self, now: float) -> None:
        """If the deadline has come kill the child and say so. Its end, whenever that is, is then an orphan's."""
        if self.deadline is None or now < self.deadline:
            return
        self.close()
        reason = f"the configuration was not read within {self._timeout:g} s"
        hint = "hint: is one of its files a fifo, a device, or on a file system that hangs?"
        self._deliver(LoadFailed(reason, f"{reason}\n{hint}\n"))

    def close(self) -> None:
        """Kill the child if there is one; nothing more is delivered."""
        if self.pid is not None:
            for pid in (-self.pid, self.pid):  # on the fork path it may not have a group yet
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self._give_up()

    def _collect(self, _mask: int) -> None:
        """Read what there is."""
        with suppress(BlockingIOError):
            while self._pipe >= 0 and (chunk := os.read(self._pipe, _CHUNK)):
                self._answer += chunk
                if len(self._answer) > MAX_ANSWER:
                    self.close()
                    self._deliver(_broken(f"said more than {MAX_ANSWER // 1024**2} MiB"))
                    return
            self._stop_reading()

    def _give_up(self) -> None:
        self._stop_reading()
        self._answer = bytearray()
        self.pid = self.deadline = None

    def _stop_reading(self) -> None:
        if self._pipe >= 0:
            self._poller.unwatch(self._pipe)
            os.close(self._pipe)
            self._pipe = -1


def text_of(answer: bytes | LoadFailed) -> str | LoadFailed:
    """The child's one JSON object as it stands."""
    if isinstance(answer, LoadFailed):
        return answer
    try:
        json.loads(answer)
        return answer.decode("ascii")
    except (ValueError, RecursionError) as error:
        return _broken(f"its answer is no JSON ({type(error).__name__})")


def judge(answer: bytes | LoadFailed) -> Loaded | LoadFailed:
    """What the child's one JSON object says."""
    if isinstance(answer, LoadFailed):
        return answer
    try:
        said = json.loads(answer)
        if "reason" in said:
            return LoadFailed(str(said["reason"]), str(said["diagnostics"]))
        return Loaded(from_plain(said["plan"]), str(said["digest"]), answer.decode("ascii"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return _broken(f"its answer is no plan ({type(error).__name__})")


def _broken(what: str, hint: str = DEFECT) -> LoadFailed:
    reason = f"the loader broke: {what}"
    return LoadFailed(reason, f"{reason}\nhint: {hint}\n")
