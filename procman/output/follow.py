"""The reader's end of `procman logs`: what the pump sends, and what is in the files from before. It writes nothing."""

from __future__ import annotations

import gzip
import json
import os
import time
from calendar import timegm
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from procman.output.rotate import put_aside
from procman.output.styles import Origin


class Line(NamedTuple):
    """One line of a worker."""

    time_ns: int
    """When it came; of a line in a file that does not say so, when the file was last written, or the next line came."""
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
    left = sum(data.count(b"\n") for _, data in parts) - about["kept"]
    for path, data in parts:
        lines = data.split(b"\n")[:-1]
        kept, left = lines[: max(0, left)], left - len(lines)
        with suppress(OSError):
            time_ns = min(os.stat(path).st_mtime_ns, about["before_ns"])  # noqa: PTH116
            for text in kept:
                line = Line(time_ns, origin, text)
                yield _from_json(line) if about["format"] == "json" else line


def _from_json(line: Line) -> Line:
    """The line as its worker wrote it and when, or as it stands there if it is no object of ours."""
    try:
        found = json.loads(line.text)
        group, task, pid, stream = (found.pop(name) for name in ("group", "task", "pid", "stream"))
        time_ns = _nanoseconds(found.pop("ts"))
        del found["site"]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return line
    is_text = found.keys() == {"message"} and isinstance(found["message"], str)
    text = found["message"] if is_text else json.dumps(found.get("data", found), ensure_ascii=False)
    return Line(time_ns, Origin(group, task, 0, pid, stream), text.encode("utf-8", "backslashreplace"))


def _nanoseconds(stamp: str) -> int:
    """Of a time as `styles.rfc3339` writes it. Raises ValueError."""
    second, dot, rest = stamp.rstrip("Z").partition(".")
    return timegm(time.strptime(second, "%Y-%m-%dT%H:%M:%S")) * 1_000_000_000 + int(
        (rest if dot else "0").ljust(9, "0")
    )


def _read(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, gzip.BadGzipFile):
        return b""  # it has just been removed, or is not whole
