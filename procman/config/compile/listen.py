"""The sockets of a group, with their names and their places."""

from __future__ import annotations

from procman import plan
from procman.config import model
from procman.config.check.listening import names_of
from procman.config.compile.paths import absolute, base_of
from procman.config.compile.surroundings import Surroundings
from procman.config.text.document import Path


def listen_of(group_name: str, group: model.Group, around: Surroundings) -> tuple[plan.Listen, ...]:
    """What the workers of a group find from descriptor 3 on."""
    names = names_of(group_name, [one.name for one in group.listen])
    owners = around.identities[group_name].owners
    return tuple(
        plan.Listen(
            name=name,
            kind=one.address.kind,
            host=_host(group_name, index, one, around),
            port=one.address.port,
            backlog=one.backlog,
            nodelay=one.nodelay,
            reuse_port=one.reuse_port,
            mode=one.mode,
            uid=owner[0],
            gid=owner[1],
            on_demand=one.on_demand,
        )
        for index, (name, one, owner) in enumerate(zip(names, group.listen, owners, strict=False))
    )


def _host(group_name: str, index: int, one: model.Listen, around: Surroundings) -> str:
    kind, host, _ = one.address
    if kind != "unix" or host.startswith("@"):
        return host
    path: Path = ("group", group_name, "listen")
    path = (*path, index) if isinstance(around.document.at(path), list) else path
    return absolute(base_of(path, around), host)
