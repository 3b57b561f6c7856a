"""What one run of a worker says by sd_notify(3), as facts: that it is ready, that it is alive, how it is.

It hears and tells; what follows from that is not its business. The socket itself, and who may speak there, is
`notify.py`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

from procman import words
from procman.kernel.health.notify import Message, Mouth
from procman.kernel.health.probes import Report
from procman.kernel.spawn.program import SpawnError
from procman.kernel.wait.alarms import Alarm, Alarms
from procman.kernel.wait.poller import Poller
from procman.lean import TYPE_CHECKING
from procman.plan import Health
from procman.policy.events import Checked, Event, Extended, Said, Spawn

if TYPE_CHECKING:
    from procman.choices import Doing

LONGEST_STATUS = 200
"""Characters of its own words that are kept."""
_DIGITS = 20
"""Of a number of 64 bits."""
_DOING: dict[str, Doing] = {"READY": "", "RELOADING": "reloading", "STOPPING": "stopping"}


class Speech:
    """One run that can speak."""

    __slots__ = (
        "_alarm", "_alarms", "_by_word", "_deliver", "_fault", "_heard_at", "_main", "_mouth", "_named", "_ready",
        "_said", "_spawn", "pid", "uid",
    )  # fmt: skip

    def __init__(
        self,
        poller: Poller,
        alarms: Alarms,
        path: str,
        spawn: Spawn,
        deliver: Callable[[Event], None],
        ready: Report,
        named: Callable[[str], None],
    ) -> None:
        """`ready`: told whenever it says that it is, or is no more; `named`: what it calls its main pid.

        Raises SpawnError where it can have no socket.
        """
        self._named = named
        self._main = ""
        """As it was said last."""
        self.pid = 0
        """Its leader's, once there is one."""
        self._alarms, self._spawn, self._deliver, self._ready = alarms, spawn, deliver, ready
        self._by_word = spawn.ready is not None and spawn.ready.by == "notify"
        self._said = Said(spawn.worker, "", "")
        """As it was told last."""
        self._alarm: Alarm | None = None
        """Of the watchdog."""
        self._heard_at = 0.0
        self._fault = False
        """Whether the watchdog has said last that it is not well."""
        privileges = spawn.launch.privileges
        self.uid = os.geteuid() if privileges is None or privileges.uid is None else privileges.uid
        try:
            self._mouth = Mouth(poller, alarms, path, self.uid, self._heard)
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

    def led_by(self, pid: int) -> None:
        """Its leader is this one from now on."""
        self.pid = pid
        self._mouth.leaders.add(pid)

    def hear_out(self) -> None:
        """Its leader has ended: hear what is still to be heard."""
        self._mouth.listen()

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
        if said.get("MAINPID", self._main) != self._main:
            self._main = said["MAINPID"]
            self._named(self._main)
        words = [name for name, value in said.items() if name in _DOING and value == "1"]
        doing = _DOING[words[-1]] if words else self._said.doing
        now = Said(self._spawn.worker, _line(said["STATUS"]) if "STATUS" in said else self._said.status, doing)
        if now != self._said:
            self._said = now
            self._deliver(now)
        for word in words if self._by_word else ():  # each in its turn: one that was ready, if for a moment, has begun
            if word != "RELOADING":
                self._ready(word == "READY", "it says that it is " + ("ready" if word == "READY" else "stopping"))
        if (more := _seconds(said.get("EXTEND_TIMEOUT_USEC", ""))) is not None:
            self._deliver(Extended(self._spawn.worker, more))
            if self._spawn.health is not None:
                self._heard_at = max(self._heard_at, monotonic() + more - self._spawn.health.interval)
        self._alive(said.get("WATCHDOG"))

    def _alive(self, word: str | None) -> None:
        worker = self._spawn.worker
        if word == "trigger" and self._alarm is not None:
            self._fault = True
            self._deliver(Checked(worker, False, "it says that it is not well"))
        elif word == "1":
            self._heard_at = max(self._heard_at, monotonic())
            if self._fault:
                self._fault = False
                self._deliver(Checked(worker, True, "it says that it is alive"))


def _line(text: str) -> str:
    """A text that somebody sends, as one that can be shown anywhere."""
    return "".join(one if one.isprintable() else " " for one in text[:LONGEST_STATUS]).strip()


def _seconds(text: str) -> float | None:
    """So many microseconds; None where it is no number."""
    return int(text) / 1e6 if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
