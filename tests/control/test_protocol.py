"""The language of the control socket: what is said is understood, and nothing else breaks whoever reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from procman.control.protocol import (
    Compile,
    Compiled,
    End,
    Message,
    ProtocolError,
    ShowEvents,
    ShowLogs,
    Told,
    decode_reply,
    decode_request,
    decode_selector,
    encode_compiled,
    encode_event,
    encode_reply,
    encode_request,
)
from procman.control.schema import schema, schema_text
from procman.plan import GroupPlan, Launch, Plan
from procman.policy.requests import (
    Accepted,
    Done,
    Down,
    GroupStatus,
    Operate,
    Refused,
    Reply,
    RunningPlan,
    Scale,
    Selector,
    SendSignal,
    ShowPlan,
    ShowStatus,
    SiteStatus,
    WorkerStatus,
)

ROOT = Path(__file__).parents[2]
BOTH = (Selector("api"), Selector("web", 12))
MESSAGES = [
    Message(Operate("start", BOTH)),
    Message(Operate("stop", BOTH), wait=False),
    Message(Operate("restart", BOTH)),
    Message(Scale("api", 3)),
    Message(SendSignal(10, BOTH, "tree")),
    Message(ShowStatus()),
    Message(Down(now=True), wait=False),
    Message(ShowPlan()),
    Message(Compile(("a.toml",), ("b.toml",), ("site.name=c",), "/here", "group.api")),
    Message(ShowEvents(follow=True, last=7)),
    Message(ShowLogs(BOTH, follow=True)),
]
WORKER = WorkerStatus("api", 0, 2, "running", 41, 1.5, None, False, "exit status 1", 1.5)
STATUS = SiteStatus("shop", "running", "abc", ("/a.toml",), (GroupStatus("api", 1, 2, 0, 100, ""),), (WORKER,))
REPLIES: list[Reply | End] = [
    Refused("no", "yes"),
    Accepted(("api:0",), "note"),
    Done(("api:0: failed",)),
    End(),
    STATUS,
    RunningPlan("abc", Plan("shop", (GroupPlan("api", Launch(("run",), "/")),))),
]
VALIDATOR = Draft202012Validator(schema())


def errors(line: bytes) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(json.loads(line))]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message.request).__name__)
def test_a_request_is_understood_as_it_was_meant_and_keeps_to_the_schema(message: Message) -> None:
    line = encode_request(message)
    assert (decode_request(line), errors(line), line.count(b"\n")) == (message, [], 1)


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: type(reply).__name__)
def test_a_reply_is_understood_as_it_was_meant_and_keeps_to_the_schema(reply: Reply | End) -> None:
    line = encode_reply(reply, {"pid": 1, "uptime_s": 2.0} if isinstance(reply, SiteStatus) else None)
    assert (decode_reply(line), errors(line), line.count(b"\n")) == (reply, [], 1)


def test_an_event_is_the_line_of_the_log() -> None:
    line = encode_event(b'{"ts":"now","event":"site.started"}\n')
    assert (decode_reply(line), errors(line)) == (Told({"ts": "now", "event": "site.started"}), [])


def test_the_schema_in_the_repository_is_the_generated_one() -> None:
    assert (ROOT / "schemas" / "control.schema.json").read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"GET / HTTP/1.1\r", "that is no JSON"),
        (b"[" * 60000, "that is no JSON"),
        (b"[]", "that is no JSON object"),
        (b'{"do":"status"}', "that is not version 1 of the protocol"),
        (b'{"procman":true,"do":"status"}', "that is not version 1 of the protocol"),
        (b'{"procman":1}', "`do` is missing"),
        (b'{"procman":1,"do":"dance"}', "nobody here can `dance`"),
        (b'{"procman":1,"do":"status","x\\u001b":1}', "`status` has no `'x\\x1b'`"),
        (b'{"procman":1,"do":"stop"}', "`targets` is missing"),
        (b'{"procman":1,"do":"stop","targets":[]}', "`targets` names nobody: a list of GROUP and GROUP:TASK"),
        (b'{"procman":1,"do":"stop","targets":["a:-1"]}', "`a:-1` is neither GROUP nor GROUP:TASK"),
        (b'{"procman":1,"do":"scale","group":"a","workers":true}', "`workers` is not of type int"),
        (b'{"procman":1,"do":"scale","group":"a","workers":1.5}', "`workers` is not of type int"),
        (b'{"procman":1,"do":"signal","signal":32,"targets":["a"]}', "there is no signal 32"),
        (b'{"procman":1,"do":"signal","signal":0,"targets":["a"]}', "there is no signal 0"),
    ],
)
def test_what_is_no_request_is_told_why(line: bytes, error: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_request(line)
    assert str(caught.value) == error


@pytest.mark.parametrize("text", ["", ":", ":1", "a:", "a:b", "a:1:2", "a:-1", "a:²", "a:9999999"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_selector(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.binary())
def test_no_bytes_bring_the_reader_down(line: bytes) -> None:
    for decode in (decode_request, decode_reply):
        try:
            decode(line)
        except ProtocolError:
            continue


@given(
    st.sampled_from(MESSAGES),
    st.dictionaries(
        st.sampled_from(["do", "targets", "wait", "signal", "scope", "group", "workers", "now"]), json_values
    ),
)
@example(Message(SendSignal(10, (Selector("api"),))), {"wait": False})
def test_a_request_with_other_values_is_understood_or_refused(message: Message, other: dict[str, Any]) -> None:
    line = json.dumps(json.loads(encode_request(message)) | other).encode()
    try:
        understood = decode_request(line)
    except ProtocolError:
        return
    assert decode_request(encode_request(understood)) == understood


@given(
    st.sampled_from(REPLIES), st.dictionaries(st.sampled_from(["say", "workers", "groups", "failures"]), json_values)
)
def test_a_reply_with_other_values_is_understood_or_refused(reply: Reply | End, other: dict[str, Any]) -> None:
    line = json.dumps(json.loads(encode_reply(reply)) | other).encode()
    try:
        decode_reply(line)
    except ProtocolError:
        return


def test_what_the_loader_says_is_passed_on_as_it_stands() -> None:
    line = encode_compiled('{"reason":"r","diagnostics":"d"}\n')
    assert (decode_reply(line), errors(line)) == (Compiled({"reason": "r", "diagnostics": "d"}), [])
