"""`procman status`: how every worker of a running site is. What the processes use is read here, not by the core."""

# A command is to be quick: no pathlib.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection
from contextlib import suppress

from procman.cli import talk
from procman.cli.main import Parser
from procman.cli.table import render
from procman.control.wire import Object, split_selector
from procman.screen import columns, wants_colour

_EPILOG = f"""\
examples:
  procman status
  procman status api mailer:0
  procman status --json | jq '.workers[] | select(.state == "failed")'
  procman status --watch
  procman status --ready        for a health check: nothing but the exit code

CPU is the processor time of what runs now, MEM its memory (PSS: shared pages are \
divided among those who share them), SHARED how much of what it has mapped is shared \
(libraries, and what a zygote has loaded), where the terminal is wide enough; all of \
a worker's whole process group.

{talk.SITE_EPILOG}{talk.exit_codes(failed="refused, or with --ready: not all that is wanted is ready")}"""


_USE = ("cpu_s", "memory_bytes", "shared_bytes")
"""What a process group uses; the last is how much of its resident memory others have mapped too."""


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        name,
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
        status = _ask(args)
    except talk.GiveUpError as error:
        return error.code
    if args.ready:
        return 0 if is_ready(status) else talk.EXIT_FAILED
    add_use(status)
    if args.json:
        sys.stdout.write(json.dumps(status, indent=2) + "\n")
    else:
        sys.stdout.write(_picture(status))
    return 0


def _ask(args: argparse.Namespace) -> Object:
    """The part of the site's status that was asked for. Raises GiveUpError."""
    client = talk.connect(args)
    try:
        status = next(talk.ask(args, client, {"do": "status"}, 5.0))
    finally:
        client.close()
    del status["say"]
    return _chosen(args, status | {"pid": client.pid or None})  # as it is seen from here


def _watch(args: argparse.Namespace) -> int:
    """Show it again and again. Raises GiveUpError where there is nothing to show."""
    from procman.cli.watching import watch

    first, events = _ask(args), talk.connect(args)
    args.site = events.path
    shown = iter([first])

    def picture() -> str | None:
        try:
            status = next(shown, None) or _ask(args)
        except talk.GiveUpError:
            return None
        add_use(status)
        return _picture(status)

    try:
        events.send({"do": "events", "follow": True, "last": 0})
        return watch(events.fileno(), picture)
    finally:
        events.close()


def _picture(status: Object) -> str:
    return render(status, wants_colour(os.isatty(1)), columns(1))


def why_not_ready(status: Object) -> str:
    """Why it cannot become ready by itself any more; empty if it still may."""
    failed = [
        f"{worker['group']}:{worker['task']} failed: {worker['last_exit'] or 'it never ran'}"
        for worker in _awaited(status)
        if worker["state"] == "failed"
    ]
    stuck = [group for group in status["groups"] if group["note"].startswith(("blocked", "has given"))]
    return next(iter([*failed, *(f"{group['name']} {group['note']}" for group in stuck)]), "")


def is_ready(status: Object) -> bool:
    """Whether the site runs, and every worker that is wanted is ready or has ended normally."""
    return status["phase"] == "running" and all(map(_is_fine, _awaited(status)))


def _awaited(status: Object) -> list[Object]:
    """The workers without which the site is not ready; those of a group that comes and goes are not among them."""
    resting = {group["name"] for group in status["groups"] if group.get("rests")}
    return [worker for worker in status["workers"] if worker["group"] not in resting]


def _is_fine(worker: Object) -> bool:
    well = worker["state"] in ("running", "exited") and not worker["unready"]
    return well or worker["held"] or worker["role"] != ""


def add_use(status: Object) -> None:
    """Write beside each worker what its processes use; None where that is not known, or there are none."""
    uses = uses_of({worker["pid"] for worker in status["workers"] if worker["pid"] is not None})
    for worker in status["workers"]:
        worker.update(zip(_USE, uses.get(worker["pid"], (None, None, None)), strict=True))


def uses_of(groups: Collection[int]) -> dict[int, tuple[float, int, int]]:
    """What these process groups use, as far as it can be seen: one walk through /proc."""
    found: dict[int, tuple[float, int, int]] = {}
    ticks = os.sysconf("SC_CLK_TCK")
    for name in filter(str.isdigit, os.listdir("/proc") if groups else ()):
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
            group = int(fields[2])
            if group in groups:
                cpu, memory, shared = found.get(group, (0.0, 0, 0))
                more_memory, more_shared = _memory(name)
                cpu += sum(map(int, fields[11:15])) / ticks
                found[group] = cpu, memory + more_memory, shared + more_shared
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


def _chosen(args: argparse.Namespace, status: Object) -> Object:
    """The part of it that was asked for. Raises GiveUpError where there is no such worker."""
    targets = dict.fromkeys(map(split_selector, talk.targets(args)))
    if not targets:
        return status
    names = {group["name"] for group in status["groups"]}
    known = {(worker["group"], worker["task"]) for worker in status["workers"]}
    for group, task in targets:
        if (group not in names) if task is None else ((group, task) not in known):
            what = f"group {group}" if task is None else f"worker {group}:{task}"
            talk.there_is_no(args, what)
    wanted = {group for group, _ in targets}
    return status | {
        "groups": [group for group in status["groups"] if group["name"] in wanted],
        "workers": [
            worker
            for worker in status["workers"]
            if (worker["group"], None) in targets or (worker["group"], worker["task"]) in targets
        ],
    }
