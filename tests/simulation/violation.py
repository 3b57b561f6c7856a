"""What a history is stopped by: something that is not what the design says."""

from __future__ import annotations


class Violation(AssertionError):  # noqa: N818 - it is no error of the program, but a finding
    """What was seen is not what the design says."""


def need(holds: object, complaint: str) -> None:
    """Raise `Violation` unless it holds."""
    if not holds:
        raise Violation(complaint)
