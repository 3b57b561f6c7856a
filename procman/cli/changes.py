"""What `procman plan` shows: the groups that change, the keys that differ and where they stand. Pure: text from values.

shop  2 groups change · 41e0b1c2d3e4 → 9f0a1b2c3d4e

~ api  restarted, scaled from 2 to 4 workers
    command   python3 -m shop --port 1   site.toml:12
            → python3 -m shop --port 2   prod.toml:3
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from procman import words
from procman.plan import Plan
from procman.plan.keys import Difference, GroupChange, Signal, group_changes, site_differences, worst_case

_ARROW, _ELLIPSIS, _DOT = "\N{RIGHTWARDS ARROW}", "\N{HORIZONTAL ELLIPSIS}", " \N{MIDDLE DOT} "
_GREEN, _RED, _YELLOW, _DIM, _BOLD = "32", "31", "33", "2", "1"
_NUMBERS = ("restart.backoff.factor", "restart.backoff.jitter")
"""The values that are floats and no durations."""
_SIGNALS = ("stop.signal", "parent_death_signal", "health.dump")
_PLAIN = re.compile(r"[\w@%+=:,./${}-]+")


class Version(NamedTuple):
    """A plan with its identity."""

    plan: Plan
    digest: str


class Changes(NamedTuple):
    """What tells two versions apart."""

    old: Version
    new: Version
    site: tuple[Difference, ...]
    groups: tuple[GroupChange, ...]

    def __bool__(self) -> bool:
        return bool(self.site or self.groups)


def changes(old: Version, new: Version) -> Changes:
    """All that applying the new version to a site that runs the old one would do."""
    return Changes(old, new, site_differences(old.plan, new.plan), tuple(group_changes(old.plan, new.plan)))


def as_json(found: Changes) -> dict[str, Any]:
    """All of it as JSON has it."""
    places = _both_places(found)
    return {
        "site": found.new.plan.name,
        "digest": {"old": found.old.digest, "new": found.new.digest},
        "changed": [_field(one, one.key, places) for one in found.site],
        "groups": {
            group.name: {
                "effects": list(group.effects),
                "workers": {"old": group.workers[0], "new": group.workers[1]},
                "changed": [_field(one, f"group.{group.name}.{one.key}", places) for one in group.differences],
            }
            for group in found.groups
        },
        "worst_case_s": worst_case(found.old.plan, found.new.plan),
    }


def render(found: Changes, colour: bool, columns: int | None) -> str:
    """The whole text; lines are cut to `columns`, None is no limit."""
    places = _both_places(found)
    count = len(found.groups)
    if not found:
        title = "nothing changes"
    elif not count:
        title = "no group changes"
    else:
        title = f"{count} group{'s change' if count > 1 else ' changes'}"
    identity = " ".join(dict.fromkeys([found.old.digest, _ARROW, found.new.digest]))
    title += f"{_DOT}{found.new.digest if found.old.digest == found.new.digest else identity}"
    blocks = [_paint(found.new.plan.name, _BOLD, colour) + "  " + _clip(title, columns, len(found.new.plan.name) + 2)]
    if found.site:
        blocks.append("\n".join(["~ the site", *_table(found.site, "", places, columns, colour)]))
    for group in found.groups:
        lines = [_heading(group, places, colour, columns)]
        blocks.append("\n".join([*lines, *_table(group.differences, f"group.{group.name}.", places, columns, colour)]))
    if found.groups:
        worst = worst_case(found.old.plan, found.new.plan)
        blocks.append(f"takes {words.duration(worst)} at worst" if worst else "takes effect at once")
    return "\n\n".join(blocks) + "\n"


class _Places(NamedTuple):
    """Where the keys of both versions stand."""

    old: Mapping[str, str]
    new: Mapping[str, str]


def _both_places(found: Changes) -> _Places:
    return _Places(*(_places(version.plan.origin.places) for version in (found.old, found.new)))


def _places(text: str) -> dict[str, str]:
    pairs = (line.partition(" ") for line in text.split("\n") if line)
    return {key: place for key, _, place in pairs}


def _place(places: Mapping[str, str], key: str) -> str:
    """Where a key stands, or what it is a part of; empty where nothing is written."""
    if key.startswith("group.") and ".env." in key and key not in places:  # from one of its files, then
        return places.get(f"{key.partition('.env.')[0]}.env_file", "")
    while key not in places and key.count(".") > (2 if key.startswith("group.") else 1):
        key = key.rpartition(".")[0]
    return places.get(key, "")


def _field(one: Difference, key: str, places: _Places) -> dict[str, Any]:
    return {
        "key": one.key,
        "old": value_text(one.key, one.old),
        "new": value_text(one.key, one.new),
        "old_place": _place(places.old, key) or None,
        "new_place": _place(places.new, key) or None,
    }


def _heading(group: GroupChange, places: _Places, colour: bool, columns: int | None) -> str:
    old, new = group.workers
    key = f"group.{group.name}"
    told = []
    for effect in group.effects:
        match effect:
            case "started":
                told.append(f"started: {_count(new)}")
            case "stopped":
                told.append(f"stopped: {_count(old)}")
            case "restarted":
                told.append("restarted" if "scaled" in group.effects else f"restarted: {_count(min(old, new))}")
            case "scaled":
                told.append(f"scaled from {old} to {_count(new)}")
            case _:
                told.append("changed live")
    sign, style = ("+", _GREEN) if "started" in group.effects else ("-", _RED)
    if not {"started", "stopped"} & set(group.effects):
        sign, style = "~", _YELLOW
    where = places.new.get(key) if sign == "+" else places.old.get(key) if sign == "-" else ""
    text = f"{group.name}  {', '.join(told)}" + (f"  {where}" if where else "")
    return f"{_paint(sign, style, colour)} {_clip(text, columns, 2)}"


def _table(
    differences: Sequence[Difference], prefix: str, places: _Places, columns: int | None, colour: bool
) -> Iterator[str]:
    """Two lines for each key: before, and after."""
    width = max([len(one.key) for one in differences], default=0)
    rows = []
    for one in differences:
        for text, mark, value, known in ((one.key, " ", one.old, places.old), ("", _ARROW, one.new, places.new)):
            rows.append((text, mark, value_text(one.key, value), _place(known, prefix + one.key) or _default(value)))
    room = None if columns is None else max(columns - 4 - width - 5 - max([len(row[3]) for row in rows], default=0), 12)
    longest = max([len(row[2]) for row in rows], default=0)
    across = longest if room is None else min(longest, room)
    seen = [one for old, new in zip(rows[::2], rows[1::2], strict=True) for one in _differing(old[2], new[2], across)]
    for (text, mark, _, where), value in zip(rows, seen, strict=True):
        line = f"    {text:<{width}} {mark} {_clip(value, across):<{across}}  "
        yield _clip(line, columns) + _paint(_clip(where, columns, len(line)), _DIM, colour) if where else line.rstrip()


def _differing(old: str, new: str, columns: int) -> tuple[str, str]:
    """Both without their beginning, where otherwise what differs would be cut off."""
    at = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), len(min(old, new)))
    if max(len(old), len(new)) <= columns or at < columns - 1:
        return old, new
    start = at - columns // 3
    return _ELLIPSIS + old[start:], _ELLIPSIS + new[start:]


def _default(value: Any) -> str:
    return "" if value is None else "default"


def value_text(key: str, value: Any) -> str:
    """A value as the configuration writes it, more or less."""
    match value:
        case None:
            return "-"
        case bool():
            return "true" if value else "false"
        case int() if key in _SIGNALS:
            return words.signal_name(value)
        case int() if key == "umask" or key.endswith(".mode"):
            return f"{value:04o}"
        case float():
            return f"{value:g}" if key in _NUMBERS else words.duration(value)
        case Signal(number):
            return words.signal_name(number)
        case tuple() if key == "capabilities":
            return " ".join(words.CAPABILITIES[number] for number in value) or "none"
        case tuple() if key == "command" or key.endswith(".exec"):
            return " ".join(map(_word, value))
        case tuple():
            return " ".join(value_text(key, item) for item in value) or "none"
        case str():
            return value.replace("$$", "$") or '""'
        case _:
            return str(value)


def _word(word: str) -> str:
    """A word of a template as one would type it."""
    typed = word.replace("$$", "$")
    return typed if _PLAIN.fullmatch(typed) else shlex.quote(typed)


def _paint(text: str, style: str, colour: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colour and text else text


def _clip(text: str, columns: int | None, used: int = 0) -> str:
    text = text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
    if columns is None or used + len(text) <= columns:
        return text
    return text[: max(0, columns - used - 1)] + _ELLIPSIS


def _count(number: int) -> str:
    return f"{number} worker{'' if number == 1 else 's'}"
