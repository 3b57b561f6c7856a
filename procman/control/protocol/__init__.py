"""The language of the control socket: one JSON object a line, each with the version. Pure: it reads and writes nothing.

A client sends one request on a connection and reads replies until one that is no `accepted` and no `event`; then the
connection is closed. `schemas/control.schema.json` describes every line and is generated from `schema.py`.
"""

from __future__ import annotations

from procman.control.protocol.replies import (
    Compiled,
    End,
    Told,
    decode_reply,
    encode_compiled,
    encode_event,
    encode_reply,
)
from procman.control.protocol.requests import (
    VERBS,
    Compile,
    Message,
    ShowEvents,
    ShowLogs,
    decode_request,
    decode_selector,
    encode_request,
)
from procman.control.protocol.wire import MAX_REQUEST, VERSION, Object, ProtocolError

__all__ = [
    "MAX_REQUEST",
    "VERBS",
    "VERSION",
    "Compile",
    "Compiled",
    "End",
    "Message",
    "Object",
    "ProtocolError",
    "ShowEvents",
    "ShowLogs",
    "Told",
    "decode_reply",
    "decode_request",
    "decode_selector",
    "encode_compiled",
    "encode_event",
    "encode_reply",
    "encode_request",
]
