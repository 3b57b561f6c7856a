"""What can be wrong with `listen` beyond one entry: two of one name or address, a reference to no socket at all.

Tolerant of wrong types: those are the model's to report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from procman.config.scalars.addresses import Address, parse_listen
from procman.config.scalars.values import BadValueError, nearest
from procman.config.text.document import Document, Path, Problem
from procman.plan.listen import variable

REFERENCE = re.compile(r"LISTEN_(?:FD|ADDR)_([A-Za-z0-9_]+)")
"""What stands in a template for a socket's descriptor, or for its address."""

_IN_TEXT = re.compile(r"\$\{" + REFERENCE.pattern + r"\}")


def names_of(group: str, given: Sequence[str | None]) -> list[str]:
    """The names of a group's sockets: those that have none are called as the group, the further ones with a number."""
    return [name or (group if index == 1 else f"{group}-{index}") for index, name in enumerate(given, 1)]


def listen_checks(document: Document, groups: dict[str, Any]) -> list[Problem]:
    """All of it, for all groups."""
    problems: list[Problem] = []
    homes: dict[Address, str] = {}
    for name in groups:
        entries = [*_entries(document, name)]
        problems += _names(name, entries)
        enabled = not isinstance(groups[name], dict) or groups[name].get("enabled", True) not in (False, "false")
        for path, entry in entries if enabled else ():
            problems += _address(name, path, entry, homes)
        known = [variable(one) for one in names_of(name, [_name(entry) for _, entry in entries])]
        for key in ("command", "env", "cwd"):
            problems += _references(document, ("group", name, key), known)
    return problems


def _entries(document: Document, group: str) -> Iterator[tuple[Path, Any]]:
    path: Path = ("group", group, "listen")
    listed = document.at(path)
    if isinstance(listed, list):
        yield from (((*path, index), entry) for index, entry in enumerate(listed))
    elif listed is not None:
        yield path, listed


def _name(entry: Any) -> str | None:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else None


def _names(group: str, entries: list[tuple[Path, Any]]) -> Iterator[Problem]:
    seen: set[str] = set()
    for (path, _), name in zip(entries, names_of(group, [_name(entry) for _, entry in entries]), strict=True):
        if variable(name) in seen:
            yield Problem(f"two sockets of {group} are called {name}", "give each a name of its own", path)
        seen.add(variable(name))


def _address(group: str, path: Path, entry: Any, homes: dict[Address, str]) -> Iterator[Problem]:
    try:
        address = parse_listen(entry.get("address") if isinstance(entry, dict) else entry)
    except BadValueError:
        return
    if address.port == 0 and address.kind != "unix":
        return
    if address in homes:
        whose = "twice" if homes[address] == group else f"by {homes[address]} already"
        yield Problem(f"this address is listened on {whose}", "one socket serves all workers of one group", path)
    homes.setdefault(address, group)


def _references(document: Document, path: Path, known: list[str]) -> Iterator[Problem]:
    value = document.at(path)
    below: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, text in [((), value), *(((step,), text) for step, text in below)]:
        for match in _IN_TEXT.finditer(text) if isinstance(text, str) else ():
            if match[1] not in known:
                near = nearest(match[1], known)
                hint = (
                    f"did you mean {match[0].replace(match[1], near)}?" if near else f"its sockets: {', '.join(known)}"
                )
                hint = hint if known else f'it has no `listen`: [group.{path[1]}] listen = ["tcp://127.0.0.1:8000"]'
                yield Problem(f"{path[1]} has no socket `{match[1]}`", hint, (*path, *step), needle=match[0])
