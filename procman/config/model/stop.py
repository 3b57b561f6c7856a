"""`stop`: how a worker is asked to end."""

from __future__ import annotations

from procman import choices
from procman.config.scalars import fields
from procman.config.scalars.table import Table, option


class Stop(Table):
    """How a worker is asked to end, and when it is made to."""

    signal: fields.StopSignal = option("TERM", "The signal that asks a worker to end.")
    drain: fields.Duration = option(
        "0s",
        "How long a worker that was running, or ready, serves on before the signal: it is `stopping` from the start of "
        "it, for those who look where to send work, and hears nothing.",
    )
    grace: fields.Duration = option("8s", "How long it may take from the signal on before it is killed.")
    scope: choices.Scope = option(
        "tree", "Who hears the first signal: the worker's whole process group, or its leader alone."
    )
