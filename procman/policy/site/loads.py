"""Reading the configuration: one load at a time, one more if it is wanted meanwhile, and who waits for which.

Whoever asks while a load runs waits for the next one: the files may have been read before they were written.
"""

from __future__ import annotations

from procman.policy.events import LoadFailed, RunLoader
from procman.policy.events.requests import Answer, Asked, Refused, Rejected, Reload
from procman.policy.step import Step


class Round:
    """One load."""

    __slots__ = ("asked", "wanted")

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        """The clients that wait for it."""
        self.wanted = False
        """Whether somebody wants it applied whatever it reads; else it only looks whether there is something new."""

    @property
    def resets(self) -> bool:
        """Whether a client wants what was changed by hand to be as the configuration says."""
        return any(isinstance(one.request, Reload) and one.request.reset for one in self.asked)

    def reject(self, failed: LoadFailed, step: Step) -> None:
        """Tell who waited for it that the configuration cannot be used."""
        step.actions += [Answer(one.client, Rejected(failed.reason, failed.diagnostics)) for one in self.asked]


class Loads:
    """The load that runs, and the one that follows."""

    __slots__ = ("_rounds",)

    def __init__(self) -> None:
        self._rounds: list[Round] = []

    @property
    def busy(self) -> bool:
        """Whether one runs."""
        return bool(self._rounds)

    def look(self, step: Step) -> None:
        """Have the configuration read as it is now, in case it is another one."""
        if not self._rounds:
            step.actions.append(RunLoader())
        if len(self._rounds) < 2:
            self._rounds.append(Round())

    def want(self, step: Step, asked: Asked | None = None) -> None:
        """Have it read and applied, for a client or for nobody in particular."""
        self.look(step)
        self._rounds[-1].wanted = True
        if asked is not None:
            self._rounds[-1].asked.append(asked)

    def done(self, step: Step, *, go_on: bool) -> Round:
        """The one that ran is over. The next one begins, if there is to be one."""
        over = self._rounds.pop(0)
        if not go_on:
            self._rounds.clear()
        elif self._rounds:
            step.actions.append(RunLoader())
        return over

    def forget(self, client: int) -> None:
        """A client has gone away."""
        for each in self._rounds:
            each.asked = [asked for asked in each.asked if asked.client != client]

    def refuse(self, reason: str, step: Step) -> None:
        """Nothing will be applied any more: tell all who wait."""
        for each in self._rounds:
            step.actions += [Answer(asked.client, Refused(reason)) for asked in each.asked]
            each.asked.clear()
