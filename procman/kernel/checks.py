"""How workers are seen to be ready and well: who asks them, who hears them, and the facts that come of it.

A `given.Provider`: it gives a notify socket, or the descriptor into which readiness is written. Everything is for one
run of a worker and ends with its leader.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from procman import words
from procman.kernel.alarms import Alarm, Alarms
from procman.kernel.asking import Asking
from procman.kernel.environment import expand, worker_variables
from procman.kernel.given import NOTHING, Given
from procman.kernel.notify import Message, Mouth, Place
from procman.kernel.poller import READ, Poller
from procman.kernel.probes import Connection, Probe, Report, Run
from procman.kernel.program import SpawnError
from procman.kernel.spawn import Spawner
from procman.plan import Health
from procman.plan.target import http_target, tcp_target
from procman.policy.events import Check, Checked, Event, Ready, Spawn, Unready, WorkerId

ASKED = ("http", "tcp", "exec")
LAST_WORD_S = 0.1
"""From the end of the pipe of readiness to the news of it: a worker that ends closes it, too, and its end says more."""


class Watched:
    """What the kernel keeps for one run of a worker that has to show something."""

    __slots__ = ("alarm", "asking", "fault", "heard_at", "mouth", "pipe", "ready", "spawn")

    def __init__(self, spawn: Spawn) -> None:
        self.spawn = spawn
        self.ready = False
        """As it was told last."""
        self.asking: list[Asking] = []
        self.mouth: Mouth | None = None
        self.pipe: tuple[int, int] | None = None
        """Of readiness by descriptor: the end to read and, until the worker has its copy, the one to write."""
        self.alarm: Alarm | None = None
        """Of the watchdog; or of the end of the pipe."""
        self.heard_at = 0.0
        self.fault = False
        """Whether the watchdog has said last that it is not well."""


class Checks:
    """All that are under way."""

    __slots__ = ("_alarms", "_deliver", "_null", "_place", "_poller", "_runs", "_spawner", "_told", "_watched")

    def __init__(
        self,
        poller: Poller,
        spawner: Spawner,
        alarms: Alarms,
        deliver: Callable[[Event], None],
        told: Callable[[int], None],
    ) -> None:
        """`told`: who must know of every process that is started."""
        self._poller, self._spawner, self._alarms, self._deliver, self._told = poller, spawner, alarms, deliver, told
        self._watched: dict[WorkerId, Watched] = {}
        self._runs: dict[int, Run] = {}
        """Commands that ask, by pid, until they are reaped."""
        self._place = Place()
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)

    # --- given.Provider ----------------------------------------------------------------------------------

    def give(self, spawn: Spawn) -> Given:
        """See `given.Provider`."""
        if spawn.ready is None and spawn.health is None:
            return NOTHING
        watched = self._watched[spawn.worker] = Watched(spawn)
        given = NOTHING
        if (spawn.ready and spawn.ready.by == "notify") or (spawn.health and spawn.health.by == "watchdog"):
            given = given._replace(env=self._mouth(watched))
        if spawn.ready and spawn.ready.by == "fd":
            try:
                watched.pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError as error:
                raise SpawnError("fork", error.errno or 0, "no descriptors are left for its readiness") from None
            given = given._replace(fds=((spawn.ready.fd, watched.pipe[1]),))
        return given

    def started(self, worker: WorkerId, pid: int) -> None:
        """See `given.Provider`."""
        watched = self._watched.get(worker)
        if watched is None:
            return
        if watched.mouth is not None:
            watched.mouth.pid = pid
        if watched.pipe is not None:
            read, write = watched.pipe
            os.close(write)
            watched.pipe = read, -1
            with suppress(OSError):  # no room for a watch: it is never ready, and that is a failure
                self._poller.watch(read, READ, lambda _mask: self._written(watched))
        rule = watched.spawn.ready
        if rule is not None and rule.by in ASKED:
            ask = self._question(watched, rule.by, rule.target, rule.command)
            self._ask(watched, ask, rule.interval, rule.interval, lambda well, found: self._ready(watched, well, found))

    def ended(self, worker: WorkerId) -> None:
        """See `given.Provider`."""
        watched = self._watched.pop(worker, None)
        if watched is None:
            return
        for asking in watched.asking:
            asking.end()
        if watched.alarm is not None:
            watched.alarm.cancel()
        if watched.mouth is not None:
            watched.mouth.close()
        self._close_pipe(watched)

    # --- for the kernel ----------------------------------------------------------------------------------

    def begin(self, action: Check) -> None:
        """Ask from now on whether a worker that runs is well."""
        watched, rule = self._watched.get(action.worker), action.health
        if watched is None:
            return
        if rule.by == "watchdog":
            watched.heard_at = monotonic() + rule.start_after
            self._wind_up(watched, rule)
        else:
            ask = self._question(watched, rule.by, rule.target, rule.command)
            asking = Asking(
                self._alarms,
                ask,
                rule.interval,
                rule.timeout,
                lambda well, found: self._deliver(Checked(action.worker, well, found)),
            )
            watched.asking.append(asking)
            asking.begin(max(rule.start_after, rule.interval))

    def shown(self, worker: WorkerId) -> None:
        """A worker has written the line that shows that it is ready."""
        if worker in self._watched:
            self._ready(self._watched[worker], True, "it has written the line that shows it")

    def reaped(self, pid: int, code: int) -> bool:
        """Whether a child that has ended was one that asked."""
        run = self._runs.pop(pid, None)
        if run is None:
            return False
        run.reaped(code)
        return True

    def pids(self) -> set[int]:
        """Of commands that ask."""
        return set(self._runs)

    def close(self) -> None:
        """Ask nobody any more."""
        for worker in [*self._watched]:
            self.ended(worker)
        self._place.close()
        os.close(self._null)

    # --- asking ------------------------------------------------------------------------------------------

    def _ask(
        self, watched: Watched, ask: Callable[[Report], Probe], interval: float, timeout: float, tell: Report
    ) -> None:
        asking = Asking(self._alarms, ask, interval, timeout, tell)
        watched.asking.append(asking)
        asking.begin(eager=True)

    def _question(self, watched: Watched, by: str, target: str, command: tuple[str, ...]) -> Callable[[Report], Probe]:
        """How this worker is asked."""
        worker = watched.spawn.worker
        if by == "exec":
            launch = watched.spawn.launch._replace(command=command, listen=())

            def run(report: Report) -> Probe:
                one = Run(self._spawner, worker, launch, self._null, report)
                if one.pid is not None:
                    self._runs[one.pid] = one
                    self._told(one.pid)
                return one

            return run
        parse = http_target if by == "http" else tcp_target
        where = parse(expand(target, worker_variables(worker)))
        return lambda report: Connection(self._poller, where, report)

    def _ready(self, watched: Watched, well: bool, found: str) -> None:
        """What a worker has shown, or has not; only a change is told."""
        if well != watched.ready:
            watched.ready = well
            worker = watched.spawn.worker
            self._deliver(Ready(worker, found) if well else Unready(worker, found))

    # --- hearing -----------------------------------------------------------------------------------------

    def _mouth(self, watched: Watched) -> tuple[tuple[str, str], ...]:
        spawn = watched.spawn
        privileges = spawn.launch.privileges
        uid = os.geteuid() if privileges is None or privileges.uid is None else privileges.uid
        path = self._place.path()
        try:
            watched.mouth = Mouth(self._poller, self._alarms, path, uid, lambda said: self._heard(watched, said))
        except OSError as error:
            reason = f"no notify socket at {path}: {(error.strerror or '').lower()}"
            raise SpawnError("listen", error.errno or 0, reason) from None
        env = [("NOTIFY_SOCKET", path)]
        if spawn.health and spawn.health.by == "watchdog":
            env.append(("WATCHDOG_USEC", str(round(spawn.health.interval * 1e6))))
        return tuple(env)

    def _heard(self, watched: Watched, said: Message) -> None:
        worker, rule = watched.spawn.worker, watched.spawn.ready
        if rule is not None and rule.by == "notify":
            if said.get("STOPPING") == "1" and watched.ready:
                self._ready(watched, False, "it says that it is stopping")
            elif said.get("READY") == "1":
                self._ready(watched, True, "it says that it is ready")
        if said.get("WATCHDOG") == "trigger" and watched.alarm is not None:
            watched.fault = True
            self._deliver(Checked(worker, False, "it says that it is not well"))
        elif said.get("WATCHDOG") == "1":
            watched.heard_at = max(watched.heard_at, monotonic())
            if watched.fault:
                watched.fault = False
                self._deliver(Checked(worker, True, "it says that it is alive"))

    def _wind_up(self, watched: Watched, rule: Health) -> None:
        """The watchdog: one alarm for each interval, which looks when the worker was heard last."""

        def look() -> None:
            now = monotonic()
            if now >= watched.heard_at + rule.interval:
                watched.heard_at, watched.fault = now, True
                silence = f"it has not said for {words.duration(rule.interval)} that it is alive"
                self._deliver(Checked(watched.spawn.worker, False, silence))
            watched.alarm = self._alarms.set(watched.heard_at + rule.interval, look)

        watched.alarm = self._alarms.set(watched.heard_at + rule.interval, look)

    def _written(self, watched: Watched) -> None:
        """Something in the pipe of readiness, or its end."""
        assert watched.pipe is not None, "what is closed is not watched"
        try:
            said = os.read(watched.pipe[0], 4096)
        except BlockingIOError:
            return
        if b"\n" in said:
            self._ready(watched, True, "it has written its line")
        elif said:
            return
        else:
            number = watched.spawn.ready.fd if watched.spawn.ready else 0
            gone = Unready(watched.spawn.worker, f"it has closed descriptor {number} without a line")
            watched.alarm = self._alarms.set(monotonic() + LAST_WORD_S, lambda: self._deliver(gone))
        self._close_pipe(watched)

    def _close_pipe(self, watched: Watched) -> None:
        if watched.pipe is not None:
            read, write = watched.pipe
            watched.pipe = None
            self._poller.unwatch(read)
            os.close(read)
            if write >= 0:
                os.close(write)
