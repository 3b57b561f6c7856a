"""When workers are ready, and how they are seen to be well."""

from __future__ import annotations

from procman import choices, plan
from procman.config import model


def ready_of(group: model.Group) -> plan.Ready | None:
    """None: as soon as their program has begun."""
    ready = group.ready
    if ready is None:
        return None
    kinds: tuple[tuple[choices.ReadyBy, bool], ...] = (
        ("notify", ready.notify),
        ("fd", ready.fd is not None),
        ("http", ready.http is not None),
        ("tcp", ready.tcp is not None),
        ("exec", ready.exec is not None),
        ("log", ready.log is not None),
        ("delay", ready.delay is not None),
    )
    return plan.Ready(
        by=next(kind for kind, chosen in kinds if chosen),
        target=ready.http or ready.tcp or ready.log or "",
        command=ready.exec or (),
        fd=-1 if ready.fd is None else ready.fd,
        delay=ready.delay or 0.0,
        timeout=ready.timeout,
        interval=ready.interval,
    )


def health_of(group: model.Group) -> plan.Health | None:
    """None: nobody asks."""
    health = group.health
    if health is None:
        return None
    return plan.Health(
        by="watchdog" if health.watchdog else "http" if health.http else "tcp" if health.tcp else "exec",
        target=health.http or health.tcp or "",
        command=health.exec or (),
        interval=health.interval,
        timeout=health.timeout,
        failures=health.failures,
        start_after=health.start_after,
        dump=health.dump,
        on_failure=health.on_failure,
    )
