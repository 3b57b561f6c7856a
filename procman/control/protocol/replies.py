"""Replies as lines, and back."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from procman.control.protocol.wire import VERSION, Object, ProtocolError, from_line, shown, to_line
from procman.policy.requests import (
    Accepted,
    Done,
    GroupStatus,
    Refused,
    Rejected,
    Reply,
    RunningPlan,
    SiteStatus,
    WorkerStatus,
)


class Told(NamedTuple):
    """One line of the log."""

    event: Object


class Compiled(NamedTuple):
    """What the site's loader has answered."""

    answer: Object
    """`plan` and `digest`, or `explained`; or `reason` and `diagnostics`."""


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
            from procman.plan.codec import plain  # most who talk to a site never see a plan

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


def decode_reply(line: bytes) -> Reply | Told | Compiled | End:
    """What a line says. Raises ProtocolError. Of a status, fields that are not known here are left out."""
    fields = from_line(line)
    try:
        match fields["say"]:
            case "refused":
                return Refused(str(fields["reason"]), str(fields["hint"]))
            case "rejected":
                return Rejected(str(fields["reason"]), str(fields["diagnostics"]))
            case "accepted":
                return Accepted(tuple(fields["workers"]), str(fields["note"]))
            case "done":
                return Done(tuple(fields["failures"]))
            case "event":
                return Told(dict(fields["event"]))
            case "compiled":
                return Compiled(dict(fields["answer"]))
            case "plan":
                from procman.plan.codec import from_plain

                return RunningPlan(str(fields["digest"]), from_plain(fields["plan"]))
            case "end":
                return End()
            case "status":
                return _status(fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"a reply without what it should have: {error}") from None
    raise ProtocolError(f"a reply of an unknown kind: {shown(fields['say'])}")


def _status(fields: Object) -> SiteStatus:
    fields["groups"] = tuple(_only(GroupStatus, group) for group in fields["groups"])
    fields["workers"] = tuple(_only(WorkerStatus, worker) for worker in fields["workers"])
    fields["files"] = tuple(fields["files"])
    return cast("SiteStatus", _only(SiteStatus, fields))


def _only(kind: Any, fields: Object) -> Any:
    return kind(**{name: fields[name] for name in kind._fields if name in fields})
