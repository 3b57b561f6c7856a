"""`procman status`: how every worker of a running site is. What the processes use is read here, not by the core."""

# A command is to be quick: no pathlib.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from procman.cli import talk
from procman.cli.main import Parser
from procman.cli.table import render
from procman.control.protocol import Message, ProtocolError, ShowEvents, decode_selector
from procman.policy.requests import ShowStatus, SiteStatus
from procman.screen import columns, wants_colour

_EPILOG = f"""\
examples:
  procman status
  procman status api mailer:0
  procman status --json | jq '.workers[] | select(.state == "failed")'
  procman status --watch
  procman status --ready        for a health check: nothing but the exit code

CPU is the processor time of what runs now, MEM its memory (PSS: shared pages are
divided among those who share them), SHARED how much of what it has mapped is shared
(libraries, and what a zygote has loaded), where the terminal is wide enough; all of
a worker's whole process group.

{talk.SITE_EPILOG}{talk.EXIT_CODES}"""


class Use(NamedTuple):
    """What a process group uses."""

    cpu_s: float = 0.0
    memory_bytes: int = 0
    shared_bytes: int = 0
    """Of its resident memory, what others have mapped too."""


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "status",
        help="show how the workers of a running site are",
        description="Shows how the workers of a running site are.",
        epilog=_EPILOG,
    )
    parser.add_argument("targets", nargs="*", metavar="SELECTOR", help="GROUP, or GROUP:TASK for one worker")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print it as one JSON object")
    form.add_argument("--watch", action="store_true", help="show it again at every change, until Ctrl-C")
    form.add_argument("--ready", action="store_true", help="print nothing; exit 0 if all that is wanted is ready")
    talk.add_site(parser)


def run(args: argparse.Namespace) -> int:
    """Show it."""
    try:
        if args.watch:
            return _watch(args)
        status, pid = _ask(args)
    except talk.GiveUpError as error:
        return error.code
    if args.ready:
        return 0 if is_ready(status) else talk.EXIT_FAILED
    if args.json:
        sys.stdout.write(json.dumps(as_json(status, pid, _uses(status)), indent=2) + "\n")
    else:
        sys.stdout.write(_picture(status, pid))
    return 0


def _ask(args: argparse.Namespace) -> tuple[SiteStatus, int]:
    """The part that was asked for, and the core's pid. Raises GiveUpError."""
    client = talk.connect(args)
    try:
        reply = next(iter(talk.ask(args, client, Message(ShowStatus()), 5.0)), None)
    finally:
        client.close()
    assert isinstance(reply, SiteStatus), "a status is answered with a status, or refused"
    return _chosen(args, reply), client.pid


def _watch(args: argparse.Namespace) -> int:
    """Show it again and again. Raises GiveUpError where there is nothing to show."""
    from procman.cli.watching import watch

    first, events = _ask(args), talk.connect(args)
    args.site = events.path
    shown = iter([first])

    def picture() -> str | None:
        try:
            return _picture(*next(shown, None) or _ask(args))
        except talk.GiveUpError:
            return None

    try:
        events.send(Message(ShowEvents(follow=True, last=0)))
        return watch(events.fileno(), picture)
    finally:
        events.close()


def _picture(status: SiteStatus, pid: int) -> str:
    return render(status, pid, _uses(status), wants_colour(os.isatty(1)), columns(1))


def _uses(status: SiteStatus) -> dict[int, Use]:
    return uses_of({worker.pid for worker in status.workers if worker.pid is not None})


def why_not_ready(status: SiteStatus) -> str:
    """Why it cannot become ready by itself any more; empty if it still may."""
    notes = [f"{group.name} {group.note}" for group in status.groups if group.note.startswith(("blocked", "has given"))]
    failed = [
        f"{w.group}:{w.task} failed: {w.last_exit or 'it never ran'}" for w in status.workers if w.state == "failed"
    ]
    return next(iter([*failed, *notes]), "")


def is_ready(status: SiteStatus) -> bool:
    """Whether the site runs, and every worker that is wanted is ready or has ended normally."""
    waiting = [group for group in status.groups if group.note]
    fine = all(w.held or w.role or (w.state in ("running", "exited") and not w.unready) for w in status.workers)
    return status.phase == "running" and fine and not waiting


def as_json(status: SiteStatus, pid: int, uses: Mapping[int, Use]) -> dict[str, Any]:
    """All of it as JSON has it; null for what is not known."""
    none = dict.fromkeys(Use._fields)
    workers = []
    for worker in status.workers:
        use = uses.get(worker.pid) if worker.pid is not None else None
        workers.append(worker._asdict() | (none if use is None else use._asdict()))
    groups = [group._asdict() for group in status.groups]
    return status._asdict() | {"pid": pid or None, "groups": groups, "workers": workers}


def uses_of(groups: Collection[int]) -> dict[int, Use]:
    """What these process groups use, as far as it can be seen: one walk through /proc."""
    found: dict[int, Use] = {}
    ticks = os.sysconf("SC_CLK_TCK")
    for name in filter(str.isdigit, os.listdir("/proc") if groups else ()):
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
            group = int(fields[2])
            if group in groups:
                old, (memory, shared) = found.get(group, Use()), _memory(name)
                cpu = old.cpu_s + sum(map(int, fields[11:15])) / ticks
                found[group] = Use(cpu, old.memory_bytes + memory, old.shared_bytes + shared)
    return found


def _memory(pid: str) -> tuple[int, int]:
    """PSS, and what is shared; of somebody else's process, where that is not told, RSS and its shared files."""
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in file if line.endswith(b"kB\n")}
        if b"Pss:" in sizes:
            return sizes[b"Pss:"], sizes[b"Shared_Clean:"] + sizes[b"Shared_Dirty:"]
    with suppress(OSError), open(f"/proc/{pid}/statm", "rb") as file:
        resident, shared = (int(pages) * os.sysconf("SC_PAGE_SIZE") for pages in file.read().split()[1:3])
        return resident, shared
    return 0, 0


def _chosen(args: argparse.Namespace, status: SiteStatus) -> SiteStatus:
    """The part of it that was asked for. Raises GiveUpError where there is no such worker."""
    if not args.targets:
        return status
    try:
        targets = [decode_selector(text) for text in args.targets]
    except ProtocolError as error:
        args.parser.error(f"{error}\nhint: api is all workers of a group, api:0 the first of them")
    for target in targets:
        if not any(w.group == target.group and target.task in (None, w.task) for w in status.workers) and (
            target.task is not None or all(group.name != target.group for group in status.groups)
        ):
            what = "group" if target.task is None else "worker"
            raise talk.GiveUpError(
                talk.complain(args, f"there is no {what} {target}", "see `procman status`", talk.EXIT_FAILED)
            )
    names = {target.group for target in targets}
    workers = [w for w in status.workers if any(w.group == t.group and t.task in (None, w.task) for t in targets)]
    groups = [group for group in status.groups if group.name in names]
    return status._replace(groups=tuple(groups), workers=tuple(workers))
