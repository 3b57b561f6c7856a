"""What one `handle` has decided so far, collected on the way down and back. Holds no state between events."""

from __future__ import annotations

from collections.abc import Mapping

from procman.lean import TYPE_CHECKING
from procman.policy.events import Action, Notice, Outcome, Record

if TYPE_CHECKING:
    from procman.choices import Level
    from procman.policy.group.rollout import Rollout
    from procman.policy.group.runs import Runs
    from procman.policy.site.probation import Trial
    from procman.policy.worker.worker import Worker


class Step:
    """The instant, and what came of it."""

    __slots__ = ("actions", "deadlines", "moved", "now", "records", "trial")

    def __init__(self, now: float, trial: Trial | None = None) -> None:
        self.now = now
        self.trial = trial
        """The plan that is on probation; None if none is."""
        self.actions: list[Action] = []
        self.records: list[Record] = []
        self.deadlines: list[tuple[float, Worker | Runs | Rollout]] = []
        """Those that were set, for the manager's heap."""
        self.moved: dict[str, None] = {}
        """Groups in which something changed, in order (a dict, since a set has none)."""

    def halts(self, group: str) -> bool:
        """Whether the plan on probation has failed in this step: nothing of what it changed is started any more."""
        return self.trial is not None and self.trial.is_lost and group in self.trial.groups

    def notice(self, event: str, level: Level, reason: str, **fields: object) -> None:
        """Add a line that is not a worker's transition."""
        self.records.append(Notice(event, level, reason, fields))

    def outcome(self, identity: Mapping[str, object]) -> Outcome:
        """All of it; what is said of the site and of its configuration carries the identity of the one in force."""
        for place, record in enumerate(self.records):
            if isinstance(record, Notice) and record.event.startswith(("site.", "config.")):
                self.records[place] = record._replace(fields={**identity, **record.fields})
        return Outcome(self.actions, self.records)
