"""How workers are seen to be ready and well: who asks them, who hears them, and the facts that come of it.

A `given.Provider`: it gives a notify socket, or the descriptor into which readiness is written. Everything is for one
run of a worker and ends with its leader.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from procman.kernel.health.asking import Asking
from procman.kernel.health.newline import Newline
from procman.kernel.health.notify_place import Place
from procman.kernel.health.probes import Connection, Probe, Report, Run
from procman.kernel.health.speech import Speech
from procman.kernel.spawn.environment import expand, worker_variables
from procman.kernel.spawn.given import NOTHING, Given
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.alarms import Alarms
from procman.kernel.wait.poller import Poller
from procman.plan.target import http_target, tcp_target
from procman.policy.events import Check, Checked, Event, Ready, Spawn, Unready, WorkerId

ASKED = ("http", "tcp", "exec")


class Watched:
    """What the kernel keeps for one run of a worker that has to show something."""

    __slots__ = ("asking", "newline", "ready", "spawn", "speech")

    def __init__(self, spawn: Spawn) -> None:
        self.spawn = spawn
        self.ready = False
        """As it was told last."""
        self.asking: list[Asking] = []
        self.speech: Speech | None = None
        self.newline: Newline | None = None


class Checks:
    """All that are under way."""

    __slots__ = (
        "_alarms", "_deliver", "_null", "_place", "_poller", "_runs", "_spawner", "_speaking", "_told", "_watched",
        "named",
    )  # fmt: skip

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
        self._speaking: dict[int, Speech] = {}
        """By the pid of the leader."""
        self.named: Callable[[WorkerId, int, str, int], int | None] = lambda *_: None
        """Who judges whether somebody that a worker names is its leader; see `MainPids.named`."""
        self._place = Place()
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)

    # --- given.Provider ----------------------------------------------------------------------------------

    def give(self, spawn: Spawn) -> Given:
        """See `given.Provider`."""
        if spawn.ready is None and spawn.health is None:
            return NOTHING
        watched = self._watched[spawn.worker] = Watched(spawn)

        def ready(well: bool, found: str) -> None:
            self._ready(watched, well, found)

        def named(text: str) -> None:
            self._named(watched, text)

        def gone(found: str) -> None:
            self._deliver(Unready(spawn.worker, found))

        given = NOTHING
        if (spawn.ready and spawn.ready.by == "notify") or (spawn.health and spawn.health.by == "watchdog"):
            path = self._place.path()
            watched.speech = Speech(self._poller, self._alarms, path, spawn, self._deliver, ready, named)
            given = given._replace(env=watched.speech.env)
        if spawn.ready and spawn.ready.by == "fd":
            watched.newline = Newline(self._poller, self._alarms, spawn.ready.fd, ready, gone)
            given = given._replace(fds=((spawn.ready.fd, watched.newline.write),))
        return given

    def started(self, worker: WorkerId, pid: int) -> None:
        """See `given.Provider`."""
        watched = self._watched.get(worker)
        if watched is None:
            return
        if watched.speech is not None:
            watched.speech.led_by(pid)
            self._speaking[pid] = watched.speech
        if watched.newline is not None:
            watched.newline.started()
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
        if watched.speech is not None:
            self._speaking.pop(watched.speech.pid, None)
            watched.speech.close()
        if watched.newline is not None:
            watched.newline.close()

    # --- for the kernel ----------------------------------------------------------------------------------

    def begin(self, action: Check) -> None:
        """Ask from now on whether a worker that runs is well."""
        watched, rule = self._watched.get(action.worker), action.health
        if watched is None:
            return
        if rule.by == "watchdog":
            assert watched.speech is not None, "whoever has a watchdog can speak"
            watched.speech.watch(rule)
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

    def hear_out(self, pid: int) -> None:
        """A child has ended: if it was the leader of one that can speak, what it has said is heard first."""
        if pid in self._speaking:
            self._speaking[pid].hear_out()

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

    def _named(self, watched: Watched, text: str) -> None:
        """It has named a leader."""
        speech = watched.speech
        assert speech is not None, "who has no voice names nobody"
        pid = self.named(watched.spawn.worker, speech.pid, text, speech.uid) if speech.pid else None
        if pid is not None:
            self._speaking[pid] = self._speaking.pop(speech.pid)
            speech.led_by(pid)

    def _ready(self, watched: Watched, well: bool, found: str) -> None:
        """What a worker has shown, or has not; only a change is told."""
        if well != watched.ready:
            watched.ready = well
            worker = watched.spawn.worker
            self._deliver(Ready(worker, found) if well else Unready(worker, found))
