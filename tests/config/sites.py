"""Helpers of the config tests: a site from a text, in a directory of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from procman.config.loader import Invalid, explain, load_plan
from procman.config.merge.load import Request
from procman.config.text.diagnose import located
from procman.plan import GroupPlan, Plan

LEAST = 'schema = 1\n[group.web]\ncommand = "web"\n'


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def load(
    folder: Path,
    text: str = LEAST,
    *,
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    named: Sequence[str] = ("site.toml",),
    **request: Any,
) -> Plan | Invalid:
    """The plan of site.toml, which holds the text, in a folder with further files; `named` are the request's."""
    write(folder, {"site.toml": text, **(files or {})})
    return load_plan(Request(named, str(folder), **request), environ or {})


def plan_of(folder: Path, text: str = LEAST, **options: Any) -> Plan:
    result = load(folder, text, **options)
    assert isinstance(result, Plan), said(result)
    return result


def group_of(folder: Path, text: str, **options: Any) -> GroupPlan:
    """The only group of a site."""
    (group,) = plan_of(folder, text, **options).groups
    return group


def said(result: Plan | Invalid, first: str = "site.toml") -> str:
    assert isinstance(result, Invalid)
    return explain(result, Request([first], "/")).text


def heads(result: Plan | Invalid) -> list[str]:
    """`file:line:col: message` of each problem."""
    return [line for block in said(result).split("\n\n") for line in block.splitlines()[:1]]


def places(result: Plan | Invalid) -> int:
    """How many problems have a place."""
    assert isinstance(result, Invalid)
    return len(located(result.problems, result.document))
