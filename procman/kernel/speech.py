"""What one run of a worker says by sd_notify(3), as facts: that it is ready, and that it is alive.

It hears and tells; what follows from that is not its business. The socket itself, and who may speak there, is
`notify.py`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

from procman import words
from procman.kernel.alarms import Alarm, Alarms
from procman.kernel.notify import Message, Mouth
from procman.kernel.poller import Poller
from procman.kernel.probes import Report
from procman.kernel.program import SpawnError
from procman.plan import Health
from procman.policy.events import Checked, Event, Spawn


class Speech:
    """One run that can speak."""

    __slots__ = ("_alarm", "_alarms", "_by_word", "_deliver", "_fault", "_heard_at", "_mouth", "_ready", "_spawn")

    def __init__(
        self, poller: Poller, alarms: Alarms, path: str, spawn: Spawn, deliver: Callable[[Event], None], ready: Report
    ) -> None:
        """`ready`: told whenever it says that it is, or is no more. Raises SpawnError where it can have no socket."""
        self._alarms, self._spawn, self._deliver, self._ready = alarms, spawn, deliver, ready
        self._by_word = spawn.ready is not None and spawn.ready.by == "notify"
        self._alarm: Alarm | None = None
        """Of the watchdog."""
        self._heard_at = 0.0
        self._fault = False
        """Whether the watchdog has said last that it is not well."""
        privileges = spawn.launch.privileges
        uid = os.geteuid() if privileges is None or privileges.uid is None else privileges.uid
        try:
            self._mouth = Mouth(poller, alarms, path, uid, self._heard)
        except OSError as error:
            reason = f"no notify socket at {path}: {(error.strerror or '').lower()}"
            raise SpawnError("listen", error.errno or 0, reason) from None

    @property
    def env(self) -> tuple[tuple[str, str], ...]:
        """The variables by which it knows where to speak, and how often."""
        env = [("NOTIFY_SOCKET", self._mouth.path)]
        if self._spawn.health and self._spawn.health.by == "watchdog":
            env.append(("WATCHDOG_USEC", str(round(self._spawn.health.interval * 1e6))))
        return tuple(env)

    def started(self, pid: int) -> None:
        """Its leader is known."""
        self._mouth.pid = pid

    def watch(self, rule: Health) -> None:
        """The watchdog: one alarm for each interval, which looks when the worker was heard last."""
        self._heard_at = monotonic() + rule.start_after

        def look() -> None:
            now = monotonic()
            if now >= self._heard_at + rule.interval:
                self._heard_at, self._fault = now, True
                silence = f"it has not said for {words.duration(rule.interval)} that it is alive"
                self._deliver(Checked(self._spawn.worker, False, silence))
            self._alarm = self._alarms.set(self._heard_at + rule.interval, look)

        self._alarm = self._alarms.set(self._heard_at + rule.interval, look)

    def close(self) -> None:
        """Nobody listens any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._mouth.close()

    def _heard(self, said: Message) -> None:
        worker = self._spawn.worker
        if self._by_word and said.get("STOPPING") == "1":
            self._ready(False, "it says that it is stopping")
        elif self._by_word and said.get("READY") == "1":
            self._ready(True, "it says that it is ready")
        if said.get("WATCHDOG") == "trigger" and self._alarm is not None:
            self._fault = True
            self._deliver(Checked(worker, False, "it says that it is not well"))
        elif said.get("WATCHDOG") == "1":
            self._heard_at = max(self._heard_at, monotonic())
            if self._fault:
                self._fault = False
                self._deliver(Checked(worker, True, "it says that it is alive"))
