"""The core's end of the language: requests from lines, replies to lines. Pure: it reads and writes nothing.

A client sends one request on a connection and reads replies until one that is no `accepted` and no `event`; then the
connection is closed. `schemas/control.schema.json` describes every line and is generated from `schema.py`. A client
needs none of this: what is said are plain objects (`wire.py`).
"""

from __future__ import annotations

from procman.control.protocol.replies import End, encode_compiled, encode_event, encode_reply
from procman.control.protocol.requests import Compile, Message, ShowEvents, ShowLogs, decode_request

__all__ = [
    "Compile",
    "End",
    "Message",
    "ShowEvents",
    "ShowLogs",
    "decode_request",
    "encode_compiled",
    "encode_event",
    "encode_reply",
]
