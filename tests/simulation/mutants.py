"""Seeded faults of the policy, and a way to load a manager that has one of them.

A fault is a replacement in the source of `procman.policy`. Its text must be found exactly once, in whatever module,
so that no fault rots when the policy changes. Nothing on disk is touched, and the shipped modules stay as they are.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import procman.policy

ROOM = Path(procman.policy.__file__).parent
SHARED = "procman.policy.events"
"""The vocabulary, with all that is below: values of it are compared, so it is not loaded anew."""


class Mutant(NamedTuple):
    """One fault."""

    name: str
    old: str
    new: str


FAULTS: dict[str, tuple[str, str]] = {
    "budget off by one": ("self.used >= policy", "self.used > policy"),
    "window never pruned": ("while self._times and", "while False and"),
    "success counts on the budget": (
        "return Fate(State.EXITED, how)\n",
        "return Fate(State.EXITED, how)\n        budget.spend(policy, now)\n",
    ),
    "normal exit restarted": ('if policy.when != "always":', 'if policy.when == "never":'),
    "never restarts all the same": ('if policy.when == "never":', "if False:"),
    "backoff never reset": ("None if uptime >= policy.reset_after else self._last", "self._last"),
    "first restart not immediate": ("return 0.0\n    return min(", "return backoff.initial\n    return min("),
    "backoff without a maximum": ("min(backoff.max, ", "min(1e9, "),
    "jitter beyond its bound": ("backoff.jitter * draw", "2 * backoff.jitter * draw"),
    "hopeless start retried": ("errno in PERMANENT", "errno in ()"),
    "exit code wrong": ('"start": 12', '"start": 10'),
    "lost wake-up of a backoff": ("if deadline is not None:", "if deadline is not None and self.fate:"),
    "kill before the grace": ("deadline=step.now + self.stop.grace", "deadline=step.now + self.stop.grace / 2"),
    "kill never comes": ("deadline=step.now + self.stop.grace", "deadline=None"),
    "SIGCONT forgotten": ("wakes=number != SIGKILL", "wakes=False"),
    "told to end before it has drained": ("or self.stop.drain == 0 or failed", "or True"),
    "a failed one drains": ("or self.stop.drain == 0 or failed", "or self.stop.drain == 0"),
    "one that was never ready drains": ("if self.state is not State.RUNNING or self.stop", "if self.stop"),
    "the end of a drain is not heard": ("        self.wait_until(step.now + self.stop.drain, step)\n", ""),
    "killed at the end of the drain": (
        "if worker.drains:\n            worker.drained(step)",
        "if False:\n            pass",
    ),
    "no grace after the drain": (
        "self.drains = False\n        self.wait_until(step.now + self.stop.grace, step)",
        "self.drains = False\n        self.wait_until(step.now, step)",
    ),
    "a drain outlives its leader": ("        if self.drains:\n            self._goes(step)\n", ""),
    "recycled by nobody's rule": ("    recycle.begin(worker, step)\n", ""),
    "too old and left running": ("rollout.begin(group, [worker], why)", "str(why)"),
    "recycled while a replacement has halted": ("(going.halted or going.awaits", "(going.awaits"),
    "recycled twice": ("or going.awaits(worker.id.task) > worker.id.generation", ""),
    "old once and never again": ("        _weigh(worker, 0.0, step)  # should", "        pass  # should"),
    "recycled from its start on": ("_within(rule.max_age, worker) - age)", "_within(rule.max_age, worker))"),
    "all are recycled at once": ("worker.pulse.recycle.jitter * (worker.pid * GOLDEN % 1)", "0"),
    "an old rule for recycling": ("        recycle.follow(worker, group.plan.recycle, step)\n", ""),
    "halted for ever": ("return bool(self._targets)\n        for", "return True\n        for"),
    "kill of the leader alone": ('SIGKILL, "tree"', 'SIGKILL, "leader"'),
    "task id shifted": ("(plan.name, task, 0)", "(plan.name, task + 1, 0)"),
    "exit not told": ("self.exit = self.exit, None", "self.exit = None, None"),
    "wrong state told": ("self.pid, from_, to", "self.pid, State.RUNNING, to"),
    "restart during shutdown": ("self.goal is Goal.RUN and", "self.goal is not Goal.WAIT and"),
    "scaled down and left running": ("if worker.id.task >= self.plan.workers:", "if False:"),
    "stale command left running": ("begin(group, stale, ", "begin(group, [], "),
    "more replaced at once than may be": ("group.plan.update.parallel - len(self._turns)", "9"),
    "no pause between two replacements": ("step.now + pause)", "step.now)"),
    "a replacement is not replaced": ("        self._turns.discard(worker.id.task)\n", ""),
    "the end of a pause is not heard": ("self.deadline = self._rest_until", "self.deadline = None"),
    "the old one ends before its successor is ready": ("if slot.other.state is State.RUNNING and", "if"),
    "a ready successor does not take over": (
        "            successor.take_over(slot, self._targets[task].reason, step)\n",
        "            pass\n",
    ),
    "the old one is not told to end": ("        old.ask(", "        old.end("),
    "start-first is stop-first": ('if group.plan.update.order == "start-first":', "if False:"),
    "a third one is started": ("case State.STOPPED if successor.comes(self, slot):", "case State.STOPPED if False:"),
    "a successor while the one before ends": (
        " and group.slots[task].other is None\n        return old",
        "\n        return old",
    ),
    "a successor outlives a stop": ("            successor.tend(self, slot, reason, step)\n", ""),
    "an outdated successor takes over": ("slot.other.launch != group.plan.launch:", "False:"),
    "a failed successor halts nothing": ('    rollout.halt(f"the successor', '    str(f"the successor'),
    "a failed successor is no failure on probation": (
        "        step.trial.fails(*other.id[:2], how, at_once=True)\n",
        "        pass\n",
    ),
    "done while the predecessor is there": (
        "self._targets[task].generation and slot.other is None:",
        "self._targets[task].generation:",
    ),
    "a halted replacement goes on by any reload": (
        "if changed:  # else a replacement",
        "if True:  # else a replacement",
    ),
    "each sibling counts": ("if group.regroup:  # all failures", "if False:  # all failures"),
    "one-for-all is one-for-one": ('== "one-for-all"', '== "never"'),
    "a stop by reload counts": (
        "    beside = slot.other is worker\n",
        "    beside = slot.other is worker\n    if worker.fate:\n        group.budget.used += 1\n",
    ),
    "stale pid owned": ("worker.fate = worker.pid = None", "worker.fate = None"),
    "leftover ignored": ("    if not leftover:\n        settle", "    if worker.fate:\n        settle"),
    "leftover not told to end": ("        worker.sweep(step)  # whoever", "        pass  # whoever"),
    "budget kept over a reload": (
        "if changed:\n        group.start_over()",
        "if changed:\n        group.regroup = group.failure = None",
    ),
    "group never gives up": ('on_exhausted == "stop"', 'on_exhausted == "halt"'),
    "grace although told now": ("if wish.now or again:", "if again:"),
    "a second wish ignored": ("if wish.now or again:", "if wish.now:"),
    "a bounce is two wishes": ("SECOND_ASK = 0.5", "SECOND_ASK = 0.1"),
    "stop timeout ignored": ("None if timeout is None else now + timeout", "None"),
    "after ignored at the start": (
        "if group.waits_for:\n            group.block",
        "if False:\n            group.block",
    ),
    "a second load forgotten": ("if len(self._rounds) < 2:", "if not self._rounds:"),
    "on_exhausted shutdown ignored": ('== "shutdown"', '== "never"'),
    "the last failure's code": ("in self._failures.items()", "in reversed(self._failures.items())"),
    "what is required is not": ("if down and group.goal is Goal.RUN", "if False"),
    "what is required never comes true": (
        "if dependency not in down and",
        "if dependency not in group.plan.requires and",
    ),
    "a group comes back as it was": (
        "again, self.suspended, self.goal = self",
        "again, self.suspended, self.goal = not self",
    ),
    "after ignored at the stop": ("Goal.FADE if live else Goal.DOWN", "Goal.DOWN"),
    "overtaken deadline honoured": ("if owner.deadline == deadline:", "if True:"),
    "who is left is not waited for": ("left.processes == 0", "True"),
    "who is left is killed too early": ("self._send(SIGTERM, GRACE_S,", "self._send(SIGTERM, GRACE_S / 2,"),
    "who cannot be killed is waited for": ("LAST_WAIT_S, step)", "1e6, step)"),
    "who is left is killed twice": ("if not self._killing:", "if True:"),
    "who is left has a grace although told now": ("at_once=self._shutdown.at_once", "at_once=False"),
    "a second wish ignored in the drain": ("            self._draining.kill(step)\n", ""),
    "a fallen guard is not replaced": ("helper.deadline = step.now + delay", "helper.deadline = None"),
    "sockets of a reload stay closed": ("if tuple(wanted) != self._open:", "if not self._open:"),
    "sockets of code that runs on are closed": (", *(one for group in used for one in group.launch.listen)", ""),
    "the guard has old rules": ("elif order != helper.order:", "elif False:"),
    "the guard is not told who adopts": (" for group in plan.groups if group.launch.adopt)", " for group in ())"),
    "a guard is started in the drain": ("        self._helpers.close()\n", ""),
    "ready without having shown it": ("if rule is None:\n        run(", "if True:\n        run("),
    "never ready and waited for": ('"delay" else rule.timeout)\n', '"delay" else 1e9)\n'),
    "never ready has the wrong code": (
        'give_up(worker, Failure("start", f"not ready within',
        'give_up(worker, Failure("exit", f"not ready within',
    ),
    "ready by delay too early": ("(rule.delay if rule.by", "(0.0 if rule.by"),
    "the old leader is signalled": ("        worker.pid = fact.pid\n", ""),
    "the old leader's end is the worker's": ("self._workers.pop(worker.pid)\n", "self._workers[worker.pid]\n"),
    "time that it asks for is not given": ("max(worker.deadline, worker.pulse.until)", "worker.deadline"),
    "whoever asks for time may lose some": ("max(worker.deadline, worker.pulse.until)", "worker.pulse.until"),
    "asked for time before it began, in vain": ("max(due, pulse.until)", "due"),
    "says that it is stopping and is asked whether it is well": (' if worker.pulse.doing != "stopping"', ""),
    "one bad check too many": ("    elif pulse.failures >= rule.failures:", "    elif pulse.failures > rule.failures:"),
    "a good check forgotten": (
        "pulse.failures = 0 if fact.well else",
        "pulse.failures = pulse.failures if fact.well else",
    ),
    "unhealthy has the wrong code": ('Failure("health",', 'Failure("exit",'),
    "unhealthy restarts although ignored": ('if rule.on_failure == "ignore":', "if False:"),
    "an unready one lets dependents begin": ("return not worker.pulse.unready", "return True"),
    "ready again and dependents not told": (
        "        step.moved[worker.id.group] = None  # for those",
        "        pass  # for those",
    ),
    "an unhealthy one that ended well is done": ("and not ending.fault and", "and"),
    "health is never asked for": (
        "    if worker.pulse.health:\n        step.actions",
        "    if False:\n        step.actions",
    ),
    "an operator's start does not overrule a fault": ("if worker.fate or worker.pulse.fault:", "if worker.fate:"),
    "no trace before the stop": ("if rule.dump is not None:", "if False:"),
    "stopped by hand and started again": (" and task not in self.hand.held", ""),
    "stopped by hand and left running": ("if worker.id.task in self.hand.held:", "if False:"),
    "a stop by hand ends the site": ("or keeps_up(self)", ""),
    "scaled by hand until the next reload": ("plan if self.scaled is None else", "plan if True else"),
    "by hand for ever": ("            self.forget()\n", "            pass\n"),
    "no fresh budget by hand": (
        "if whole:\n        group.start_over()",
        "if whole:\n        group.regroup = group.failure = None",
    ),
    "no fresh backoff by hand": ("ladder.reset()\n        if worker.fate or", "ladder\n        if worker.fate or"),
    "restarted by hand and not again": ("worker.ask(Fate(State.STOPPED, ", "worker.ask(Fate(State.EXITED, "),
    "restarted by hand and left running": ("    begin(group, [", "    begin(group, [] and ["),
    "a signal by hand to the dead": ("and worker.result is None and worker.error is None", ""),
    "scaling gives no slots": (
        '    group.fill()\n    group.pursue(group.goal, "scaled',
        '    group.pursue(group.goal, "scaled',
    ),
    "nobody is told that it is done": ("self._waits.append(wait)", "pass"),
    "who does not wait is not answered": ("step.actions.append(Answer(asked.client, Done()))", "pass"),
    "strays not counted": ("self.strays = fact.processes", "self.strays = 0"),
    "strays not told": ("if fact.processes > self._most:", "if fact.processes < 0:"),
    "new code runs before it is imported": ("launch.python is None or not group.live", "launch.python is None or True"),
    "code that cannot be imported is waited for": (
        "group.coming, group.refused = None, fact",
        "_, group.refused = 1, fact",
    ),
    "imported code is not gone over to": (
        "if group.coming == launch:\n            group.coming = None",
        "if False:\n            pass",
    ),
    "an old zygote is started again": ("                self._helpers.retire(old)\n", "                pass\n"),
    "who waits for an old zygote waits for ever": ("if old != new and launch in waiting:", "if False:"),
    "an old zygote is never ended": ("[one for one in wanted if one not in needed]", "[]"),
    "a zygote for a group that is down": ("        if not _runs(group):\n            return []\n", ""),
    "a zygote that nobody starts": (
        "                self._want(action.worker.group, action.launch, step)\n",
        "                pass\n",
    ),
    "an edition used twice": ("= self._editions.get(name, 0) + 1", "= 1"),
    "a restart by hand of old code": ("launch.python is None or not _runs(group)", "launch.python is None or True"),
    "ready although nobody is": ("        if _is_settled(group):", "        if True:"),
    "never ready again": ("self._began = self._began or (", "self._began = ("),
    "nobody hears of its end": ('state, status = "stopping", "stopping"', 'state, status = "ready", ""'),
    "a failure on probation is not counted": ("self._counts[group, task] += 1", "pass"),
    "all failures of a group count on one probation": ("self._counts[group, task] += 1", "self._counts[group, 0] += 1"),
    "one failure too many on probation": ("elif failures >= most:", "elif failures > most:"),
    "a failure for good is no failure on probation": (
        "if at_once:\n            self.failure",
        "if False:\n            self.failure",
    ),
    "a failure of others ends the probation": ("if self.failure is not None or group not in self.groups:", "if False:"),
    "rolled back although told not to": ("and self.version.plan.reload.rollback", ""),
    "who is down at the end of probation is up": ("not in (State.RUNNING, State.EXITED):", "not in State:"),
    "probation is never over": ("step.now >= step.trial.until", "step.now >= 1e9"),
    "a plan that has failed starts once more": ("and self.trial.is_lost and group in", "and False and group in"),
    "the same plan again begins probation anew": ("if self.trial and self.trial.version.is_same(version)", "if False"),
    "an old budget after a rollback": ("trial.failure, trial.groups)", "trial.failure)"),
    "back to the plan that failed": ("self._probation.good[0], step", "trial.version, step"),
    "rollback by hand goes nowhere": ("self.good if self.trial else self.good[1:]", "self.good"),
    "a plan without probation is not kept": ("self._keep(version)\n            return", "return"),
    "workers are told of an old configuration": (
        "        step.actions.append(Identify(digest, plan",
        "        str((digest, plan",
    ),
    "a plan is shown under another's name": ("RunningPlan(site.digest, site.plan)", 'RunningPlan("", site.plan)'),
    "a plan is shown before there is one": (
        "if site.plan is None:\n                    raise",
        "if False:\n                    raise",
    ),
    "what was kept is not recalled": ("self._probation.recall(result.good)", "pass"),
    "a good plan is not kept for later": ("            step.actions.append(KeepPlans(self._probation.kept()))\n", ""),
    "the plan of before is kept twice": ("kept[1:] if again else kept", "kept"),
    "more plans are kept than may be": ("self.older = self.older[: KEPT - len(self.good)]", "pass"),
    "back to one of before and it stays before": ("[version], self.older[1:]", "[version], self.older"),
    "what means nothing is forgotten with all that is older": (
        "tuple(one for one in self.older if one is not kept)",
        "()",
    ),
    "reset forgets nothing": ("one.request.reset for one in self.asked", "False for one in self.asked"),
    "reload is answered by the load before": ("self._rounds[-1].asked.append", "self._rounds[0].asked.append"),
    "late deadlines lost": ("self._heap[0][0] <= now", "self._heap[0][0] == now"),
}
"""By name: a text of the policy, and what stands there instead."""

MUTANTS = [Mutant(name, *texts) for name, texts in FAULTS.items()]


def load(mutant: Mutant) -> Any:
    """The manager class of a policy with this fault, of fresh modules. Raises ValueError if its text is gone."""
    found = [path for path in ROOM.rglob("*.py") for _ in range(path.read_text().count(mutant.old))]
    if len(found) != 1:
        raise ValueError(f"{mutant.name}: found {len(found)} times in the policy, not once: {mutant.old!r}")
    source = found[0].read_text().replace(mutant.old, mutant.new)
    finder = _Finder(_module(found[0]), found[0], source)
    shipped = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_fresh(name)}
    for name in shipped:  # or `from procman.policy import hand` would find the shipped one there
        parent, _, leaf = name.rpartition(".")
        vars(sys.modules.get(parent) or shipped[parent]).pop(leaf, None)
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("procman.policy.manager").Manager
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_fresh(name)]:
            del sys.modules[name]
        sys.modules.update(shipped)
        for name, module in shipped.items():
            parent, _, leaf = name.rpartition(".")
            setattr(sys.modules[parent], leaf, module)


def _is_fresh(name: str) -> bool:
    """Whether a module is loaded anew."""
    return name.startswith("procman.policy.") and not f"{name}.".startswith(f"{SHARED}.")


def _module(path: Path) -> str:
    """`procman.policy.worker.worker` for its file; a package for its `__init__.py`."""
    parts = path.relative_to(ROOM).with_suffix("").parts
    return ".".join(["procman.policy", *parts[: -1 if parts[-1] == "__init__" else None]])


class _Mutated(SourceFileLoader):
    """Loads a module from a text instead of its file."""

    def __init__(self, fullname: str, path: str, source: str) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """The code of the text; no cache is read or written."""
        return self.source_to_code(self._source.encode(), self.get_filename(fullname))


class _Finder(MetaPathFinder):
    """Gives the mutated module; the others come fresh from their files."""

    def __init__(self, fullname: str, path: Path, source: str) -> None:
        self._fullname = fullname
        self._loader = _Mutated(fullname, str(path), source)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """The mutated module's, if it is asked for."""
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and fullname == self._fullname:
            spec.loader = self._loader
            return spec
        return None
