"""Editions of a group's code: the same launch, imported anew. Only the policy counts them; see `zygotes.py`."""

from __future__ import annotations

from procman.plan import Launch


def configured(launch: Launch) -> Launch:
    """A launch as the configuration has it, whichever edition it is."""
    return launch if launch.python is None else launch._replace(python=launch.python._replace(edition=0))


def why_stale(old: Launch, new: Launch) -> str:
    """Why a worker of the old one is replaced by one of the new, in words."""
    return "new code" if configured(old) == configured(new) else "the configuration changed"
