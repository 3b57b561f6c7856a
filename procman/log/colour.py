"""When colours are wanted, and how they are taken out again. It never writes any."""

from __future__ import annotations

import os
import re

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def wants_colour(on_terminal: bool) -> bool:
    """What the environment says: NO_COLOR, then FORCE_COLOR, then whether it is a terminal that knows colours."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return on_terminal and os.environ.get("TERM") != "dumb"


def without_colour(text: str) -> str:
    """The same text as a file, or a program, wants it."""
    return _COLOUR.sub("", text)
