"""What a terminal wants: whether colours, and how wide. It never writes anything."""

from __future__ import annotations

import os
import re


def wants_colour(on_terminal: bool) -> bool:
    """What the environment says: NO_COLOR, then FORCE_COLOR, then whether it is a terminal that knows colours."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return on_terminal and os.environ.get("TERM") != "dumb"


def without_colour(text: str) -> str:
    """The same text as a file, or a program, wants it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def columns(stream: int) -> int | None:
    """How wide the terminal of a descriptor is, or is said to be by COLUMNS; None where there is no limit."""
    if os.environ.get("COLUMNS", "").isdigit():
        return int(os.environ["COLUMNS"]) or None
    try:
        return os.get_terminal_size(stream).columns or None
    except OSError:
        return None
