"""Where a check asks: from `http://127.0.0.1:8000/health`, `127.0.0.1:6379` or `unix:/run/redis.sock` to its parts.

No name is looked up, `localhost` aside: what is asked is a worker, and that runs on this machine; and a name server
that is slow must not hold anything up.
"""

from __future__ import annotations

from procman.lean import NamedTuple


class Target(NamedTuple):
    """What a check connects to, and asks for."""

    host: str
    """An address in digits; of a unix socket the path, or "@" and an abstract name."""
    port: int | None = None
    """None: it is a unix socket."""
    path: str = ""
    """What is asked for over HTTP, query included."""

    @property
    def name(self) -> str:
        """`127.0.0.1:8000`, `[::1]:8000`, `/run/api.sock`."""
        if self.port is None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def http_target(text: str) -> Target:
    """Of a URL. Raises ValueError, with the reason in words."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator or scheme.lower() != "http":
        raise ValueError("it is asked over plain http://" if separator else "it does not begin with http://")
    at = min((index for mark in "/?#" if (index := rest.find(mark)) >= 0), default=len(rest))
    place, path = rest[:at], rest[at:].partition("#")[0]
    if "@" in place:
        raise ValueError("it holds a user's name")
    if not path.isprintable() or " " in path:
        raise ValueError("it holds blanks")
    return _place(place, 80)._replace(path=path if path.startswith("/") else f"/{path}")


def tcp_target(text: str) -> Target:
    """Of an address. Raises ValueError, with the reason in words."""
    text = text.strip()
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not path.startswith(("/", "@")) or "\0" in path or len(path.encode("utf-8", "surrogateescape")) > 107:
            raise ValueError("a unix socket's path is absolute and at most 107 bytes long")
        return Target(path)
    return _place(text.removeprefix("tcp://").removesuffix("/"), None)


def _place(text: str, default_port: int | None) -> Target:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or set(host.lower()) - set("0123456789abcdef:."):
            raise ValueError("its IPv6 address is no address")
        port = rest
    else:
        host, colon, rest = text.partition(":")
        port = colon + rest
        host = "127.0.0.1" if host == "localhost" else host
        parts = host.split(".")
        if len(parts) != 4 or not all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts):
            raise ValueError("its host is neither an address in digits nor localhost")
    if not port and default_port is not None:
        return Target(host, default_port)
    number = port.removeprefix(":")
    if not (port.startswith(":") and number.isascii() and number.isdigit() and 0 < int(number) < 65536):
        raise ValueError("it has no port between 1 and 65535")
    return Target(host, int(number))
