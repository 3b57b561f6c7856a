"""The checkers are checked: each seeded fault of the policy must be caught."""

from __future__ import annotations

import pytest

from procman.policy import manager as shipped
from tests.simulation.mutants import MUTANTS, Mutant, load
from tests.simulation.play import Failed, play

SEEDS = 5000


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_fault_of_the_policy_is_caught(mutant: Mutant) -> None:
    broken = load(mutant)
    assert broken is not shipped.Manager
    for seed in range(SEEDS):
        try:
            play(seed, broken)
        except Failed as caught:
            print(f"{mutant.name}: {str(caught).splitlines()[0]}")  # noqa: T201 - with -s, what caught it
            play(seed)  # the shipped policy passes: it is the fault that was caught
            return
    pytest.fail(f"{mutant.name}: not caught in {SEEDS} histories")


def test_a_policy_without_a_fault_is_not_caught() -> None:
    text = MUTANTS[0].old
    whole = load(Mutant("none", text, text))
    assert whole is not shipped.Manager
    for seed in range(50):
        play(seed, whole)


def test_a_fault_whose_text_is_gone_is_reported() -> None:
    with pytest.raises(ValueError, match="found 0 times"):
        load(Mutant("rotten", "a text that nobody wrote", ""))


def test_the_shipped_policy_is_untouched_by_mutation() -> None:
    load(MUTANTS[0])
    from procman.policy.manager import Manager

    assert Manager is shipped.Manager
