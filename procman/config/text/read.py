"""Files and arguments to parsed documents, safely: whatever is wrong with one is a `Problem` with a place.

Never blocks on a fifo, never reads more than `MOST_BYTES`, never follows what a file says.
"""

# ruff: noqa: PTH118, PTH120
# names stay as they were written, for people to recognise; pathlib rewrites them.

from __future__ import annotations

import os
import re
import stat

import tomli

from procman.config.text.document import Document, Place, Problem, Rejected, Source, Tree
from procman.config.text.repository import GitError
from procman.config.text.revision import Revision
from procman.config.text.syntax import syntax_problem

MOST_BYTES = 8 * 1024 * 1024
MOST_NODES = 200_000
"""How many keys and items a file may hold: what comes after may take its time with each."""

MOST_LEVELS = 64
"""How deep tables and lists may be nested; what comes after may recurse without a thought."""


def read_toml(name: str, cwd: str, revision: Revision | None = None) -> Document:
    """The document in a file, its name relative to `cwd`; as it was in a revision, if one is given. Raises Rejected."""
    return parse(read_source(name, cwd, revision))


def read_site_toml(name: str, cwd: str, revision: Revision | None = None) -> Document:
    """As `read_toml`, but an empty file is a mistake, too: nobody means it as a site. Raises Rejected."""
    document = read_toml(name, cwd, revision)
    if document.sources[0].text.strip():
        return document
    hint = 'the least that works: schema = 1, and a [group.NAME] with a command = "…"'
    raise _rejected(document.sources[0], "the file is empty", hint)


def parse(source: Source) -> Document:
    """The document in a source. Raises Rejected."""
    try:
        tree: Tree = tomli.loads(source.text)
    except tomli.TOMLDecodeError as error:
        raise Rejected([syntax_problem(source, error)]) from None
    except RecursionError:
        raise Rejected([_too_deep(source)]) from None
    except ValueError:
        # int() refuses thousands of digits, datetime a 30th of February.
        raise Rejected([_unreadable_number(source)]) from None
    levels, nodes = _extent(tree)
    if levels > MOST_LEVELS:
        raise Rejected([_too_deep(source)])
    if nodes > MOST_NODES:
        raise _rejected(source, f"the file holds more than {MOST_NODES} values", "is it the right file?")
    return Document(tree, source)


def _extent(tree: Tree) -> tuple[int, int]:
    """How many levels a tree has, as far as one more than are allowed, and how many nodes."""
    level: list[dict[str, object] | list[object]] = [tree]
    levels = nodes = 0
    while level and levels <= MOST_LEVELS:
        below = [value for node in level for value in (node.values() if isinstance(node, dict) else node)]
        level = [value for value in below if isinstance(value, (dict, list))]
        nodes += len(below)
        levels += 1
    return levels, nodes


def read_source(name: str, cwd: str, revision: Revision | None = None) -> Source:
    """The text of a file. Raises Rejected: not a regular file, unreadable, too large, not UTF-8."""
    path = os.path.normpath(os.path.join(cwd, name))
    source = Source(name, path, os.path.dirname(path))
    past = revision is not None and revision.covers(path)
    data = _past_bytes(source, path, revision) if revision is not None and past else _bytes(source, path)
    return source._replace(text=_text(source, data))


def _past_bytes(source: Source, path: str, revision: Revision) -> bytes:
    try:
        data = revision.read(path)
    except GitError as error:
        raise _rejected(source, f"git cannot read the file: {error}", f"it is read from {revision.name}") from None
    if data is None:
        raise _rejected(source, f"there is no such file in {revision.name}", f"looked for {path}")
    if len(data) > MOST_BYTES:
        raise _too_large(source)
    return data


def _bytes(source: Source, path: str) -> bytes:
    try:
        # O_NONBLOCK: opening a fifo would wait for its writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _cannot_read(source, error) from None
    try:
        kind = _kind(os.fstat(fd).st_mode)
        if kind is not None:
            raise _rejected(source, f"this is a {kind}, not a regular file", _HINTS[kind])
        return _limited(source, fd)
    except OSError as error:
        raise _cannot_read(source, error) from None
    finally:
        os.close(fd)


def _limited(source: Source, fd: int) -> bytes:
    data = bytearray()
    while chunk := os.read(fd, 1 << 20):
        data += chunk
        if len(data) > MOST_BYTES:
            raise _too_large(source)
    return bytes(data)


def _too_large(source: Source) -> Rejected:
    hint = "is it the right file? A site file is text of a few kilobytes"
    return _rejected(source, "the file is larger than 8 MiB", hint)


_HINTS = {
    "directory": "name a file in it",
    "pipe": "a reload reads it again, so copy its content into a file and name that",
    "device": "name a file",
    "socket": "name a file",
}


def _kind(mode: int) -> str | None:
    kinds = {stat.S_IFDIR: "directory", stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
    return None if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "socket")


def _text(source: Source, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _rejected(source, "the file is encoded in UTF-16, not in UTF-8", "save it as UTF-8 in your editor")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # utf-8-sig counts from behind the byte order mark.
        start = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        before = data[:start].decode("utf-8-sig", "replace")
        line = data[start : start + 80].split(b"\n")[0].decode("utf-8", "replace")
        shown = source._replace(text=(before + line).replace("\r\n", "\n"))
        offset = len(before.replace("\r\n", "\n"))
        message = f"byte {start} (0x{data[start]:02X}) is not UTF-8 text"
        raise Rejected([Problem(message, _encoding_hint(data), place=Place(shown, offset, offset + 1))]) from None
    if "\0" in text:
        offset = text.index("\0")
        place = Place(source._replace(text=text), offset, offset + 1)
        raise Rejected([Problem(f"byte {offset} is NUL: this is no text", _encoding_hint(data), place=place)])
    # As tomli does it, so that its offsets are ours.
    return text.replace("\r\n", "\n")


def _encoding_hint(data: bytes) -> str:
    return "is it the right file?" if b"\0" in data else "save it as UTF-8 in your editor"


def _cannot_read(source: Source, error: OSError | ValueError) -> Rejected:
    if isinstance(error, FileNotFoundError):
        return _rejected(source, "there is no such file", f"looked for {source.path}")
    if isinstance(error, PermissionError):
        hint = f"it must be readable for uid {os.geteuid()}: see `ls -l`"
        return _rejected(source, "the file may not be read (permission denied)", hint)
    if isinstance(error, ValueError):
        return _rejected(source, "no file can have this name", "leave the character NUL out")
    return _rejected(source, f"the file cannot be read: {error.strerror or error}", f"it is {source.path}")


def _rejected(source: Source, message: str, hint: str) -> Rejected:
    return Rejected([Problem(message, hint, place=Place(source, 0, 0))])


def _too_deep(source: Source) -> Problem:
    # The parser does not say where; the line with the most brackets and dots is the one.
    lines = source.text.split("\n")
    worst = max(range(len(lines)), key=lambda i: sum(map(lines[i].count, "[{.")))
    start = sum(len(line) + 1 for line in lines[:worst])
    place = Place(source, start, start + len(lines[worst]))
    return Problem("tables or lists are nested too deeply", "a site file needs no more than five levels", place=place)


def _unreadable_number(source: Source) -> Problem:
    longest = max(re.finditer(r"[0-9_]+", source.text), key=lambda match: len(match[0]))
    return Problem(
        "this number is too long to be read",
        "write it as a string",
        place=Place(source, longest.start(), longest.end()),
    )
