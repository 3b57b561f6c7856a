"""The site file as the user writes it: every table and option, with its default and its description.

The descriptions become the JSON Schema and the reference of options. A model checks its own table; what concerns
several groups is in `check/groups.py`. Nothing here reads files, expands variables or looks at the machine.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from procman.config.model.checks import Health, Ready
from procman.config.model.defaults import Defaults
from procman.config.model.environment import EnvFile
from procman.config.model.group import Group
from procman.config.model.listen import Listen
from procman.config.model.output import Output, Rotate, Sink
from procman.config.model.restart import Backoff, Restart
from procman.config.model.site import Log, SiteOptions, SiteOutput
from procman.config.model.stop import Stop
from procman.config.scalars import fields
from procman.config.scalars.table import Table, option
from procman.config.scalars.values import BadValueError, show

__all__ = [
    "Backoff", "Defaults", "EnvFile", "Group", "Health", "Listen", "Log", "Output", "Ready", "Restart", "Rotate",
    "Sink", "Site", "SiteOptions", "SiteOutput", "Stop", "tables_below",
]  # fmt: skip


def _schema_version(value: Any) -> int:
    if value != 1 or isinstance(value, bool):
        raise BadValueError(f"this procman knows schema 1, not {show(value)}", "write schema = 1")
    return 1


SchemaVersion = Annotated[int, PlainValidator(_schema_version), WithJsonSchema({"type": "integer", "const": 1})]


class Site(Table):
    """A procman site: groups of processes, how many workers each has, and how often they may restart."""

    schema_version: SchemaVersion = Field(alias="schema", description="The version of this format: 1.")
    include: tuple[fields.Path, ...] = option(
        [], "Further files to read, as patterns (conf.d/*.toml), relative to this file. What this file says wins."
    )
    site: SiteOptions = option({}, "What concerns the site as a whole.")
    defaults: Defaults = option({}, "What every group has unless it says otherwise.")
    log: Log = option({}, "The event log: where it goes, and in what form.")
    group: dict[fields.Name, Group] = option({}, "The groups of workers, by name.")


def tables_below(table: type[Table]) -> dict[str, type[Table]]:
    """The fields of a table that are tables themselves, or may be."""
    found = {}
    for name, field in table.model_fields.items():
        for candidate in (field.annotation, *getattr(field.annotation, "__args__", ())):
            one = getattr(candidate, "__origin__", candidate)  # of an Annotated
            if isinstance(one, type) and issubclass(one, Table):
                found[name] = one
    return found
