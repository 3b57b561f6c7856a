"""JSON lines: their fields, their bound, and the schema that is generated from the same tables."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from procman.log.fields import EVENTS, FIELDS, schema, schema_text
from procman.log.jsonl import JsonLines
from procman.policy.events import Notice, Record, State, Transition
from tests.log.lines import API, CRASH, RECORDS, parsed

ROOT = Path(__file__).parents[2]
NOW_NS = 1_700_000_000_123_456_789
TS = "2023-11-14T22:13:20.123456Z"


def line_of(record: Record, site: str | None = "shop") -> dict[str, object]:
    (line,) = JsonLines(site).lines(NOW_NS, [record])
    return parsed(line)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_every_kind_of_record_becomes_a_line_that_the_schema_allows(record: Record) -> None:
    event = record.event if isinstance(record, Notice) else f"worker.{record.to}"
    assert line_of(record)["event"] == event


def test_every_declared_event_has_a_record_among_these() -> None:
    shown = {record.event if isinstance(record, Notice) else f"worker.{record.to}" for record in RECORDS.values()}
    assert shown == set(EVENTS)


def test_a_crash_says_how_it_ended_and_what_follows() -> None:
    assert line_of(CRASH) == {
        "ts": TS,
        "level": "warning",
        "event": "worker.backoff",
        "site": "shop",
        "group": "api",
        "task": 0,
        "generation": 2,
        "pid": 4242,
        "from": "running",
        "to": "backoff",
        "reason": "killed by SIGKILL",
        "signal": "SIGKILL",
        "uptime_s": 5.9,
        "cpu_s": 1.25,
        "max_rss_bytes": 34_000_000,
        "restarts": 3,
        "budget_left": 97,
        "delay_s": 0.5,
    }


def test_a_notice_has_its_own_fields() -> None:
    assert line_of(RECORDS["defect"], None) == {
        "ts": TS,
        "level": "error",
        "event": "site.internal_error",
        "site": None,
        "reason": "ValueError: x",
        "dropped": "Load()",
    }


def test_a_worker_without_a_process_has_a_null_pid() -> None:
    assert line_of(RECORDS["starting"])["pid"] is None


def test_colours_stay_out_of_it() -> None:
    assert line_of(RECORDS["rejected"])["diagnostics"] == "a.toml:1:1: bad\n    1 | x\n"


@pytest.mark.parametrize(
    "text", ['"quoted" \\ back', "new\nline\x00\x1b[2J", "prix: 5 €, 🚀", "undecodable \udcff"], ids=ascii
)
def test_any_text_comes_back_as_it_was(text: str) -> None:
    assert line_of(Transition(API, 1, State.RUNNING, State.STOPPING, text), text)["reason"] == text


@pytest.mark.parametrize("unit", ["x", '"', "é", "🚀"])
@pytest.mark.parametrize("length", [3000, 4000, 5000, 100_000])
def test_a_text_too_long_is_cut_with_a_mark_and_the_line_says_so(unit: str, length: int) -> None:
    diagnostics = unit * length
    record = Notice("config.rejected", "error", "a.toml: 1 error", {"diagnostics": diagnostics})
    (line,) = JsonLines("shop").lines(NOW_NS, [record])
    fields = parsed(line)
    if len(ascii(diagnostics)) < 3800 and unit == "x":
        assert fields["diagnostics"] == diagnostics
        assert "truncated" not in fields
    else:
        cut = fields["diagnostics"]
        assert (cut[-1], cut[:-1]) == ("…", diagnostics[: len(cut) - 1])
        assert fields["truncated"] is True
        assert len(line) > 4000, "no more is cut than must be"


def test_a_list_too_long_is_cut_with_a_mark() -> None:
    names = [f"group-{number}" for number in range(1000)]
    fields = line_of(RECORDS["applied"]._replace(fields={**RECORDS["applied"].fields, "started": names}))  # type: ignore[union-attr,call-arg]
    started = fields["started"]
    assert isinstance(started, list)
    assert (fields["truncated"], started[-1], started[:-1]) == (True, "…", names[: len(started) - 1])


def test_the_time_is_utc_with_microseconds_over_the_turn_of_a_second() -> None:
    lines = JsonLines("shop")
    times = [1_700_000_000_999_999_999, 1_700_000_001_000_000_000, 1_700_000_000_000_001_000]
    assert [parsed(lines.lines(now, [CRASH])[0])["ts"] for now in times] == [
        "2023-11-14T22:13:20.999999Z",
        "2023-11-14T22:13:21.000000Z",
        "2023-11-14T22:13:20.000001Z",
    ]


def test_the_schema_file_is_what_the_code_says() -> None:
    """If not: python -c "import procman.log.fields as f; print(f.schema_text(), end='')" > schemas/event.schema.json"""
    Draft202012Validator.check_schema(schema())
    assert (ROOT / "schemas/event.schema.json").read_text(encoding="utf-8") == schema_text()


def test_every_field_of_every_event_is_declared_and_every_declared_field_is_used() -> None:
    used = {name for event in EVENTS.values() for name in (*event.fields, *event.optional)}
    assert used | {"ts", "level", "event", "site", "reason", "truncated"} == set(FIELDS)


def test_every_notice_in_the_code_is_declared_with_its_fields() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "procman").rglob("*.py")]
    notices = [notice for tree in trees for notice in _notices(tree)]
    assert {event for event, _ in notices} == {name for name, event in EVENTS.items() if "to" not in event.fields}
    undeclared = [
        (event, field)
        for event, fields in notices
        for field in fields
        if field not in (*EVENTS[event].fields, *EVENTS[event].optional)
    ]
    assert undeclared == []


def _notices(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """The events that a module tells of, each with those of its fields that are spelled out there."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="notice"), args=[ast.Constant(value=str(event)), *_]):
                yield event, [keyword.arg for keyword in node.keywords if keyword.arg]
            case ast.Call(func=ast.Name(id="Notice"), args=[ast.Constant(value=str(event)), *_, ast.Dict(keys=keys)]):
                yield event, [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
            case ast.Call(func=ast.Name(id="Notice"), args=[ast.Constant(value=str(event)), *_]):
                yield event, []
