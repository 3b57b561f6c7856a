"""`${NAME}`, `${NAME:-default}` and `$$` in the string values of a document; keys that begin with `x-` are dropped.

In a group's `command`, `args`, `cwd`, `env` and checks, and in the files of its `output`, the result is a template for
`plan.Launch`: a dollar sign in it is doubled, and the names that only the worker knows stay. Elsewhere it is final.
Nothing here knows a shell's other expansions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from procman.config.check.listening import REFERENCE
from procman.config.scalars import values
from procman.config.text.document import Path, Problem, Tree

PER_WORKER = ("PROCMAN_TASK_ID", "PROCMAN_GROUP", "PROCMAN_GENERATION")
"""Known at each start only; allowed where a template is."""

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)\}|\$\{|\$", re.S)
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.S)
_TEMPLATES = ("args", "command", "cwd", "env")
_CHECK_COMMANDS = (("ready", "exec"), ("health", "exec"))
_CHECKS = (*_CHECK_COMMANDS, *((table, kind) for table in ("ready", "health") for kind in ("http", "tcp")))
"""Tables and keys of a group that hold templates, too."""


class Expander:
    """One pass over a tree; collects the problems it meets."""

    __slots__ = ("_environ", "problems")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[Problem] = []

    def tree(self, tree: Tree, path: Path = ()) -> Tree:
        """The table with every string in it expanded."""
        return {key: self._value(value, (*path, key)) for key, value in tree.items() if not key.startswith("x-")}

    def _value(self, value: Any, path: Path) -> Any:
        match value:
            case str() if _is_command(path):
                return self._command(value, path)
            case str():
                return self.text(value, path, template=_is_template(path))
            case dict():
                return self.tree(value, path)
            case list():
                return [self._value(item, (*path, index)) for index, item in enumerate(value)]
            case _:
                return value

    def _command(self, text: str, path: Path) -> Any:
        """Words first, names after: what a name stands for is never split."""
        try:
            words = values.split_command(text)
        except values.BadValueError:
            return text  # the model says what is wrong with it
        return [self.text(word, path, template=True) for word in words]

    def text(self, text: str, path: Path, *, template: bool = False) -> str:
        """One string expanded; a reference that cannot be is left as it stands, and is a problem."""
        if "$" not in text:
            return text
        dollar = "$$" if template else "$"
        return _REFERENCE.sub(lambda match: self._replacement(match, path, dollar), text)

    def _replacement(self, match: re.Match[str], path: Path, dollar: str) -> str:
        """What a reference becomes: itself if the worker is to fill it in, or after a problem."""
        reference, inner = match[0], match[1]
        if reference == "${":  # not closed: all the rest is it, so that no earlier one is marked in its place
            reference = match.string[match.start() :]
        if not reference.startswith("${"):
            return dollar
        name = _NAME.fullmatch(inner or "")
        if name is None:
            what = "is not closed" if inner is None else "is no reference to a variable"
            hint = "write ${NAME} or ${NAME:-default}; for a literal dollar sign write $$"
            return self._reject(reference, f"`{reference[:40]}` {what}", hint, path)
        if name[1] in PER_WORKER or REFERENCE.fullmatch(name[1]):
            if dollar == "$$":
                return f"${{{name[1]}}}"  # a default is dropped: these are always set
            hint = "it may stand in a group's command, args, cwd, env and checks, and in the files of its output"
            return self._reject(reference, f"{name[1]} is known only when a worker starts", hint, path)
        # As in a shell, the default of `:-` stands for an empty value, too.
        value = self._environ.get(name[1]) or name[2]
        if value is None and name[1] in self._environ:
            value = ""
        if value is not None:
            return value.replace("$", dollar)
        near = values.nearest(name[1], list(self._environ))
        hint = f"did you mean ${{{near}}}? " if near else ""
        hint += f"a default is written ${{{name[1]}:-value}}, a literal dollar sign $$"
        return self._reject(reference, f"the environment variable {name[1]} is not set", hint, path)

    def _reject(self, reference: str, message: str, hint: str, path: Path) -> str:
        self.problems.append(Problem(message, hint, path, needle=reference))
        return reference


def _is_command(path: Path) -> bool:
    return path[:1] == ("group",) and (path[2:] == ("command",) or path[2:] in _CHECK_COMMANDS)


def _is_template(path: Path) -> bool:
    below = path[2:] if path[0] == "group" else path[1:] if path[0] == "defaults" else ()
    is_file = below[:1] == ("output",) and below[-1] == "file"
    return bool(below) and (below[0] in _TEMPLATES or below[:2] in _CHECKS or is_file)


def literal(text: str) -> str:
    """A template that stands for exactly this text."""
    return text.replace("$", "$$")
