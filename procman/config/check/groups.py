"""What is wrong between groups, found in the tree as written, so that it is reported beside everything else.

Tolerant of wrong types: those are the model's to report.
"""

from __future__ import annotations

from typing import Any

from procman.config.check.health import check_checks
from procman.config.check.listening import listen_checks
from procman.config.scalars.values import nearest, show
from procman.config.text.document import Document, Path, Problem
from procman.config.text.positions import scan


def cross_checks(document: Document) -> list[Problem]:
    """Unknown names, cycles, an `exit_code_from` or a `listen` that cannot be, no group at all, a decimal umask."""
    if document.at(("include",)) is not None:
        hint = "put it into a file, or name further files on the command line"
        return [Problem("only a file can include others", hint, ("include",), "key")]
    groups = document.at(("group",))
    if (groups is None or groups == {}) and not _has_strange_table(document):
        hint = 'add one: [group.web] with a command = ["python3", "-m", "http.server"]'
        return [Problem("the site has no group, so there is nothing to run", hint, ("group",) if groups == {} else ())]
    if not isinstance(groups, dict):
        return []
    needs = {name: _needs(group) for name, group in groups.items()}
    problems = [problem for name in groups for problem in _unknown(name, document, needs)]
    problems += [problem for name in groups for problem in _required(name, groups, document)]
    problems += _cycles(document, needs)
    problems += _exit_code_from(document, groups)
    problems += listen_checks(document, groups)
    problems += check_checks(document, groups)
    for path in [("defaults",), *(("group", name) for name in groups)]:
        problems += _umask((*path, "umask"), document)
    return problems


def _has_strange_table(document: Document) -> bool:
    """Whether a table at the top is probably a group, or all of them, under a wrong heading."""
    known = ("site", "defaults", "log", "group")
    return any(isinstance(value, dict) and key not in known for key, value in document.tree.items())


def _needs(group: Any) -> list[str]:
    """The groups that it waits for, by `after` and by `requires`."""
    return list(dict.fromkeys([*_named(group, "after"), *_named(group, "requires")]))


def _named(group: Any, key: str) -> list[str]:
    said = group.get(key) if isinstance(group, dict) else None
    names = [said] if isinstance(said, str) else said
    return [name for name in names if isinstance(name, str)] if isinstance(names, (list, dict)) else []


def _place(document: Document, name: str, need: str) -> Path:
    """The path of one of a group's needs, in a list or in a table."""
    return _place_in(
        "after" if need in _named(document.at(("group", name)), "after") else "requires", document, name, need
    )


def _place_in(key: str, document: Document, name: str, need: str) -> Path:
    said = document.at(("group", name, key))
    return ("group", name, key, *(() if isinstance(said, str) else (_step(said, need),)))


def _step(said: Any, need: str) -> str | int:
    return said.index(need) if isinstance(said, list) else need


def _required(name: str, groups: dict[str, Any], document: Document) -> list[Problem]:
    """A group that comes and goes, or has no worker, is none to go down with."""
    problems = []
    for need in _named(groups[name], "requires"):
        other = groups.get(need)
        listen = other.get("listen") if isinstance(other, dict) else None
        listens = listen if isinstance(listen, list) else [listen]
        if isinstance(other, dict) and other.get("kind") == "job":
            message, hint = (
                f"{need} is a job, which ends",
                f'to wait for its end, write after = {{ {need} = "completed" }}',
            )
        elif any(isinstance(one, dict) and one.get("on_demand") is True for one in listens):
            message, hint = f"{need} runs on demand, and may be down at any time", f'write after = ["{need}"] instead'
        else:
            continue
        path = _place_in("requires", document, name, need)
        problems.append(Problem(f"{message}: nothing can require it", hint, path))
    return problems


def _unknown(name: str, document: Document, needs: dict[str, list[str]]) -> list[Problem]:
    problems = []
    for need in needs[name]:
        if need not in needs:
            near = nearest(need, [other for other in needs if other != name])
            hint = f'did you mean "{near}"?' if near else f"the groups are: {', '.join(list(needs)[:10])}"
            path = _place(document, name, need)
            problems.append(Problem(f"there is no group {show(need)} that {name} could wait for", hint, path, "key"))
    return problems


def _cycles(document: Document, needs: dict[str, list[str]]) -> list[Problem]:
    """One problem for each cycle that a walk in depth meets, at the need that closes it."""
    problems: list[Problem] = []
    done: set[str] = set()
    for root in needs:
        # The way from the root to where the walk is, in order, each with the needs not yet looked at.
        way = {root: iter(needs[root])} if root not in done else {}
        while way:
            name = next(reversed(way))
            need = next(way[name], None)
            if need is None:
                del way[name]
                done.add(name)
            elif need in way:
                members = list(way)
                problems.append(_cycle(document, members[members.index(need) :]))
            elif need in needs and need not in done:
                way[need] = iter(needs[need])
    return problems


def _cycle(document: Document, members: list[str]) -> Problem:
    path = _place(document, members[-1], members[0])
    if len(members) == 1:
        return Problem(f"{members[0]} waits for itself", "remove it there", path, "key")
    shown = members if len(members) < 10 else [*members[:8], "…", members[-1]]
    message = f"these groups wait for each other: {' → '.join([*shown, members[0]])}"
    return Problem(message, "remove one of these, so that one of them can begin", path, "key")


def _exit_code_from(document: Document, groups: dict[str, Any]) -> list[Problem]:
    path = ("site", "exit_code_from")
    name = document.at(path)
    if not isinstance(name, str) or not name:
        return []
    if name not in groups:
        near = nearest(name, list(groups))
        hint = f'did you mean "{near}"?' if near else f"the groups are: {', '.join(list(groups)[:10])}"
        return [Problem(f"there is no group {show(name)} to take the exit code from", hint, path)]
    group = groups[name] if isinstance(groups[name], dict) else {}
    if group.get("enabled", True) in (False, "false"):
        return [Problem(f"{name} is not enabled, so it never has an exit code", "name a group that runs", path)]
    workers = group.get("workers", 1)
    if str(workers) != "1":
        hint = f"set workers = 1 in [group.{name}], or name another group"
        message = f"an exit code is taken from a group of one worker, and {name} has {show(workers)}"
        return [Problem(message, hint, path)]
    return []


def _umask(path: Path, document: Document) -> list[Problem]:
    """`umask = 22` is decimal, which nobody means; only the text tells it from 0o26."""
    value = document.at(path)
    if not isinstance(value, int) or isinstance(value, bool) or value == 0:
        return []
    source, written = document.origin(path)
    mark = scan(source.text, {written}).get(written)
    if mark is None or source.text.startswith("0o", mark.value[0]):
        return []
    return [Problem(f"umask = {show(value)} is a decimal number", f'write it in octal: "{show(value):0>4}"', path)]
