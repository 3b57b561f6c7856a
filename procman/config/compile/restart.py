"""When workers are started again, and how they are replaced."""

from __future__ import annotations

from procman import plan
from procman.config import model
from procman.config.scalars.values import parse_signal


def update_of(group: model.Group) -> plan.Update:
    """How its workers are replaced. Two runs of a job never overlap for that."""
    update = group.update
    order = "stop-first" if group.kind == "job" else update.order
    return plan.Update(order, update.parallel, update.pause)


def recycle_of(group: model.Group) -> plan.Recycle:
    """When its workers are replaced for their age or size; a job ends by itself."""
    recycle = group.recycle
    return plan.Recycle() if group.kind == "job" else plan.Recycle(recycle.max_age, recycle.max_rss, recycle.jitter)


def restart_of(group: model.Group) -> plan.Restart:
    """The restart policy of a group."""
    restart, backoff = group.restart, group.restart.backoff
    # A job that failed is not run again unless somebody said that it may be.
    is_untold_job = group.kind == "job" and "max_restarts" not in restart.model_fields_set
    comes_again = group.schedule is not None or group.every is not None
    is_untold_schedule = comes_again and "on_exhausted" not in restart.model_fields_set
    return plan.Restart(
        when=restart.when,
        success_codes=tuple(one for one in restart.success if isinstance(one, int)),
        success_signals=tuple(parse_signal(one) for one in restart.success if isinstance(one, str)),
        max_restarts=0 if is_untold_job else restart.max_restarts,
        window=restart.window,
        backoff=None if backoff is None else plan.Backoff(**dict(backoff)),
        reset_after=restart.reset_after,
        strategy=restart.strategy,
        # One bad night of a scheduled job does not end the site, unless somebody said so.
        on_exhausted="ignore" if is_untold_schedule else restart.on_exhausted,
    )
