"""`listen`: the sockets that procman opens and hands to every worker of a group."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from procman.config.scalars import addresses, fields, values
from procman.config.scalars.rights import parse_owner
from procman.config.scalars.table import Table, option
from procman.config.scalars.values import BadValueError, show

MOST_BACKLOG = 1 << 20

Where = Annotated[addresses.Address, PlainValidator(addresses.parse_listen), fields.spelled(addresses.PATTERN)]
Backlog = Annotated[
    int,
    PlainValidator(lambda value: values.parse_integer(value, 1, MOST_BACKLOG)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_BACKLOG}),
]
Mode = Annotated[
    int, PlainValidator(values.parse_mode), WithJsonSchema({"type": "string", "pattern": values.UMASK_PATTERN})
]
Owner = Annotated[
    tuple[int | str | None, int | str | None], PlainValidator(parse_owner), fields.spelled(r"^[^\s:/]*(:[^\s:/]+)?$")
]

_ONLY = {
    "backlog": ("tcp", "unix"),
    "nodelay": ("tcp",),
    "reuse_port": ("tcp", "udp"),
    "mode": ("unix",),
    "owner": ("unix",),
}
"""The options that only some kinds of sockets have."""


class Listen(Table):
    """A socket that is opened once, by procman, and outlives every worker: a restart refuses no connection."""

    effect = "restart"

    address: Where = Field(
        description="tcp://ADDRESS:PORT, udp://ADDRESS:PORT (IPv6 in brackets, and then IPv6 alone; no address: all of "
        "IPv4; port 0: a free one), unix:PATH relative to this file, or unix:@NAME without a file."
    )
    name: fields.Name | None = option(
        None,
        "Its name in LISTEN_FDNAMES, and (with _ for - and .) in ${LISTEN_FD_name} and ${LISTEN_ADDR_name}; not given: "
        "the group's, with -2, -3, … for further ones. A socket of that name that procman itself was given is used.",
    )
    backlog: Backlog = option(4096, "How many connections may wait to be accepted; net.core.somaxconn bounds it.")
    nodelay: fields.Bool = option(True, "TCP_NODELAY, which accepted connections inherit.")
    reuse_port: fields.Bool = option(False, "SO_REUSEPORT: other processes that say so too may have the same port.")
    mode: Mode = option("0666", "The permissions of a unix socket's file; who may write to it may connect.")
    owner: Owner | None = option(
        None, 'To whom a unix socket\'s file belongs: "user", "user:group" or ":group"; not given: procman\'s user.'
    )

    on_demand: fields.Bool = option(
        False, "True: the group is started by the first connection (or datagram), and again after a normal end."
    )

    @model_validator(mode="after")
    def _options_are_of_its_kind(self) -> Self:
        kind = self.address.kind
        for key in _ONLY.keys() & self.model_fields_set:
            if kind not in _ONLY[key]:
                raise BadValueError(f"a {kind} socket has no {key}", "leave it out", (key,))
        return self


def _listens(value: Any) -> list[Any]:
    items = value if isinstance(value, (list, tuple)) else [value]
    for index, item in enumerate(items):
        if not isinstance(item, (str, dict)):
            hint = 'write "tcp://127.0.0.1:8000", or { address = "tcp://127.0.0.1:8000", backlog = 64 }, or a list'
            raise BadValueError(f"{show(item)} is nothing to listen on", hint, (index,))
    return [{"address": item} if isinstance(item, str) else item for item in items]


_Written = Where | Listen | list[Where | Listen]
Listens = Annotated[tuple[Listen, ...], BeforeValidator(_listens, json_schema_input_type=_Written)]
