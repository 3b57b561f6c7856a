"""What a plan would run, for people, within 80 columns. Pure: plan in, text out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from procman import plan
from procman.config.preview.advice import INIT_STOP_TIMEOUT, stop_bound, warnings
from procman.config.preview.foresight import Machine
from procman.words import CAPABILITIES, duration, signal_name

_WIDTH = 80
_PLAIN = re.compile(r"[\w@%+=:,./${}-]+")


def render(site: plan.Plan, machine: Machine | None = None) -> str:
    """A block for each group, then what concerns the whole, then what is doubtful, on this machine if there is one."""
    total = sum(group.workers for group in site.groups)
    head = (
        f"site {site.name}: {_count(len(site.groups), 'group')}, {_count(total, 'worker')}, digest {plan.digest(site)}"
    )
    blocks = [_fit(head), *(_group(group) for group in site.groups), _whole(site)]
    if found := warnings(site, machine):
        blocks.append("\n".join(_wrap("warning: ", text) for text in found))
    return "\n\n".join(blocks) + "\n"


def _group(group: plan.GroupPlan) -> str:
    lines = [_fit(f"{group.name}: {_size(group)}")]
    launch = group.launch
    if launch.python is None:
        lines.append(_line("command", " ".join(map(_word, launch.command))))
    else:
        lines.append(_line("calls", _call(launch.python)))
    lines.append(_line("in", launch.cwd))
    if told := [*_surroundings(launch), *(_rights(launch.privileges) if launch.privileges else ())]:
        lines.append(_wrap("  with     ", ", ".join(told)))
    if launch.listen:
        lines.append(_wrap("  listens  ", ", ".join(f"{one.url} ({one.name})" for one in launch.listen)))
    if group.schedule or group.deadline:
        lines.append(_line("runs", ", ".join(_runs(group))))
    lines.append(_line("restart", _restart(group.restart)))
    if group.restart.when != "never" and group.restart.max_restarts:
        lines.append(_line("backoff", _backoff(group.restart.backoff)))
    lines.append(_line("stop", _stop(group.stop)))
    lines += [_line(name, ", ".join(told)) for name, told in _life(group) if told]
    if group.after:
        lines.append(_wrap("  after    ", ", ".join(f"{name} ({condition})" for name, condition in group.after)))
    if group.requires:
        lines.append(_wrap("  requires ", ", ".join(group.requires)))
    return "\n".join(lines)


def _life(group: plan.GroupPlan) -> Iterator[tuple[str, list[str]]]:
    """How its workers are seen to be ready and well, and how they are replaced; nothing of what is by default."""
    if (ready := group.ready) is not None:
        by_itself = {"notify": "says READY=1", "fd": f"writes a line to descriptor {ready.fd}"}
        by_itself |= {"delay": f"{duration(ready.delay)} after its start", "log": f"logs /{ready.target}/"}
        within = [] if ready.by == "delay" else [f"within {duration(ready.timeout)}"]
        yield "ready", [by_itself.get(ready.by) or _asked(ready), *within]
    if (health := group.health) is not None:
        asked = "says WATCHDOG=1" if health.by == "watchdog" else _asked(health)
        end = "restarted" if health.on_failure == "restart" else "marked as unready"
        yield (
            "health",
            [f"{asked} every {duration(health.interval)}", f"{end} after {_count(health.failures, 'failure')}"],
        )
    update, recycle = group.update, group.recycle
    order = update.order if update.order != "stop-first" else ""
    parallel = f"{update.parallel} at once" if update.parallel > 1 else ""
    pause = f"{duration(update.pause)} between them" if update.pause else ""
    yield "update", [text for text in (order, parallel, pause) if text]
    age = f"after {duration(recycle.max_age)}" if recycle.max_age is not None else ""
    size = f"above {recycle.max_rss / (1 << 20):g}MiB" if recycle.max_rss is not None else ""
    yield "recycle", [text for text in (age, size) if text]


def _asked(check: plan.Ready | plan.Health) -> str:
    """What is asked, as one would write it."""
    return " ".join([check.by, *map(_word, check.command)] if check.by == "exec" else [check.by, _plain(check.target)])


def _call(python: plan.Python) -> str:
    args = ", ".join(map(repr, python.args))
    preload = f", with {' '.join(python.preload)}" if python.preload else ""
    return f"{python.callable}({args}){preload}"


def _size(group: plan.GroupPlan) -> str:
    if not group.workers:
        return "not enabled"
    kind = "" if group.kind == "service" else "job, "
    return f"{kind}{_count(group.workers, 'worker')}" + (" (one for each CPU)" if group.auto else "")


def _runs(group: plan.GroupPlan) -> Iterator[str]:
    if (when := group.schedule) is not None:
        zone = f" {when.timezone}" if when.timezone else ""
        yield f"every {duration(when.every)}" if when.every is not None else f"at {when.cron}{zone}"
        yield {"skip": "left out", "queue": "queued", "kill": "replacing the last"}[when.overlap] + " if it overlaps"
    if group.deadline is not None:
        yield f"at most {duration(group.deadline)}"


def _surroundings(launch: plan.Launch) -> Iterator[str]:
    if launch.pass_env is not None:
        yield f"no environment but {' '.join(launch.pass_env)}" if launch.pass_env else "no environment of procman's"
    if launch.umask is not None:
        yield f"umask {launch.umask:04o}"


def _rights(rights: plan.Privileges) -> Iterator[str]:
    for name, value in (("uid", rights.uid), ("gid", rights.gid)):
        if value is not None:
            yield f"{name} {value}"
    if rights.groups is not None:
        yield f"groups {' '.join(map(str, rights.groups)) or 'none'}"
    for limit in rights.limits:
        parts = [limit.soft] if limit.hard is None else [limit.soft, limit.hard]
        yield f"{limit.name} {':'.join('unlimited' if part < 0 else str(part) for part in parts)}"
    if rights.capabilities is not None:
        yield f"capabilities {' '.join(CAPABILITIES[number] for number in rights.capabilities) or 'none'}"
    if rights.no_new_privileges:
        yield "no new privileges"
    if rights.nice is not None:
        yield f"nice {rights.nice}"
    if rights.oom_score_adj is not None:
        yield f"oom_score_adj {rights.oom_score_adj}"
    if rights.cpu_affinity is not None:
        yield f"CPUs {' '.join(map(str, rights.cpu_affinity))}"
    if rights.parent_death_signal is not None:
        yield f"{signal_name(rights.parent_death_signal)} if procman dies"


def _restart(restart: plan.Restart) -> str:
    end = {"shutdown": "the site shuts down", "stop": "the group stops", "ignore": "the rest runs on"}
    if restart.when == "never" or restart.max_restarts == 0:
        return f"never; after a failure {end[restart.on_exhausted]}"
    whom = "" if restart.strategy == "one-for-one" else " (all together)"
    window = "" if restart.window is None else f" in {duration(restart.window)}"
    return f"{restart.when}{whom}, at most {restart.max_restarts}{window}, then {end[restart.on_exhausted]}"


def _backoff(backoff: plan.Backoff | None) -> str:
    if backoff is None:
        return "none: every restart is immediate"
    times = f", times {backoff.factor:g}" if backoff.factor != 1 else ""
    return f"0s, then {duration(backoff.initial)}{times}, up to {duration(backoff.max)}"


def _stop(stop: plan.Stop) -> str:
    whom = "" if stop.scope == "tree" else " to the leader"
    drain = f"{duration(stop.drain)} of drain, " if stop.drain else ""
    return f"{drain}{signal_name(stop.signal)}{whom}, SIGKILL after {duration(stop.grace)}"


def _whole(site: plan.Plan) -> str:
    bound = stop_bound(site)
    text = f"stops within {duration(bound)} at worst"
    if site.stop_timeout is not None:
        text = f"stops within {duration(min(bound, site.stop_timeout))} at worst (stop_timeout)"
    elif bound > INIT_STOP_TIMEOUT:
        text += f"; as process 1 all is killed after {duration(INIT_STOP_TIMEOUT)}"
    lines = [_fit(text)]
    if site.exit_code_from:
        lines.append(_fit(f"exits with the code of {site.exit_code_from}"))
    if site.log.file:
        lines.append(_fit(f"logs to {site.log.file}"))
    return "\n".join(lines)


def _word(word: str) -> str:
    """A word of a template as one would type it."""
    typed = _plain(word)
    return typed if _PLAIN.fullmatch(typed) else shlex.quote(typed)


def _plain(template: str) -> str:
    return template.replace("$$", "$")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _line(name: str, text: str) -> str:
    return _fit(f"  {name:<8} {text}")


def _fit(text: str) -> str:
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _wrap(first: str, text: str) -> str:
    """A text over as many lines as it needs, indented below its first word."""
    # Imported here: only `check` prints anything.
    import textwrap

    rest = " " * len(first)
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
