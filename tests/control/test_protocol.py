"""The language of the control socket: what is said is understood, and nothing else breaks whoever reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from procman.control import schema as schemas
from procman.control.protocol import (
    Compile,
    End,
    Message,
    ShowEvents,
    ShowLogs,
    decode_request,
    encode_compiled,
    encode_event,
    encode_reply,
)
from procman.control.schema import schema, schema_text
from procman.control.wire import ProtocolError, from_line, split_selector, to_line
from procman.plan import GroupPlan, Launch, Plan
from procman.plan.codec import from_plain
from procman.policy.events.requests import (
    Accepted,
    Done,
    Down,
    GroupStatus,
    Operate,
    Refused,
    Reload,
    Reply,
    Rollback,
    RunJob,
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
NAMED = ["api", "web:12"]
REQUESTS: list[tuple[dict[str, Any], Message]] = [
    ({"do": "start", "targets": NAMED}, Message(Operate("start", BOTH))),
    ({"do": "stop", "targets": NAMED, "wait": False}, Message(Operate("stop", BOTH), wait=False)),
    ({"do": "restart", "targets": NAMED, "wait": True}, Message(Operate("restart", BOTH))),
    ({"do": "run", "group": "backup"}, Message(RunJob("backup"))),
    ({"do": "scale", "group": "api", "workers": 3}, Message(Scale("api", 3))),
    ({"do": "signal", "signal": 10, "targets": NAMED}, Message(SendSignal(10, BOTH, "leader"))),
    ({"do": "signal", "signal": 10, "targets": NAMED, "scope": "tree"}, Message(SendSignal(10, BOTH, "tree"))),
    ({"do": "status"}, Message(ShowStatus())),
    ({"do": "reload"}, Message(Reload())),
    ({"do": "reload", "reset": True, "wait": False}, Message(Reload(reset=True), wait=False)),
    ({"do": "rollback"}, Message(Rollback())),
    ({"do": "down", "now": True, "wait": False}, Message(Down(now=True), wait=False)),
    ({"do": "plan"}, Message(ShowPlan())),
    (
        {"do": "compile", "files": ["a.toml"], "overlays": ["b.toml"], "sets": ["c=d"], "here": "/h", "key": "group.a"},
        Message(Compile(("a.toml",), ("b.toml",), ("c=d",), "/h", "group.a")),
    ),
    ({"do": "events", "follow": True, "last": 7}, Message(ShowEvents(follow=True, last=7))),
    ({"do": "logs", "targets": NAMED, "follow": True}, Message(ShowLogs(BOTH, follow=True))),
    ({"do": "logs", "targets": []}, Message(ShowLogs())),
]
WORKER = WorkerStatus("api", 0, 2, "running", 41, 1.5, None, False, "exit status 1", 1.5)
STATUS = SiteStatus("shop", "running", "abc", ("/a.toml",), (GroupStatus("api", 1, 2, 0, 100, ""),), (WORKER,))
RUNNING = RunningPlan("abc", Plan("shop", (GroupPlan("api", Launch(("run",), "/")),)))
REPLIES: list[Reply | End] = [
    Refused("no", "yes"),
    Accepted(("api:0",), "note"),
    Done(("api:0: failed",)),
    End(),
    STATUS,
    RUNNING,
]
VALIDATOR = Draft202012Validator(schema())


def errors(line: bytes) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(json.loads(line))]


@pytest.mark.parametrize(("fields", "message"), REQUESTS)
def test_a_request_is_understood_as_it_was_meant_and_keeps_to_the_schema(
    fields: dict[str, Any], message: Message
) -> None:
    line = to_line(fields)
    assert (decode_request(line), errors(line), line.count(b"\n")) == (message, [], 1)


def test_all_that_can_be_asked_is_tried_here() -> None:
    assert {fields["do"] for fields, _ in REQUESTS} == {*schemas.REQUESTS}


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: type(reply).__name__)
def test_a_reply_is_one_line_that_keeps_to_the_schema(reply: Reply | End) -> None:
    line = encode_reply(reply, {"pid": 1, "uptime_s": 2.0} if isinstance(reply, SiteStatus) else None)
    assert (errors(line), line.count(b"\n")) == ([], 1)


def test_a_plan_comes_out_as_it_was_put_in() -> None:
    reply = from_line(encode_reply(RUNNING))
    assert (reply["digest"], from_plain(reply["plan"])) == RUNNING


def test_an_event_is_the_line_of_the_log() -> None:
    line = encode_event(b'{"ts":"now","event":"site.started"}\n')
    assert (from_line(line)["event"], errors(line)) == ({"ts": "now", "event": "site.started"}, [])


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
        (b'{"procman":1,"do":"scale"}', "`group` is missing"),
        (b'{"procman":1,"do":"logs","targets":false}', "`targets` is not of type list"),
        (b'{"procman":1,"do":"stop"}', "`targets` names nobody: a list of GROUP and GROUP:TASK"),
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
        split_selector(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.binary())
def test_no_bytes_bring_the_reader_down(line: bytes) -> None:
    for decode in (decode_request, from_line):
        try:
            decode(line)
        except ProtocolError:
            continue


@given(
    st.sampled_from([fields for fields, _ in REQUESTS]),
    st.dictionaries(
        st.sampled_from(["do", "targets", "wait", "signal", "scope", "group", "workers", "now"]), json_values
    ),
)
@example({"do": "signal", "signal": 10, "targets": ["api"]}, {"wait": False})
def test_a_request_with_other_values_keeps_to_the_schema_or_is_refused(
    fields: dict[str, Any], other: dict[str, Any]
) -> None:
    line = to_line(fields | other)
    try:
        decode_request(line)
    except ProtocolError:
        return
    assert errors(line) == []


def test_what_the_loader_says_is_passed_on_as_it_stands() -> None:
    line = encode_compiled('{"reason":"r","diagnostics":"d"}\n')
    assert (from_line(line)["answer"], errors(line)) == ({"reason": "r", "diagnostics": "d"}, [])
