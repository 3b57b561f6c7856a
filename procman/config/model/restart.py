"""`restart`: when a worker is started again, and how long that waits."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema, model_validator

from procman import choices, words
from procman.config.scalars import fields, values
from procman.config.scalars.table import Table, option, or_off
from procman.config.scalars.values import BadValueError, show


def _outcome(item: Any) -> int | str:
    """An exit code as it is, a signal as its name."""
    if isinstance(item, int) and not isinstance(item, bool):
        if 0 <= item <= 255:
            return item
        raise BadValueError(f"{show(item)} is not an exit code", "exit codes lie between 0 and 255")
    if not isinstance(item, str) or item.strip().isdigit():
        hint = 'write exit codes as numbers, signals as names: [0, 3, "TERM"]'
        raise BadValueError(f"{show(item)} is neither an exit code nor the name of a signal", hint)
    return words.signal_name(values.parse_signal(item))


Factor = Annotated[
    float,
    PlainValidator(lambda value: values.parse_number(value, 1, 1000)),
    WithJsonSchema({"type": "number", "minimum": 1, "maximum": 1000}),
]
Share = Annotated[
    float,
    PlainValidator(lambda value: values.parse_number(value, 0, 1)),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Outcome = Annotated[
    int | str,
    PlainValidator(_outcome),
    fields.spelled(r"^(SIG)?[A-Z]", {"type": "integer", "minimum": 0, "maximum": 255}),
]
Success = Annotated[
    tuple[Outcome, ...],
    BeforeValidator(
        fields.list_of('exit codes and signal names: [0, 3, "TERM"]'), json_schema_input_type=list[Outcome]
    ),
]


class Backoff(Table):
    """How long a slot waits before each further restart in a row; the first restart is immediate."""

    initial: fields.Duration = option("500ms", "The delay before the second restart in a row.")
    factor: Factor = option(2.0, "Each further delay is the one before times this.")
    max: fields.Duration = option("30s", "No delay is longer than this, the jitter apart.")
    jitter: Share = option(0.2, "The share of the delay that is added at random, so that slots do not restart in step.")

    @model_validator(mode="after")
    def _initial_is_at_most_max(self) -> Self:
        if self.initial > self.max:
            hint = "raise `max` with it; it is 30s unless given"
            raise BadValueError("the first delay is longer than the longest", hint, ("initial",))
        return self


class Restart(Table):
    """When a worker that has ended is started again, how often, and what happens when the budget is spent."""

    when: choices.When = option(
        "on-failure", "Restart always, on failure (an exit code or a signal that is no success), or never."
    )
    success: Success = option([0], "The exit codes, and names of signals, that count as a normal end.")
    max_restarts: fields.Count = option(
        100, "The restart budget, shared by the group's workers. A job has 0 unless it is given."
    )
    window: Annotated[fields.Duration | None, or_off(fields.Duration)] = option(
        None, "The budget is for any span of this length; false, or not given: for the group's whole life."
    )
    backoff: Annotated[Backoff | None, or_off(Backoff)] = option(
        {}, "How the delays between restarts grow; false: every restart is immediate."
    )
    reset_after: fields.Duration = option("60s", "A run of this length counts as stable and resets the backoff.")
    strategy: choices.Strategy = option(
        "one-for-one", "Restart the failed worker alone, or, with one-for-all, the whole group."
    )
    on_exhausted: choices.OnExhausted = option(
        "shutdown",
        "When the budget is spent: shut the site down (exit code 10), stop this group, or ignore it: "
        "the failed worker stays down and the rest runs on.",
    )

    @model_validator(mode="after")
    def _window_has_a_length(self) -> Self:
        if self.window == 0:
            hint = "leave it out to count over the group's whole life"
            raise BadValueError("a window has a length", hint, ("window",))
        return self
