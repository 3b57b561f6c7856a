"""Merged TOML documents in which every value still knows where it was written, and what is wrong with them.

Pure values: nothing here reads a file or knows what a site is.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Path = tuple[str | int, ...]
"""The way to a value: keys, and indexes of lists."""
Tree = dict[str, Any]


class Source(NamedTuple):
    """A text that values come from."""

    name: str
    """As the user knows it: the path as it was given, or `--set`."""
    path: str | None
    """Absolute; None if it is no file."""
    base: str
    """The directory that its relative paths are relative to."""
    text: str = ""


class Place(NamedTuple):
    """A piece of a source, as offsets into its text."""

    source: Source
    start: int
    end: int


class Problem(NamedTuple):
    """Something wrong, for people. It has a `place`, or a `path` by which its place is found later."""

    message: str
    hint: str = ""
    path: Path = ()
    """In the merged document, or in `source` if that is given."""
    on: Literal["key", "value"] = "value"
    """Which of the two is to be marked."""
    place: Place | None = None
    needle: str = ""
    """The part of the value that is to be marked, if it stands there literally."""
    source: Source | None = None


class Rejected(Exception):  # noqa: N818 - it says what has happened to the configuration
    """The configuration cannot be used; carries everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems[:3]))
        self.problems = problems


class Document:
    """A tree of tables, lists and scalars, and for each node the source and the path it had there."""

    __slots__ = ("_origins", "includes", "sources", "tree")

    def __init__(self, tree: Tree, source: Source) -> None:
        self.tree = tree
        self.sources = [source]
        self.includes: tuple[str, ...] = ()
        """The patterns by which sources were found, absolute."""
        # Only where a subtree's origin differs from its parent's: a file's whole tree costs one entry.
        self._origins: dict[Path, tuple[Source, Path]] = {(): (source, ())}

    def origin(self, path: Path) -> tuple[Source, Path]:
        """The source of the nearest node on the way to `path`, and the path there."""
        for length in range(len(path), -1, -1):
            if found := self._origins.get(path[:length]):
                return found[0], found[1] + path[length:]
        raise AssertionError("the root has an origin")

    def merge(self, other: Document, *, replace: bool = True) -> list[Problem]:
        """Lay the other document over this one, table by table.

        Where both say something different about a value the other wins; without `replace` it is a problem.
        """
        self.sources += [source for source in other.sources if source not in self.sources]
        problems: list[Problem] = []
        self._lay(self.tree, other.tree, (), other, (), problems if not replace else None)
        return problems

    def inherit(self, path: Path, ancestor: Path) -> None:
        """Give the table at `path` whatever the table at `ancestor` has and it lacks."""
        table, model = self.at(path), self.at(ancestor)
        if isinstance(table, dict) and isinstance(model, dict):
            self._fill(table, model, path, ancestor)

    def at(self, path: Path) -> Any:
        """The value at a path, or None."""
        value: Any = self.tree
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _lay(
        self, into: Tree, table: Tree, path: Path, other: Document, there: Path, conflicts: list[Problem] | None
    ) -> None:
        for key, value in table.items():
            here, from_ = (*path, key), (*there, key)
            old = into.get(key)
            if isinstance(old, dict) and isinstance(value, dict):
                self._lay(old, value, here, other, from_, conflicts)
                continue
            if conflicts is not None and key in into and old != value:
                message = f"`{dotted(here)}` is also set in {self.origin(here)[0].name}"
                source, path = other.origin(from_)
                hint = "to override a value, name the file with -o"
                conflicts.append(Problem(message, hint, path, "key", source=source))
                continue
            into[key] = {} if isinstance(value, dict) else value
            self._origins[here] = other.origin(from_)
            if isinstance(value, dict):
                self._lay(into[key], value, here, other, from_, None)

    def _fill(self, table: Tree, model: Tree, path: Path, ancestor: Path) -> None:
        for key, value in model.items():
            here, there = (*path, key), (*ancestor, key)
            if key not in table:
                table[key] = {} if isinstance(value, dict) else value
                self._origins[here] = self.origin(there)
            if isinstance(value, dict) and isinstance(table[key], dict):
                self._fill(table[key], value, here, there)


def dotted(path: Path) -> str:
    """`group.api.workers`, with list indexes in brackets."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
