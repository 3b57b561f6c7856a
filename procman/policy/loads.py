"""Reading the configuration: one load at a time, one more if it is wanted meanwhile, and who waits for which.

Whoever asks while a load runs waits for the next one: the files may have been read before they were written.
"""

from __future__ import annotations

from procman.policy.events import LoadFailed, RunLoader
from procman.policy.requests import Answer, Asked, Refused, Rejected, Reload
from procman.policy.step import Step


class Loads:
    """The load that runs, and the one that follows."""

    __slots__ = ("_rounds",)

    def __init__(self) -> None:
        self._rounds: list[list[Asked]] = []
        """For each, the clients that wait for it."""

    @property
    def busy(self) -> bool:
        """Whether one runs."""
        return bool(self._rounds)

    def want(self, step: Step, asked: Asked | None = None) -> None:
        """Have the configuration read as it is now, for a client or for nobody in particular."""
        if not self._rounds:
            step.actions.append(RunLoader())
        if len(self._rounds) < 2:
            self._rounds.append([])
        if asked is not None:
            self._rounds[-1].append(asked)

    def done(self, step: Step, *, go_on: bool) -> list[Asked]:
        """The one that ran is over: who has waited for it. The next one begins, if there is to be one."""
        asked = self._rounds.pop(0)
        if not go_on:
            self._rounds.clear()
        elif self._rounds:
            step.actions.append(RunLoader())
        return asked

    def forget(self, client: int) -> None:
        """A client has gone away."""
        self._rounds = [[asked for asked in each if asked.client != client] for each in self._rounds]

    def refuse(self, reason: str, step: Step) -> None:
        """Nothing will be applied any more: tell all who wait."""
        for each in self._rounds:
            step.actions += [Answer(asked.client, Refused(reason)) for asked in each]
            each.clear()


def reject(asked: list[Asked], failed: LoadFailed, step: Step) -> None:
    """Tell who waited for it that the configuration cannot be used."""
    step.actions += [Answer(one.client, Rejected(failed.reason, failed.diagnostics)) for one in asked]


def resets(asked: list[Asked]) -> bool:
    """Whether one of them wants what was changed by hand to be as the configuration says."""
    return any(isinstance(one.request, Reload) and one.request.reset for one in asked)
