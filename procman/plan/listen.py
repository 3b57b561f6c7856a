"""The sockets that are opened once, in procman, and handed to every worker of a group."""

from __future__ import annotations

from procman.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from procman.choices import ListenKind


class Listen(NamedTuple):
    """One of them. What tells it from others is kind, host and port; the rest can be changed while it is open."""

    name: str
    """As workers find it in LISTEN_FDNAMES."""
    kind: ListenKind
    host: str
    """An address in digits; of a unix socket the absolute path, or "@" and an abstract name."""
    port: int = 0
    """0: one that is free."""
    backlog: int = 4096
    """How many connections may wait to be accepted; the kernel's `somaxconn` bounds it."""
    nodelay: bool = True
    reuse_port: bool = False
    mode: int = 0o666
    """Of a unix socket's file; so are uid and gid."""
    uid: int | None = None
    """None: the core's."""
    gid: int | None = None
    on_demand: bool = False
    """Whether the first connection starts the group."""

    @property
    def url(self) -> str:
        """`tcp://127.0.0.1:8000`, `tcp://[::1]:8000`, `unix:/run/api.sock`: where it is to listen."""
        if self.kind == "unix":
            return f"unix:{self.host}"
        return f"{self.kind}://{address(self.host, self.port)}"

    @property
    def key(self) -> str:
        """What it is told from others by: where it listens, and by its name if that is to be found out."""
        return self.url if self.kind == "unix" or self.port else f"{self.url} {self.name}"


def address(host: str, port: int) -> str:
    """`127.0.0.1:8000`, `[::1]:8000`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def variable(name: str) -> str:
    """What a socket's name is in LISTEN_FD_… and LISTEN_ADDR_…: no shell has a variable with a dash or a dot in it."""
    return name.replace("-", "_").replace(".", "_")
