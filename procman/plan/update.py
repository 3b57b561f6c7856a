"""How the workers of a group are replaced: after a restart or a reload that changed them, for their age or size."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from procman.choices import UpdateOrder


class Update(NamedTuple):
    """The rule for replacing workers."""

    order: UpdateOrder = "stop-first"
    """start-first: the new one starts beside the old one, which is stopped once the new one is ready."""
    parallel: int = 1
    """So many at once; the next one's turn comes when one is running, or ready if it has to show that."""
    pause: float = 0.0
    """Seconds between one that is done and the next one's turn."""


class Recycle(NamedTuple):
    """When a worker that runs well is replaced all the same, by the rule for replacing workers."""

    max_age: float | None = None
    """Seconds from its start; None: never for its age."""
    max_rss: int | None = None
    """Bytes of resident memory of its leader; None: never for its size."""
    jitter: float = 0.1
    """By up to this share of a limit a worker is replaced before it, each by another: not all at once."""
