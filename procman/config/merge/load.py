"""Files, includes, overlays and `--set` to one merged document; later wins, table by table.

The order, from weakest to strongest: what a file includes (in sorted order), the file itself, the overlays (`-o`) as
they were named, the `--set` values. Several FILEs are parts of one site: what two of them set differently is an error.
Nothing here knows what a site's options mean, except `include`, `defaults` and `group`.
"""

# ruff: noqa: PTH118, PTH119, PTH120, PTH207
# names stay as they were written, for people to recognise; pathlib rewrites them.

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tomli

from procman.config.merge.expand import Expander
from procman.config.text.document import Document, Problem, Rejected, Source, Tree
from procman.config.text.read import parse, read_site_toml, read_toml
from procman.config.text.revision import Revision

MOST_FILES = 1000


class Request(NamedTuple):
    """What is to be read: names relative to `cwd`."""

    files: Sequence[str]
    cwd: str
    overlays: Sequence[str] = ()
    sets: Sequence[str] = ()
    here: str | None = None
    """What the names are relative to, if that is not `cwd`."""
    revision: Revision | None = None
    """Read the files that it covers as they were then."""
    key: str = ""
    """What is to be explained of it, if it is valid."""


def load(request: Request, environ: Mapping[str, str]) -> tuple[Document, list[Problem]]:
    """The merged document, expanded, groups completed from the defaults; and what is wrong with it so far.

    Raises Rejected where there is no document to speak of: a file cannot be read, or is no TOML.
    """
    reader = _Reader(request.here or request.cwd, environ, request.revision)
    parts = [reader.file(name, read=read_site_toml) for name in request.files]
    overlays = [reader.file(name) for name in request.overlays]
    overlays += [reader.guard(set_document, text, request.cwd) for text in request.sets]
    if reader.fatal:
        raise Rejected(reader.fatal)
    document, *others = [part for part in parts + overlays if part is not None]
    document.includes = tuple(reader.includes)
    for index, other in enumerate(others, 1):
        reader.problems += document.merge(other, replace=index >= len(parts))
    if isinstance(groups := document.tree.get("group"), dict):
        for name in groups:
            document.inherit(("group", name), ("defaults",))
    expander = Expander(environ)
    document.tree = expander.tree(document.tree)
    return document, reader.problems + expander.problems


class _Reader:
    """Reads files and what they include; goes on after a bad one, so that all of them are reported."""

    def __init__(self, cwd: str, environ: Mapping[str, str], revision: Revision | None) -> None:
        self._cwd, self._environ, self._revision = cwd, environ, revision
        self._count = 0
        self.includes: dict[str, None] = {}
        self.fatal: list[Problem] = []
        self.problems: list[Problem] = []

    def guard(self, read: Callable[..., Document], *arguments: str | Revision | None) -> Document | None:
        try:
            return read(*arguments)
        except Rejected as rejected:
            self.fatal += rejected.problems
            return None

    def file(
        self, name: str, including: tuple[str, ...] = (), read: Callable[..., Document] = read_toml
    ) -> Document | None:
        """A file laid over what it includes; `including` are the real paths on the way to it."""
        self._count += 1
        document = self.guard(read, name, self._cwd, self._revision)
        if document is None or "include" not in document.tree:
            return document
        patterns = document.tree.pop("include")
        source = document.sources[0]
        way = (*including, os.path.realpath(source.path or ""))
        included = [part for path in self._included(patterns, source, way) if (part := self.file(path, way))]
        if not included:
            return document
        base, *others = [*included, document]
        for other in others:
            base.merge(other)
        # The file that was named is the first source, whatever it includes.
        base.sources.sort(key=lambda one: one != source)
        return base

    def _included(self, patterns: Any, source: Source, way: tuple[str, ...]) -> list[str]:
        if not isinstance(patterns, list) or not all(isinstance(pattern, str) and pattern for pattern in patterns):
            hint = 'write include = ["conf.d/*.toml"]'
            self.fatal.append(Problem("`include` is a list of file names", hint, ("include",), source=source))
            return []
        found: list[str] = []
        for index, pattern in enumerate(patterns):
            found += self._matches(pattern, index, source, way)
        return found

    def _matches(self, pattern: str, index: int, source: Source, way: tuple[str, ...]) -> list[str]:
        here = ("include", index)
        expander = Expander(self._environ)
        pattern = expander.text(pattern, here)
        self.fatal += [problem._replace(source=source) for problem in expander.problems]
        if "**" in pattern.split("/"):
            hint = "name a pattern for each depth: conf.d/*.toml, conf.d/*/*.toml"
            self.fatal.append(
                Problem("an include does not look any number of directories deep", hint, here, source=source)
            )
            return []
        names = sorted(self._glob(os.path.dirname(source.name), pattern))
        if not names and not glob.has_magic(pattern) and not expander.problems:
            message, hint = f"there is no file {pattern}", f"it is looked for in {source.base}"
            self.fatal.append(Problem(message, hint, here, source=source))
        for name in names:
            path = os.path.realpath(os.path.join(self._cwd, name))
            if path in way:
                members = " → ".join(os.path.basename(part) for part in (*way[way.index(path) :], path))
                hint = "remove one of these includes"
                self.fatal.append(Problem(f"the files include each other: {members}", hint, here, source=source))
                return []
        if self._count + len(names) > MOST_FILES:
            self.fatal.append(Problem(f"more than {MOST_FILES} files", "include fewer", here, source=source))
            return []
        return names

    def _glob(self, folder: str, pattern: str) -> list[str]:
        wanted = os.path.join(glob.escape(folder), pattern)
        if glob.has_magic(pattern):
            self.includes[os.path.normpath(os.path.join(glob.escape(self._cwd), wanted))] = None
        absolute = os.path.normpath(os.path.join(self._cwd, folder, pattern))
        if self._revision is None or not self._revision.covers(absolute):
            return glob.glob(wanted, root_dir=self._cwd)
        found = self._revision.glob(absolute)
        return found if wanted.startswith("/") else [os.path.relpath(path, self._cwd) for path in found]


def set_document(text: str, cwd: str) -> Document:
    """The document that `--set a.b.c=VALUE` stands for: VALUE as TOML if it is some, else as a string.

    Raises Rejected if there is no key, or no `=`.
    """
    source = Source("--set", None, cwd, text)
    with contextlib.suppress(Rejected):
        if "\n" not in text and (document := parse(source)).tree:
            return document
    key, equals, value = text.partition("=")
    try:
        tree = tomli.loads(f'{key} = ""') if equals and "\n" not in key else {}
    except tomli.TOMLDecodeError:
        tree = {}
    if not tree or not _put(tree, value):
        message = f"`--set {text[:60]}` is not of the form KEY=VALUE"
        raise Rejected([Problem(message, "for example: --set group.api.workers=8", (), "key", source=source)])
    return Document(tree, source)


def _put(tree: Tree, value: str) -> bool:
    """Set the one leaf of a tree, at most 64 tables down."""
    table = tree
    for _ in range(64):
        ((key, inner),) = table.items()
        if not isinstance(inner, dict):
            table[key] = value
            return True
        table = inner
    return False
