"""The reader's end of `procman logs`: what the pump sends, and what is in the files from before. It writes nothing."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from procman.output.rotate import put_aside
from procman.output.styles import Origin


class Line(NamedTuple):
    """One line of a worker."""

    time_ns: int
    """When it came; of a line in a file that does not say so, when the file was last written."""
    origin: Origin
    text: bytes
    """Without its newline."""


def live(stream: IO[bytes]) -> Iterator[Line | None]:
    """The lines that the pump sends; None between those that it has kept and those that come."""
    while head := stream.readline():
        about = json.loads(head)
        if "size" not in about:
            yield None
            continue
        data = stream.read(about["size"])
        origin = Origin(*(about[name] for name in Origin._fields))
        for text in data.split(b"\n")[:-1]:
            yield Line(about["time_ns"], origin, text)


def older(files: Iterable[dict[str, Any]]) -> list[Line]:
    """The lines of these files that the pump has not kept, in the order of time."""
    return sorted((line for about in files for line in _older(about)), key=lambda line: line.time_ns)


def _older(about: dict[str, Any]) -> Iterator[Line]:
    origin = Origin(about["group"], about["task"], 0, None, "both")
    parts = [(path, _read(path)) for path in put_aside(about["path"])]
    current = Path(about["path"])
    with suppress(OSError):
        if current.stat().st_ino == about["inode"]:
            parts.append((current, _read(current)[: about["size"]]))
    left = sum(len(data) for _, data in parts) - about["kept"]
    for path, data in parts:
        kept, left = data[: max(0, left)], left - len(data)
        with suppress(OSError):
            time_ns = os.stat(path).st_mtime_ns  # noqa: PTH116
            for text in kept.splitlines():
                yield Line(time_ns, origin, text)


def _read(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, gzip.BadGzipFile):
        return b""  # it has just been removed, or is not whole
