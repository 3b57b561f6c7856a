"""A check asks one worker: an address at which a sibling, or procman's own socket, would answer proves nothing.

Tolerant of wrong types: those are the model's to report.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from procman.config.model.checks import sample
from procman.config.scalars.addresses import Address, parse_listen
from procman.config.scalars.values import BadValueError
from procman.config.text.document import Document, Path, Problem
from procman.plan.target import Target, http_target, tcp_target

_OTHERS = {"ready": "`notify`, `fd` or `exec`", "health": "`watchdog` or `exec`"}


def check_checks(document: Document, groups: dict[str, Any]) -> Iterator[Problem]:
    """For the addresses of all groups."""
    shared = {address: name for name, group in groups.items() for address in _listened_on(group)}
    for name, group in groups.items():
        for table in _OTHERS:
            rules = group.get(table) if isinstance(group, dict) else None
            for kind in ("http", "tcp"):
                text = rules.get(kind) if isinstance(rules, dict) else None
                if isinstance(text, str):
                    yield from _address(document, ("group", name, table, kind), text, shared)


def _address(document: Document, path: Path, text: str, shared: dict[Address, str]) -> Iterator[Problem]:
    _, name, table, kind = path
    hint = f"use {_OTHERS[str(table)]}, by which a worker speaks for itself"
    try:
        where = (http_target if kind == "http" else tcp_target)(sample(text))
    except ValueError:
        return
    owner = next((group for address, group in shared.items() if _meets(where, address)), None)
    if owner is not None:
        what = f"{where.name} is a socket of {owner}, which any of its workers may answer"
        yield Problem(f"this proves nothing: {what}", hint, path)
    elif _first(document, str(name)) and "${PROCMAN_GENERATION}" not in text:
        what = "with start-first the old worker answers while the new one begins"
        hint = f"give each run an address of its own, with ${{PROCMAN_GENERATION}}, or {hint}"
        yield Problem(f"this proves nothing: {what}", hint, path)
    elif _several(document, str(name)) and "${PROCMAN_TASK_ID}" not in text and "${PROCMAN_GENERATION}" not in text:
        what = f"any of the workers of {name} may answer"
        hint = f"give each an address of its own, with ${{PROCMAN_TASK_ID}}, or {hint}"
        yield Problem(f"this proves nothing: {what}", hint, path)


def _listened_on(group: Any) -> Iterator[Address]:
    listed = group.get("listen") if isinstance(group, dict) else None
    for entry in listed if isinstance(listed, list) else [listed]:
        address = entry.get("address") if isinstance(entry, dict) else entry
        try:
            yield parse_listen(address)
        except BadValueError:
            continue


def _meets(where: Target, address: Address) -> bool:
    """Whether a connection to the one reaches the other; a relative path of a unix socket is compared by its end."""
    if where.port is None:
        return address.kind == "unix" and where.host.endswith(address.host)
    everywhere = address.host in ("0.0.0.0", "::")
    return address.kind == "tcp" and address.port == where.port and (everywhere or address.host == where.host)


def _several(document: Document, name: str) -> bool:
    return str(_of(document, name, "workers", 1)) != "1"


def _first(document: Document, name: str) -> bool:
    update = _of(document, name, "update", {})
    return isinstance(update, dict) and update.get("order") == "start-first"


def _of(document: Document, name: str, key: str, default: Any) -> Any:
    """What a group says or, if it is silent, what all do."""
    said = document.at(("group", name, key))
    said = document.at(("defaults", key)) if said is None else said
    return default if said is None else said
