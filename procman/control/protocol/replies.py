"""Replies as lines."""

from __future__ import annotations

from procman.control.wire import VERSION, Object, to_line
from procman.lean import NamedTuple
from procman.plan.codec import plain
from procman.policy.events.requests import Accepted, Done, Refused, Rejected, Reply, RunningPlan, SiteStatus


class End(NamedTuple):
    """There are no more events."""


def encode_reply(reply: Reply | End, about: Object | None = None) -> bytes:
    """The line of a reply; `about` is what a status says of procman itself."""
    match reply:
        case Refused():
            return to_line({"say": "refused", **reply._asdict()})
        case Rejected():
            return to_line({"say": "rejected", **reply._asdict()})
        case Accepted():
            return to_line({"say": "accepted", **reply._asdict()})
        case Done():
            return to_line({"say": "done", **reply._asdict()})
        case End():
            return to_line({"say": "end"})
        case RunningPlan():
            return to_line({"say": "plan", "digest": reply.digest, "plan": plain(reply.plan)})
        case SiteStatus():
            groups = [group._asdict() for group in reply.groups]
            workers = [worker._asdict() for worker in reply.workers]
            return to_line({"say": "status", **reply._asdict(), "groups": groups, "workers": workers, **(about or {})})


def encode_event(line: bytes) -> bytes:
    """The reply that holds a line of the JSON log."""
    return b'{"procman":%d,"say":"event","event":%b}\n' % (VERSION, line.rstrip(b"\n"))


def encode_compiled(text: str) -> bytes:
    """The reply that holds the loader's JSON object."""
    return b'{"procman":%d,"say":"compiled","answer":%b}\n' % (VERSION, text.strip().encode("ascii"))
