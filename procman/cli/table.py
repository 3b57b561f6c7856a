"""The table of `procman status`. Pure: text from what a site says of itself, as the schema of its socket has it.

demo  running · 3 groups, 6 workers · a66b0f19b104 · pid 29126

WORKER     STATE      PID     UP    RESTARTS  LEFT    CPU     MEM  SHARED  LAST EXIT
web:0      running    29177   12m          1    99  210ms   12.1M    6.3M  killed by SIGKILL 3m ago
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from procman.words import duration, size

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from typing import Any

_DIM, _BOLD = "2", "1"
_STYLES = {
    "stopped": _DIM, "starting": "36", "running": "32", "backoff": "33", "stopping": "34", "killing": "35",
    "exited": "32", "failed": "1;31", "unready": "1;33", "reloading": "36",
}  # fmt: skip
_HEAD = ("WORKER", "STATE", "PID", "UP", "RESTARTS", "LEFT", "CPU", "MEM", "SHARED", "LAST EXIT")
_RIGHT = (2, 3, 4, 5, 6, 7, 8)
_STATE, _SHARED = 1, 8
_WIDE = 100
"""Columns of a terminal that has room for everything."""
_WIDEST = 28
_WORDY = 8
"""So many workers' own words are shown below the table; the others' are in the JSON."""
_DOT = " \N{MIDDLE DOT} "
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


Object = Mapping[str, "Any"]


def render(status: Object, colour: bool, columns: int | None) -> str:
    """The whole screen, of a status with what its workers use. Lines are cut to `columns`; None is no limit."""
    left = {group["name"]: group["budget_left"] for group in status["groups"]}
    rows = [_row(worker, left.get(worker["group"])) for worker in status["workers"]]
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    if columns is not None and columns < _WIDE:
        widths[_SHARED] = 0
    title = f"{_count(len(left), 'group')}, {_count(len(rows), 'worker')}"
    pid = [f"pid {status['pid']}"] if status["pid"] else []
    head = _DOT.join([status["phase"], title, _identity(status), *pid])
    lines = [_paint(status["site"], _BOLD, colour) + "  " + _clip(head, columns, len(status["site"]) + 2), ""]
    cut: list[Object] = []
    if rows:
        lines += [_paint(_line(_HEAD, widths, columns), _DIM, colour)]
        shown = [_line(row, widths, columns) for row in rows]
        lines += [_coloured(line, row, widths, colour) for line, row in zip(shown, rows, strict=True)]
        cut = [worker for worker, line in zip(status["workers"], shown, strict=True) if line.endswith(_ELLIPSIS)]
    told = {group["name"] for group in status["groups"] if group["note"]}
    failed = [worker for worker in cut if worker["state"] == "failed" and worker["group"] not in told]
    notes = [note for group in status["groups"] for note in _notes(group)] + _words(failed, status["workers"])
    if strays := status["strays"]:
        notes.append(f"{_count(strays, 'stray')}: left their workers without a trace, and end with the site")
    if lost := status["lost_lines"]:
        notes.append(f"output: {_count(lost, 'line')} not written ({size(status['lost_bytes'])})")
    if notes:
        lines += ["", *(_clip(note, columns) for note in notes)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _identity(status: Object) -> str:
    """`a66b0f19b104`, and from which commit: `a66b0f19b104 (8c1f2ab, dirty)`."""
    commit = ", ".join([status["commit"][:7]] + ["dirty"] * status["dirty"])
    return f"{status['digest']} ({commit})" if status["commit"] else str(status["digest"])


def _row(worker: Object, budget_left: int | None) -> tuple[str, ...]:
    name = _name(worker)
    return (
        name if len(name) <= _WIDEST else name[: _WIDEST - 8] + _ELLIPSIS + name[-7:],
        _state(worker),
        _or_dash(str, worker["pid"]),
        _or_dash(duration, worker["uptime_s"]),
        str(max(0, worker["generation"] - 1)),
        _or_dash(str, budget_left),
        _or_dash(duration, worker["cpu_s"]),
        _or_dash(_size, worker["memory_bytes"]),
        _or_dash(_size, worker["shared_bytes"]),
        _DOT.join(_last(worker)) or "-",
    )


def _last(worker: Object) -> list[str]:
    """What is known of its last run, and of what is to come."""
    told = [worker["role"]] if worker["role"] else []
    if worker["held"]:
        told.append("by hand")
    if worker["state"] == "backoff" and worker["delay_s"] is not None:
        told.append(f"again in {duration(worker['delay_s'])}")
    if worker["last_exit"] is not None:
        told.append(f"{worker['last_exit']} {duration(worker['last_exit_s'] or 0.0)} ago")
    return told


def _name(worker: Object) -> str:
    return f"{worker['group']}:{worker['task']}"


def _state(worker: Object) -> str:
    """Its state; of one that runs, what is to be known besides."""
    if worker["state"] != "running":
        return str(worker["state"])
    return str(worker["doing"] or ("unready" if worker["unready"] else "running"))


def _words(failed: Sequence[Object], workers: Sequence[Object]) -> list[str]:
    """How those have failed whose line was cut, why others are not ready, and what workers say of themselves."""
    lines = [f"{_name(worker)} has failed: {_DOT.join(_last(worker))}" for worker in failed]
    lines += [f"{_name(worker)} is not ready: {worker['unready']}" for worker in workers if worker["unready"]]
    lines += [f"{_name(worker)} says: {worker['says']}" for worker in workers if worker["says"]]
    more = len(lines) - _WORDY
    return lines if more <= 0 else [*lines[:_WORDY], f"{_ELLIPSIS} and {_count(more, 'more line')} of the like"]


def _notes(group: Object) -> list[str]:
    notes = [f"{group['name']}: {group['note']}"] if group["note"] else []
    if group["workers"] != group["file_workers"]:
        notes.append(f"{group['name']}: {_count(group['workers'], 'worker')} by hand (file: {group['file_workers']})")
    return notes


def _or_dash(text: Callable[[Any], str], value: Any) -> str:
    return "-" if value is None else text(value)


def _line(cells: Sequence[str], widths: Sequence[int], columns: int | None) -> str:
    padded = [
        cell.rjust(width) if index in _RIGHT else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        if width
    ]
    return _clip("  ".join(padded).rstrip(), columns)


def _coloured(line: str, row: Sequence[str], widths: Sequence[int], colour: bool) -> str:
    """The same line with its state painted."""
    begin = widths[0] + 2
    end = begin + len(row[_STATE])
    return line[:begin] + _paint(line[begin:end], _STYLES.get(row[_STATE], ""), colour) + line[end:]


def _paint(text: str, style: str, colour: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colour and style and text else text


def _clip(text: str, columns: int | None, used: int = 0) -> str:
    text = text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
    if columns is None or used + len(text) <= columns:
        return text
    return text[: max(0, columns - used - 1)] + _ELLIPSIS


def _size(size: float) -> str:
    for unit in ("B", "K", "M"):
        if size < 1000:
            return f"{size:.1f}{unit}" if unit == "M" and size < 100 else f"{size:.0f}{unit}"
        size /= 1024
    return f"{size:.1f}G"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
